"""Whatever the names, sizes and numbers: files are found, archives read, pixels kept, epochs dealt."""

import io
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakereal.data.loader import EpochBatches
from fakereal.data.store.archives import ArchiveSource
from fakereal.data.store.decode import Resize, decode
from fakereal.data.store.rgb import image_extensions
from fakereal.data.store.sources import FolderSource, is_hidden

PART = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=20)
PART = PART.filter(lambda name: name not in (".", "..") and len(name.encode()) < 100)
ENDING = st.sampled_from([".jpg", ".PNG", ".webp", ".tiff", ".txt", ".json", ""])
NAME = st.builds(
    lambda folders, stem, end: "/".join([*folders, f"{stem}{end}"]), st.lists(PART, max_size=3), PART, ENDING
)
FILES = st.dictionaries(NAME, st.binary(max_size=700), max_size=8)


def images_of(files):
    """Those whose name may be an image's, hidden ones left out."""
    endings = image_extensions() | {""}
    kept = (name for name in files if os.path.splitext(name)[1].lower() in endings)
    return sorted(name for name in kept if not any(is_hidden(part) for part in name.split("/")))


@given(FILES)
def test_the_images_of_a_folder_are_found_in_the_order_of_their_names(files):
    with tempfile.TemporaryDirectory() as folder:
        there = set()
        for name, data in files.items():
            path = Path(folder, name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            except OSError:  # a file where another name has a folder
                continue
            there.add(name)
        source = FolderSource(Path(folder))
        found = list(source.files(lambda name: True))
        assert [file.name for file in found] == images_of(there)
        assert [Path(file.content).read_bytes() for file in found] == [files[name] for name in images_of(there)]
        assert source.done == source.total == sum(len(files[name]) for name in images_of(there))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
@given(files=FILES)
def test_an_archive_gives_what_was_put_into_it(kind, files):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "archive")
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in files.items():
                    archive.writestr(zipfile.ZipInfo(name), data)
        else:
            with tarfile.open(path, f"w:{kind[4:]}") as archive:
                for name, data in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        source = ArchiveSource(path)
        found = {file.name: file.content for file in source.files(lambda name: True)}
        assert found == {name: files[name] for name in images_of(files)} and source.done == source.total


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "QOI", "PPM"])
@given(side=st.integers(1, 24), seed=st.integers(0, 99), target=st.integers(1, 40))
def test_pixels_of_the_right_size_are_kept_and_others_resized(format, side, seed, target):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    np.testing.assert_array_equal(decode(buffer.getvalue(), Resize(side)).pixels, pixels)
    assert decode(buffer.getvalue(), Resize(target)).pixels.shape == (target, target, 3)


@given(
    length=st.integers(1, 400), batch=st.integers(1, 64), world=st.integers(1, 8), epoch=st.integers(0, 9),
    done=st.integers(0, 30),
)  # fmt: skip
def test_every_image_comes_once_an_epoch_whatever_the_ranks(length, batch, world, epoch, done):
    ranks = [EpochBatches(length, batch, shuffle=True, seed=5, rank=rank, world=world) for rank in range(world)]
    for share in ranks:
        share.set_epoch(epoch)
    together = list(zip(*ranks, strict=True))  # as many batches on each rank
    seen = [share.positions[share.weights > 0] for shares in together for share in shares]
    assert sorted(np.concatenate(seen)) == list(range(length))
    for shares in together:
        assert sum(share.weights.sum() for share in shares) == pytest.approx(world, rel=1e-5)
    ranks[0].done = lambda: done  # a run that goes on within the epoch
    left = list(ranks[0])
    start = done % len(together)
    assert len(left) == len(together) - start
    for share, (expected, *_) in zip(left, together[start:], strict=True):
        np.testing.assert_array_equal(share.positions, expected.positions)
