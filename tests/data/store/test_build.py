"""Stores from folders and archives: the same images give the same rows, and nothing half-written is ever left."""

import gzip
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fakereal import CLASSES
from fakereal.data.folder_names import UNSPLIT, FolderNames
from fakereal.data.store import decode as decode_module
from fakereal.data.store import draft, parallel, rgb
from fakereal.data.store.build import Recipe
from fakereal.data.store.decode import Resize, decode
from fakereal.data.store.entries import Entry
from fakereal.data.store.parallel import decode_all
from fakereal.data.store.rgb import BadImage
from fakereal.data.store.sources import BadSource
from fakereal.runtime.errors import UserError

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")

# A builder in a process of its own, with a limit on the size of files (0: none); after `alone` seconds it starts more.
BUILDER = """
import logging, resource, sys
from pathlib import Path
from fakereal.data.store import parallel
from fakereal.data.store.build import Recipe, obtain
from fakereal.data.store.decode import Resize
from fakereal.data.folder_names import FolderNames

root, cache, alone, limit = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s")
parallel.ALONE, parallel.cores = float(alone), lambda: 2
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
store = obtain(Recipe((Path(root),), Resize(32), FolderNames(), False), Path(cache))
print(store.digest)
status = Path("/proc/self/status")
print(*[line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line] if status.exists() else [])
"""


