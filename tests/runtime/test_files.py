"""Files that take the place of others, also where somebody reads them."""

import os

import pytest

from fakereal.runtime import files


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
