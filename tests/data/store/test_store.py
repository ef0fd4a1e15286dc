"""A finished store: what it gives, and when it is believed."""

import json
import os
import shutil

import numpy as np
import pytest

from fakereal.data.image_set import content_digest
from fakereal.data.store.store import Store, open_store
from fakereal.runtime.files import write_json


@pytest.fixture
def store(tmp_path, image_tree, build):
    return build(image_tree(tmp_path / "tree", 4))


def reopened(store):
    return open_store(store.folder, store.meta["fingerprint"])


def test_rows_are_sorted_by_content(store):
    table = store.table
    keys = list(zip(table["split"].tolist(), table["label"].tolist(), table["hash"].tolist(), strict=True))
    assert keys == sorted(keys) and len(set(keys)) == 16


def test_gather_gives_writable_copies_in_the_order_asked_for(store):
    rows = np.array([5, 0, 5])
    pixels = store.gather(rows)
    assert pixels.shape == (3, 32, 32, 3) and pixels.dtype == np.uint8 and type(pixels) is np.ndarray
    np.testing.assert_array_equal(pixels[0], pixels[2])
    pixels[:] = 0
    assert store.gather(rows).any()
    with pytest.raises(ValueError):
        store.images[0] = 0


def test_the_digest_is_of_split_label_and_pixels_whatever_their_order(store):
    table = store.table.copy()
    assert content_digest(table, "pixel_hash") == content_digest(table[::-1], "pixel_hash") == store.digest
    assert content_digest(table[:-1], "pixel_hash") != store.digest
    for column in ("split", "label"):
        other = table.copy()
        other[column][0] ^= 1
        assert content_digest(other, "pixel_hash") != store.digest
    renamed = table.copy()
    renamed["hash"] = b"another encoding of the same pixels"[:16]
    assert content_digest(renamed, "pixel_hash") == store.digest
    assert content_digest(renamed, "hash") != store.files_digest == content_digest(table, "hash")


def test_an_untouched_store_is_believed(store):
    again, reason = reopened(store)
    assert isinstance(again, Store) and reason == ""
    np.testing.assert_array_equal(again.table, store.table)


@pytest.mark.parametrize("name", ["pixels.bin", "table.npy", "paths.npy", "meta.json"])
def test_a_store_that_was_cut_short_or_lacks_a_file(store, name):
    path = store.folder / name
    data = path.read_bytes()
    for length in (len(data) - 2, len(data) // 2, 0):
        path.write_bytes(data[:length])
        assert reopened(store)[0] is None
    path.write_bytes(data + b"\0")
    assert reopened(store)[0] is None
    path.unlink()
    assert reopened(store) == (None, f"{name} is missing")
    shutil.rmtree(store.folder)
    assert reopened(store) == (None, "it does not exist yet")


@pytest.mark.parametrize("name", ["pixels.bin", "table.npy", "paths.npy"])
def test_one_changed_bit_is_noticed(store, name):
    path = store.folder / name
    data = bytearray(path.read_bytes())
    for place in (len(data) - 1, len(data) - len(data) // 3):
        data[place] ^= 1
        path.write_bytes(data)
        assert reopened(store)[0] is None
        data[place] ^= 1
    path.write_bytes(data)
    assert reopened(store)[0] is not None  # as it was, though written again


@pytest.mark.parametrize(
    ("key", "value"), [("size", 16), ("digest", "0" * 64), ("skipped", [["x", "y"]]), ("format", 0)]
)
def test_changed_facts_are_noticed(store, key, value):
    meta = json.loads((store.folder / "meta.json").read_text())
    write_json(store.folder / "meta.json", meta | {key: value})
    assert reopened(store)[0] is None


def test_a_damaged_store_is_built_again(store, build, tmp_path):
    pixels = store.gather(np.arange(16))
    os.truncate(store.folder / "pixels.bin", 1000)
    again = build(tmp_path / "tree")
    assert again.folder == store.folder
    np.testing.assert_array_equal(again.gather(np.arange(16)), pixels)


def test_rows_can_be_had_in_the_order_of_their_pixels(store):
    rows = store.as_they_lie(np.arange(3, 16))
    assert sorted(rows.tolist()) == [*range(3, 16)] and (np.diff(store.rows[rows]) > 0).all()


def test_a_copied_store_is_checked_once_and_then_believed(store, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("fakereal.data.store.store.VERIFIED", 3 * 3 * 32 * 32)  # a few images at a time
    for path in store.folder.iterdir():
        os.utime(path, ns=(10**9, 10**9))
    stamps = json.loads((store.folder / "meta.json").read_text())["stamp"]
    assert reopened(store)[0] is not None
    meta = json.loads((store.folder / "meta.json").read_text())
    assert meta["stamp"] != stamps and meta["digest"] == store.digest
    before = (store.folder / "meta.json").stat().st_mtime_ns
    assert reopened(store)[0] is not None
    assert (store.folder / "meta.json").stat().st_mtime_ns == before
    assert caplog.text.count("was copied or touched") == 1


def test_another_source_is_another_store(store):
    assert open_store(store.folder, "another fingerprint") == (None, "its source has changed")


def test_what_is_no_store_at_all(tmp_path):
    (tmp_path / "meta.json").write_text("[1, 2]")
    for name in ("table.npy", "paths.npy", "pixels.bin"):
        (tmp_path / name).write_bytes(b"nonsense")
    store, reason = open_store(tmp_path, "x")
    assert store is None and reason.startswith("it is damaged")