def builder(root, cache, *, alone=99.0, limit=0):
    """The process, in a group of its own, as a shell starts it."""
    command = [sys.executable, "-c", BUILDER, str(root), str(cache), str(alone), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def left_in(cache):
    """What lies in the cache, but for locks."""
    return sorted(path.name for path in (cache / "stores").glob("*") if path.suffix != ".lock")


def spoil(tree):
    """Bad files of every kind among the good ones, by name, with a word of the reason."""
    folder = tree / "train" / "REAL"
    good = (folder / "0000 (1).jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not at all an image")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / os.fsdecode(b"\xff\n.jpg")).write_bytes(b"?")
    buffer = io.BytesIO()
    Image.new("1", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # the size that the header claims
    (folder / "bomb.png").write_bytes(data)
    return {
        "cut.jpg": "runcated",
        "empty.jpg": "empty file",
        "text.jpg": "not an image",
        "pipe.jpg": "not a regular file",
        "dangling.jpg": "No such file",
        "circle.jpg": "symbolic links",
        r"\udcff\n.jpg": "not an image",
        "bomb.png": "",
    }


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_rows_say_what_the_files_are(tmp_path, image_tree, build, ending):
    tree = image_tree(tmp_path / "a tree (1)=x", side=40, ending=ending)
    store = build(tree)
    assert len(store.table) == 24 and store.images.shape == (24, 32, 32, 3)
    pixels = store.gather(np.arange(24))
    for row, name, image in zip(store.table, store.names, pixels, strict=True):
        expected = decode(tree / name, Resize(32))
        split, label, _ = name.split("/")
        assert (row["split"], row["label"]) == ({"train": 0, "test": 2}[split], CLASSES.index(label))
        assert row["hash"] == expected.hash.rstrip(b"\0") and (row["width"], row["height"]) == (40, 40)
        assert row["format"].decode() == expected.facts.format and row["bytes"] == (tree / name).stat().st_size
        np.testing.assert_array_equal(image, expected.pixels)
    if ending == "jpg":
        tables = store.meta["quantization"][store.table["quantization"][0]]
        assert tables == [list(table) for table in expected.facts.quantization]
    else:
        assert (store.table["quantization"] == -1).all()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_the_same_images_give_the_same_rows_from_anywhere(tmp_path, image_tree, pack, build, kind):
    tree = image_tree(tmp_path / "tree")
    shutil.copy(tree / "train/REAL/0000 (1).jpg", tree / "train/REAL/copy.jpg")  # the same bytes twice
    nested = tmp_path / "nested"
    shutil.copytree(tree, nested / "some" / "where" / "cifake")
    expected, found = build(tree), build(pack(nested, tmp_path / f"x.{kind}"))
    np.testing.assert_array_equal(found.table, expected.table)
    np.testing.assert_array_equal(found.gather(np.arange(25)), expected.gather(np.arange(25)))
    assert found.digest == expected.digest
    assert [name.split("cifake/")[1] for name in found.names] == expected.names


def test_a_second_call_builds_nothing(tmp_path, image_tree, build, caplog):
    caplog.set_level("INFO")
    tree = image_tree(tmp_path / "tree")
    first = build(tree)
    before = [(path, path.stat().st_mtime_ns) for path in first.folder.iterdir()]
    caplog.clear()
    assert build(tree).digest == first.digest
    assert [(path, path.stat().st_mtime_ns) for path in first.folder.iterdir()] == before and not caplog.records


def test_a_changed_source_is_built_again(tmp_path, image_tree, build):
    tree = image_tree(tmp_path / "tree")
    before = build(tree)
    shutil.copy(tree / "train/REAL/0000 (1).jpg", tree / "train/FAKE/new.jpg")
    after = build(tree)
    assert len(after.table) == len(before.table) + 1 and after.digest != before.digest
    assert len(left_in(after.folder.parent.parent)) == 1
    before.gather(np.arange(24))  # whoever has the old one open may go on


def test_different_recipes_keep_apart(tmp_path):
    names, other_names = FolderNames(), FolderNames(("nature",), ("ai",))
    recipes = [
        Recipe(roots, resize, folder_names, need_split)
        for roots in ((tmp_path / "a",), (tmp_path / "b",), (tmp_path / "a", tmp_path / "b"))
        for resize in (Resize(32), Resize(64), Resize(32, "crop"), Resize(32, filter="box"))
        for folder_names in (names, other_names)
        for need_split in (True, False)
    ]
    assert len({recipe.key() for recipe in recipes}) == len(recipes)
    strange = Recipe((tmp_path / os.fsdecode(b"[a]*? \xff\n=.tar"),), Resize(32), names, True).key()
    assert strange.isprintable() and not set(strange) & set("[]*?/= ")


def test_several_roots_are_joined(tmp_path, image_tree, pack, build):
    first = image_tree(tmp_path / "a", 2)
    second = pack(image_tree(tmp_path / "b", 3, offset=1), tmp_path / "b.zip")
    store = build(first, second)
    assert len(store.table) == 20
    assert {name.split("/")[-4] for name in store.names} == {"a", "b.zip"}
    assert all(name.startswith(str(tmp_path)) for name in store.names)


def test_a_tree_whose_names_are_no_text(tmp_path, image_tree, build):
    tree = image_tree(tmp_path / os.fsdecode(b"t\xffree"))
    (tree / "train/REAL/0000 (1).jpg").rename(tree / os.fsdecode(b"train/REAL/\xfe=(x).jpg"))
    assert os.fsdecode(b"train/REAL/\xfe=(x).jpg") in build(tree).names


def test_a_tree_without_split_folders(tmp_path, image_tree, build):
    tree = image_tree(tmp_path / "tree", splits=())
    assert (build(tree).table["split"] == UNSPLIT).all()
    with pytest.raises(BadSource, match=r"12 images are in no folder named train or test. .* use data=folder"):
        build(tree, need_split=True)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_what_lacks_images_or_a_class(tmp_path, image_tree, pack, build, cache, on_error):
    def refused(root, *parts):
        with pytest.raises(BadSource) as caught:
            build(root, on_error=on_error)
        for part in (f"data.root={root}", *parts):
            assert part in str(caught.value)
        assert left_in(cache) == []

    refused(tmp_path / "missing", "does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no image was found")
    refused(pack(tmp_path / "empty", tmp_path / "empty.tar.gz"), "no image was found")
    (tmp_path / "texts/real").mkdir(parents=True)
    (tmp_path / "texts/real/a.txt").write_text("a")
    refused(tmp_path / "texts", "no image was found", ".txt (1)")
    tree = image_tree(tmp_path / "one", 3)
    for split in ("train", "test"):
        shutil.rmtree(tree / split / "FAKE")
    refused(tree, "all images are REAL", "two classes")
    for split in ("train", "test"):
        shutil.move(tree / split / "REAL", tree / split / "cats")
    refused(tree, "no image was found", "train/cats/ (3)", "data.real=[NAME]")
    refused(tree / "train/cats/0000 (1).jpg", "is not an archive")


def test_what_the_names_tell_is_told_before_anything_is_decoded(tmp_path, image_tree, build, monkeypatch):
    tree = image_tree(tmp_path / "tree", 3, splits=())
    shutil.rmtree(tree / "FAKE")
    monkeypatch.setattr("fakereal.data.store.build._decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadSource, match="all images are REAL"):
        build(tree)


def test_a_store_in_use_that_cannot_be_moved_is_told_before_the_decoding(tmp_path, image_tree, build, monkeypatch):
    """As on Windows, where a file is memory-mapped."""
    tree = image_tree(tmp_path / "tree", 3, splits=())
    build(tree)
    (tree / "REAL" / "0000 (1).jpg").unlink()
    monkeypatch.setattr("fakereal.data.store.build._decode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "denied")))
    with pytest.raises(UserError, match="is open in another process or notebook"):
        build(tree)


def test_no_roots_at_all(build):
    with pytest.raises(UserError, match=r"data.root=\[\]"):
        build()


def test_a_class_of_bad_images_only_is_no_class(tmp_path, image_tree, build, cache):
    tree = image_tree(tmp_path / "tree", 2, splits=())
    for path in (tree / "FAKE").iterdir():
        path.write_bytes(b"bad")
    with pytest.raises(BadSource, match="all images are REAL"):
        build(tree, on_error="skip")
    assert left_in(cache) == []


@pytest.mark.parametrize("alone", [99.0, 0.0])
def test_all_bad_files_are_named_and_can_be_skipped(tmp_path, image_tree, build, cache, monkeypatch, caplog, alone):
    caplog.set_level("INFO")
    tree = image_tree(tmp_path / "tree")
    expected = build(tree)
    monkeypatch.setattr(parallel, "ALONE", alone)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 8)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    bad = spoil(tree)

    def refused():
        with pytest.raises(BadSource) as caught:
            build(tree)
        first, *lines, last = str(caught.value).splitlines()
        assert first == f"data.root={tree}: {len(bad)} of {24 + len(bad)} images cannot be read:"
        assert "data.on_error=skip" in last and len(lines) == len(bad)
        for line in lines:
            name, reason = line.strip().removeprefix("train/REAL/").rsplit(": ", 1)
            assert bad[name] in reason

    refused()
    caplog.clear()
    skipped = build(tree, on_error="skip")
    assert f"Resuming after {24 + len(bad)} images" in caplog.text, "what could be read is kept"
    np.testing.assert_array_equal(skipped.table, expected.table)
    assert skipped.digest == expected.digest
    assert f"Left out {len(bad)} images" in caplog.text
    refused()  # although there is a store now
    assert build(tree, on_error="skip").folder == skipped.folder == expected.folder


@pytest.mark.skipif(os.name == "nt", reason="other permissions")
def test_a_file_that_can_be_read_again_is(tmp_path, image_tree, build, cache, monkeypatch):
    """As where its server did not answer: its size and time are what they were."""
    tree = image_tree(tmp_path / "tree", 4, splits=())
    expected, left = build(image_tree(tmp_path / "same", 4, splits=())), left_in(cache)
    lost = sorted((tree / "REAL").iterdir())[1]
    read = rgb.read_bytes

    def refuse(path):
        if Path(path) == lost:
            raise BadImage("Input/output error")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(decode_module, "read_bytes", refuse)
        with pytest.raises(BadSource, match=r"1 of 8 images cannot be read:(.|\n)*Input/output error"):
            build(tree)
    monkeypatch.setattr(decode_module, "read_bytes", lambda path: read(path) if Path(path) == lost else pytest.fail())
    found = build(tree)
    assert found.digest == expected.digest and found.meta["skipped"] == []
    np.testing.assert_array_equal(found.gather(np.arange(8)), expected.gather(np.arange(8)))
    assert len(left_in(cache)) == len(left) + 1


def test_a_finished_store_outlives_a_bad_file(tmp_path, image_tree, build, caplog):
    tree = image_tree(tmp_path / "tree", 4, splits=())
    build(tree)
    (tree / "REAL" / "bad.jpg").write_text("no image")
    with pytest.raises(BadSource, match=r"bad\.jpg"):
        build(tree)
    (tree / "REAL" / "bad.jpg").unlink()
    caplog.set_level("INFO")
    caplog.clear()
    build(tree)
    assert "Decoding" not in caplog.text


def test_processes_give_what_one_process_gives(tmp_path, image_tree, pack, build, monkeypatch):
    tree = image_tree(tmp_path / "tree", 20)
    expected = build(tree)
    monkeypatch.setattr(parallel, "ALONE", 0.0)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 7)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    found = build(pack(tree, tmp_path / "x.tar.xz"))
    np.testing.assert_array_equal(found.table, expected.table)
    np.testing.assert_array_equal(found.gather(np.arange(80)), expected.gather(np.arange(80)))


@pytest.mark.parametrize(
    ("waits", "works", "left"),
    [(0.5, 0, 0), (0, 0.5, 2), (2.5, 0, 3)],
    ids=["others have the cores", "long work", "a slow disk"],
)
def test_processes_are_started_for_work_and_for_slow_disks(monkeypatch, waits, works, left):
    """Of four tasks of 250 images, each of so many milliseconds, those that are left to processes."""
    clock = SimpleNamespace(wall=0.0, work=0.0)  # a machine with other work would have other times

    def decoded(contents, resize):
        clock.wall += (waits + works) / 1000 * len(contents)
        clock.work += works / 1000 * len(contents)
        return contents

    monkeypatch.setattr(parallel, "decode_many", decoded)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    times = SimpleNamespace(perf_counter=lambda: clock.wall, thread_time=lambda: clock.work)
    monkeypatch.setattr(parallel, "time", times)
    chunks = iter([[Entry("name", "", -1, b"", 0)] * 250] * 4)
    for _ in parallel._in_this_process(chunks, Resize(8), alone=0.01):
        pass
    assert len(list(chunks)) == left


def test_tasks_are_bounded_by_files_and_by_bytes():
    def sizes(*files, pixels=0):
        entries = [Entry("x", 0, 0, b"", size) for size in files]
        return [len(chunk) for chunk in parallel._chunks(entries, pixels)]

    assert sizes(*[1000] * 600) == [256, 256, 88]
    assert sizes(*[10 * 2**20] * 3) == [1, 1, 1]
    assert sizes(*[2**20] * 20) == [8, 8, 4]
    assert sizes(*[1000] * 600, pixels=3 * 1024**2) == [3] * 200  # the results are large
    assert sizes() == []


@linux
def test_memory_stays_bounded(tmp_path):
    """240 MB of images from an archive pass through a process that never holds so much."""
    buffer = io.BytesIO()
    Image.new("RGB", (1000, 1000), "red").save(buffer, "BMP")
    info = tarfile.TarInfo()
    info.size = len(buffer.getvalue())
    packed = gzip.compress(buffer.getvalue() + bytes(-info.size % 512), 1)
    with (tmp_path / "x.tar.gz").open("wb") as file:
        for index in range(80):
            info.name = f"{('real', 'fake')[index % 2]}/{index}.bmp"
            file.write(gzip.compress(info.tobuf()) + packed)
        file.write(gzip.compress(bytes(1024)))
    process = builder(tmp_path / "x.tar.gz", tmp_path / "cache", alone=0)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert int(out.split()[1]) < 200_000  # kB at the most; getrusage would count the parent's before it


def test_a_killed_worker_is_reported_and_none_is_left(tmp_path, image_tree, monkeypatch):
    monkeypatch.setattr(parallel, "ALONE", 0.0)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 1)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    files = sorted(image_tree(tmp_path / "tree", 20).rglob("*.jpg"))

    def entries():
        for number, path in enumerate(files):
            if number == 50:
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, signal.SIGKILL)
            yield Entry(path.name, 0, 0, str(path), 1000)

    with pytest.raises(UserError, match=r"A decoding process was killed.*memory"):
        list(decode_all(entries(), Resize(32)))
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


