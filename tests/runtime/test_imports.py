"""Imports leave the garbage collector as it was, and what they brought is not its business any more."""

import gc
import importlib
import subprocess
import sys

import pytest

from fakereal.runtime.imports import importing


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module with the given text."""
    monkeypatch.syspath_prepend(tmp_path)

    def bring(text, name):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    yield bring
    gc.unfreeze()


def test_nothing_is_searched_while_modules_are_imported_nor_they_later(module):
    before = gc.get_freeze_count()
    with importing():
        found = module("import gc\nsearched = gc.isenabled()\nkept = [[] for _ in range(1000)]", "many_objects")
    assert not found.searched and gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000
    assert not any(found.kept is one for one in gc.get_objects())


def test_what_is_there_already_changes_nothing():
    before = gc.get_freeze_count()
    with importing():
        import json  # noqa: F401
    assert gc.isenabled() and gc.get_freeze_count() == before


def test_a_failed_import_leaves_the_search_on(module):
    with pytest.raises(ZeroDivisionError), importing():
        module("1 / 0", "fails")
    assert gc.isenabled()


def test_a_process_ends_without_giving_all_back_and_without_reports_of_it(tmp_path):
    (tmp_path / "speaks.py").write_text(
        "import atexit, gc, sys\n"
        "from contextlib import suppress\n"
        "with suppress(ImportError):\n"
        "    import triton\n"  # whose bindings report what is left
        "def end():\n"
        "    print(gc.get_freeze_count() > 1000, file=sys.stderr)\n"
        "atexit.register(end)\n"
    )
    code = "from fakereal.runtime.imports import importing\nwith importing():\n    import speaks"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "True\n")
