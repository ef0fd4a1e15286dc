"""What `images=` means."""

import io
import os
import re
import sys

import pytest

from fakereal.prediction.images import Images
from fakereal.runtime.errors import UserError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """a.png, B.JPG, sub/c.webp, sub/deep/d.png, sub/e [1].jpg and files that are no images."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "B.JPG", "sub/c.webp", "sub/deep/d.png", "sub/e [1].jpg", "sub/f.txt", ".hidden.png"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)
    (tmp_path / "empty").mkdir()
    return tmp_path / "tree"


def names(given):
    return [entry.name for entry in Images(given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tree", ["tree/B.JPG", "tree/a.png", "tree/sub/c.webp", "tree/sub/deep/d.png", "tree/sub/e [1].jpg"]),
        ("tree/", ["tree/B.JPG", "tree/a.png", "tree/sub/c.webp", "tree/sub/deep/d.png", "tree/sub/e [1].jpg"]),
        ("tree/*", ["tree/B.JPG", "tree/a.png"]),
        ("tree/**/*.png", ["tree/a.png", "tree/sub/deep/d.png"]),
        ("tree/sub/e [1].jpg", ["tree/sub/e [1].jpg"]),
        ("tree/sub/f.txt", ["tree/sub/f.txt"]),  # it was named
        (["tree/sub/c.webp", "tree/*.png"], ["tree/sub/c.webp", "tree/a.png"]),
    ],
)
def test_files_come_in_order(tree, given, expected):
    images = Images(given)
    entries = list(images)
    assert [entry.name for entry in entries] == expected
    assert images.total == len(expected)
    assert all(entry.size == 7 and entry.content == entry.name for entry in entries)


def test_other_files_are_counted(tree):
    assert Images("tree").ignored == Images("tree/sub/*").ignored == {".txt": 1}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_are_read_without_unpacking(tree, pack, kind):
    archive = pack(tree, tree.parent / f"some.{kind}")
    images = Images(archive.name)
    found = {entry.name: entry.content for entry in images}
    prefix = f"{archive.name}/"
    assert {os.path.normpath(name.removeprefix(prefix)) for name in found} == {
        "a.png", "B.JPG", "sub/c.webp", "sub/deep/d.png", "sub/e [1].jpg",
    }  # fmt: skip
    assert set(found.values()) == {b"x" * 7} and images.ignored == {".txt": 1} and images.total is None


def test_standard_input_names_a_file_a_line(tree, monkeypatch):
    content = b"tree/a.png\n\ntree/sub/e [1].jpg\r\n~not \xff.png"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert names("-") == ["tree/a.png", "tree/sub/e [1].jpg", os.fsdecode(b"~not \xff.png")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere.png", "images=nowhere.png does not exist"),
        ("nowhere/*.png", "images=nowhere/*.png matches no file"),
        ("empty", "images=empty: no image was found"),
        ("tree/sub/*.txt", "images=tree/sub/*.txt: no image was found (1 files"),
        (["tree", "nowhere"], "images=nowhere does not exist"),
        (["-", "-"], "standard input can be read only once"),
    ],
)
def test_what_is_not_there_is_named(tree, given, said):
    with pytest.raises(UserError) as error:
        Images(given)
    assert said in str(error.value)


def test_a_damaged_archive_is_named(tree):
    (tree / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match=r"^images=tree/bad.zip is not an archive"):
        names("tree/bad.zip")


def test_links_that_lead_back_give_each_file_once(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/1.png", "a/b/2.png"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "b" / "back").symlink_to("..")
    (tmp_path / "a" / "same.png").symlink_to("1.png")  # another name is another row
    found = [entry.name for entry in Images(f"{tmp_path}/**/*.png")]
    assert found == [f"{tmp_path}/a/{name}" for name in ("1.png", "b/2.png", "same.png")]


def test_brackets_of_a_pattern_are_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phone [2023]").mkdir()
    (tmp_path / "phone [2023]" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=re.escape("write [[] for a literal bracket")):
        Images("phone [2023]/*.png")
    assert Images("phone [[]2023]/*.png").total == 1