@pytest.fixture(scope="module")
def long_work(tmp_path_factory):
    """A tree that takes seconds to decode and, by hard links, a moment to make."""
    tree = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for name in ("real", "fake"):
        (tree / name).mkdir()
        Image.fromarray(noise).save(tree / name / "0.jpg")
        for index in range(1, 1500):
            os.link(tree / name / "0.jpg", tree / name / f"{index}.jpg")
    return tree


@contextmanager
def at_work(tree, cache):
    """A builder that has begun to write, and to decode in other processes."""
    process = builder(tree, cache, alone=0)
    try:
        end = time.monotonic() + 60
        while not any(path.stat().st_size for path in cache.glob("stores/*.part/pixels.bin")) or not group(process):
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.01)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def group(process):
    """The other processes of its group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgid = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgid) == process.pid and state != "Z" and int(path.parent.name) != process.pid:
            found.append(int(path.parent.name))
    return found


def gone(process, seconds=10):
    end = time.monotonic() + seconds
    while group(process) and time.monotonic() < end:
        time.sleep(0.05)
    return not group(process)


def test_a_script_without_a_main_guard_ends(tmp_path, image_tree, cache):
    """Its decoders import it, and with it the call that started them: they would wait for its lock for ever."""
    image_tree(tmp_path / "tree", 70)  # more than one task
    script = tmp_path / "script.py"
    script.write_text(BUILDER)
    command = [sys.executable, str(script), str(tmp_path / "tree"), str(cache), "0", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "under `if __name__ ==" in done.stderr
    assert not left_in(cache)


@linux
def test_after_an_interrupt_it_goes_on(long_work, cache, tmp_path):
    """To the very store that an uninterrupted building gives; also after a second interrupt."""
    before = 0
    for _ in range(2):
        with at_work(long_work, cache) as process:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
            _, err = process.communicate(timeout=30)
            assert process.returncode != 0 and "KeyboardInterrupt" in err and gone(process)
        (left,) = left_in(cache)
        kept = int(re.search(r"Interrupted: ([\d,]+) decoded images are kept", err)[1].replace(",", ""))
        assert left.endswith(".part") and before <= kept < 3000
        assert not before or f"Resuming after {before:,} images" in err
        before = kept
    whole, straight = (Path(folder) for folder in (cache, tmp_path / "other"))
    for folder in (whole, straight):
        done = builder(long_work, folder)
        _, err = done.communicate(timeout=120)
        assert done.returncode == 0 and (f"Resuming after {before:,} images" in err) == (folder == whole and before > 0)
    (one,), (other,) = left_in(whole), left_in(straight)
    assert one == other
    for name in ("pixels.bin", "table.npy", "paths.npy"):
        assert (whole / "stores" / one / name).read_bytes() == (straight / "stores" / one / name).read_bytes()
    assert sorted(path.name for path in (whole / "stores" / one).iterdir()) == [
        *("meta.json", "paths.npy", "pixels.bin", "table.npy")
    ]


@linux
def test_what_a_killed_builder_leaves_is_not_taken_for_other_files(long_work, image_tree, tmp_path, cache, build):
    tree = tmp_path / "[tree]*"  # whose name would mean something else to glob
    tree.symlink_to(long_work)
    with at_work(tree, cache) as process:
        process.kill()
        process.wait()
        assert gone(process)
    (left,) = left_in(cache)
    assert left.endswith(".part")
    tree.unlink()
    build(image_tree(tree))
    (store,) = left_in(cache)
    assert left == f"{store}.part"


def test_eight_processes_build_one_store_at_once(tmp_path, image_tree, cache):
    tree = image_tree(tmp_path / "tree", 50)
    processes = [builder(tree, cache) for _ in range(8)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, results
    assert len({out.split()[0] for out, _ in results}) == 1
    assert sum("Decoding" in err for _, err in results) == 1
    assert len(left_in(cache)) == 1


@pytest.mark.parametrize("limit", [12_000, 13_000])
def test_a_full_disk(tmp_path, image_tree, cache, limit):
    """A limit on the size of files, which four images exceed by their pixels (12,288 bytes) or by their paths."""
    tree = image_tree(tmp_path.joinpath("tree", *["d" * 245] * 13), 1).parents[12]
    process = builder(tree, cache, limit=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and f"UserError: data.cache_dir={cache}: no space left" in err
    assert left_in(cache) == []


def test_a_disk_that_is_really_full(tmp_path, image_tree, build, cache, monkeypatch, caplog):
    caplog.set_level("INFO")
    cache.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", cache], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        tree = image_tree(tmp_path / "tree", 20)
        with pytest.raises(UserError, match=r"data.cache_dir=.*: no space left .*nothing was kept"):
            build(tree)
        assert left_in(cache) == [] and "where 0.0 GB are free" in caplog.text
        monkeypatch.setattr(draft, "EVERY", 0.0)
        with pytest.raises(UserError, match=r"no space left .*kept in .*\.part, and the same command continues there"):
            build(tree)
        subprocess.run(["mount", "-o", "remount,size=2m", cache], check=True)
        caplog.clear()
        assert len(build(tree).table) == 80 and len(left_in(cache)) == 1
        assert "Resuming after" in caplog.text and "are free" not in caplog.text
    finally:
        subprocess.run(["umount", cache], check=True)


def test_a_cache_that_cannot_be(tmp_path, image_tree, build, cache):
    cache.write_text("a file")
    with pytest.raises(UserError, match=r"data.cache_dir=.*cannot be written"):
        build(image_tree(tmp_path / "tree", 2))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_in_a_cache_for_reading_only(tmp_path, image_tree, build, cache):
    tree = image_tree(tmp_path / "tree", 2)
    digest = build(tree).digest
    for path in (cache / "stores").iterdir():
        path.chmod(0o500)
    (cache / "stores").chmod(0o500)
    try:
        assert build(tree).digest == digest
        with pytest.raises(UserError, match=r"data.cache_dir=.*cannot be written"):
            build(tree, size=16)
    finally:
        (cache / "stores").chmod(0o700)


def test_others_may_read_the_store_as_the_umask_says(tmp_path, image_tree, build):
    before = os.umask(0o022)
    try:
        folder = build(image_tree(tmp_path / "tree", 2)).folder
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())


def test_the_store_remembers_what_it_was_built_from(tmp_path, image_tree, build):
    meta = json.loads((build(image_tree(tmp_path / "tree", 2)).folder / "meta.json").read_text())
    assert (meta["size"], meta["aspect"], meta["filter"], meta["skipped"]) == (32, "squash", "bilinear", [])
