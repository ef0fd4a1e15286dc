"""The source itself: lint, format, and calls that fit what they call."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("words", ["ruff check", "ruff format --check", f"ty check --python {sys.prefix}"])
def test_the_source_is_clean(words):
    module, *rest = words.split(" ", 3)
    done = subprocess.run([sys.executable, "-m", module, *rest], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_call_that_lacks_an_argument_is_found(tmp_path):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "fakereal").mkdir()
    (tmp_path / "fakereal" / "wrong.py").write_text("def given(name: str) -> None: ...\n\n\ngiven()\n")
    words = [sys.executable, "-m", "ty", "check", "--python", sys.prefix]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "missing-argument" in done.stdout
