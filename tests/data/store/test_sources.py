"""Folders: what is found in them, in which order, and when they count as changed."""

import os
import subprocess

import pytest

from fakereal.data.store.entries import open_source
from fakereal.data.store.sources import BadSource, FolderSource


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def names(source):
    return [file.name for file in source.files(lambda name: True)]


def test_images_in_the_order_of_their_names(tmp_path):
    touch(tmp_path, "b/2.JPG", "b/10.png", "a.tiff", "b/c/d.JPEG", "no_ending", "with space (1)=x.png")
    source = FolderSource(tmp_path)
    assert names(source) == ["a.tiff", "b/10.png", "b/2.JPG", "b/c/d.JPEG", "no_ending", "with space (1)=x.png"]
    assert source.done == source.total == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_other_files_are_counted_and_hidden_ones_are_not_there(tmp_path):
    touch(tmp_path, "x.txt", "y.TXT", "nested.zip", ".DS_Store", ".git/x.jpg", "__MACOSX/real/._x.jpg", "a/.hidden.jpg")
    source = FolderSource(tmp_path)
    assert names(source) == [] and source.ignored == {".txt": 2, ".zip": 1}


def test_only_what_is_wanted_is_given_but_all_counts_as_done(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    source = FolderSource(tmp_path)
    (file,) = source.files(lambda name: name.startswith("b"))
    assert (file.name, file.size, file.content) == ("b/2.jpg", 7, str(tmp_path / "b/2.jpg"))
    assert source.done == source.total


def test_links_are_followed_but_never_in_a_circle(tmp_path):
    touch(tmp_path / "elsewhere", "1.jpg")
    tree = tmp_path / "tree"
    touch(tree, "real/2.jpg")
    (tree / "fake").symlink_to(tmp_path / "elsewhere")
    (tree / "real/up").symlink_to(tree)
    (tree / "real/self").symlink_to(".")
    (tree / "real/file.jpg").symlink_to(tmp_path / "elsewhere/1.jpg")
    (tree / "again").symlink_to("real")
    assert names(FolderSource(tree)) == ["again/2.jpg", "again/file.jpg", "fake/1.jpg", "real/2.jpg", "real/file.jpg"]


def test_strange_inhabitants_are_listed_for_the_decoder_to_refuse(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    touch(tmp_path, "folder.jpg/inside.jpg")
    assert names(FolderSource(tmp_path)) == ["circle.jpg", "dangling.jpg", "folder.jpg/inside.jpg", "pipe.jpg"]


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"r\xe9al\xff/\xfe.jpg")
    touch(tmp_path, name)
    source = FolderSource(tmp_path)
    assert names(source) == [name]
    assert source.fingerprint() == FolderSource(tmp_path).fingerprint()


def test_a_very_deep_tree(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        assert names(FolderSource(tmp_path)) == ["d/" * 1100 + "x.jpg"]
    finally:  # too deep for the recursion by which pytest cleans up
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_the_fingerprint_changes_with_every_image_and_with_nothing_else(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/2.jpg")

    def seen():
        return FolderSource(tmp_path).fingerprint()

    prints = [seen()]
    touch(tmp_path, "notes.txt", ".cache/x.jpg", "a/stores/pixels.bin")
    assert seen() == prints[0]
    touch(tmp_path, "a/3.jpg")
    prints.append(seen())
    (tmp_path / "a/3.jpg").rename(tmp_path / "a/4.jpg")
    prints.append(seen())
    (tmp_path / "a/4.jpg").write_bytes(b"longer than before")
    prints.append(seen())
    os.utime(tmp_path / "a/4.jpg", ns=(1, 1))
    prints.append(seen())
    (tmp_path / "a/1.jpg").unlink()
    prints.append(seen())
    assert len(set(prints)) == len(prints)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_folder(tmp_path):
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a").chmod(0)
    with pytest.raises(BadSource, match=r"a/ cannot be read \(Permission denied"):
        FolderSource(tmp_path)


def test_there_has_to_be_something(tmp_path):
    with pytest.raises(BadSource, match=r"data.root=.*/nothing does not exist. Give a folder or an archive"):
        open_source(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadSource, match=r"neither a folder nor a file"):
        open_source(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(BadSource, match=r"cannot be opened"):
        open_source(tmp_path / "circle")
    with pytest.raises(BadSource, match=r"cannot be opened"):
        open_source(tmp_path / "nu\0ll")
