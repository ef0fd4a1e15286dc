"""Files that take the place of others, also where somebody reads them."""

import errno
import json
import os
from pathlib import Path

import pytest

from fakereal.runtime import files
from fakereal.runtime.files import write_json


@pytest.mark.parametrize(("patience", "refusals", "replaced"), [(5.0, 3, True), (0.2, 10**6, False), (0.0, 1, False)])
def test_a_file_in_use_is_tried_again_for_a_while(tmp_path, monkeypatch, patience, refusals, replaced):
    """As on Windows."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("new")
    original, refused = os.replace, []

    def replace(*paths):
        if len(refused) < refusals:
            refused.append(paths)
            raise PermissionError(13, "Access is denied")
        original(*paths)

    monkeypatch.setattr(files, "PATIENCE", patience)
    monkeypatch.setattr(os, "replace", replace)
    if replaced:
        files.replace(tmp_path / "b", tmp_path / "a")
    else:
        with pytest.raises(PermissionError):
            files.replace(tmp_path / "b", tmp_path / "a")
    assert (tmp_path / "a").read_text() == ("new" if replaced else "old")
    assert len(refused) == refusals if replaced or not patience else 1 < len(refused) < refusals


def test_json_is_replaced_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [other.name for other in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_leaves_the_json_before(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    write = Path.write_text

    def cut(self, text, **options):
        write(self, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
