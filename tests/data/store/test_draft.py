"""A draft: what was kept is the start of what would have been built, or nothing."""

import numpy as np
import pytest
from PIL import Image

from fakereal.data.store.decode import BadImage, Resize, decode
from fakereal.data.store.draft import Draft
from fakereal.data.store.entries import Entry

SIZE = 8
BYTES = 3 * SIZE**2


@pytest.fixture
def decoded(tmp_path):
    """Entries with images, the third of them bad; JPEG with two different quantisation tables."""
    found = []
    for number in range(6):
        path = tmp_path / f"{number}.jpg"
        pixels = np.random.default_rng(number).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=50 + 40 * (number % 2))
        image = BadImage("no image") if number == 2 else decode(path, Resize(SIZE))
        found.append((Entry(path.name, 0, number % 2, str(path), 100), image))
    return found


def kept(folder, decoded, *, until=6, saves=(1, 3), fingerprint="f"):
    draft = Draft(folder, fingerprint, BYTES)
    for number, (entry, image) in enumerate(decoded[len(draft) : until], start=len(draft)):
        draft.add(entry, image)
        if number in saves:
            draft.save()
    return draft


def result(draft):
    bad, tables = list(draft.bad), list(draft.tables)
    table, paths = draft.finish()
    draft.forget()
    return table.tobytes(), paths.tolist(), bad, tables, (draft.folder / "pixels.bin").read_bytes()


@pytest.fixture
def straight(tmp_path, decoded):
    return result(kept(tmp_path / "straight", decoded, saves=()))


@pytest.mark.parametrize("until", range(7))
def test_what_was_saved_is_not_decoded_again(tmp_path, decoded, straight, until):
    kept(tmp_path / "d", decoded, until=until).close()  # killed: what was added since the last part is lost
    again = Draft(tmp_path / "d", "f", BYTES)
    assert len(again) == {0: 0, 1: 0, 2: 2, 3: 2}.get(until, 4)
    again.close()
    assert result(kept(tmp_path / "d", decoded, saves=())) == straight
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["pixels.bin"]


def _cut(folder):
    (folder / "part-000002.npz").write_bytes(b"PK")


def _lose_pixels(folder):
    with (folder / "pixels.bin").open("r+b") as file:
        file.truncate(2 * BYTES)


def _lose_part(folder):
    (folder / "part-000001.npz").unlink()


@pytest.mark.parametrize("spoil, left", [(_cut, 2), (_lose_pixels, 2), (_lose_part, 0)])
def test_what_is_damaged_is_decoded_again(tmp_path, decoded, straight, spoil, left):
    kept(tmp_path / "d", decoded, until=5).close()
    spoil(tmp_path / "d")
    again = Draft(tmp_path / "d", "f", BYTES)
    assert len(again) == left
    again.close()
    assert result(kept(tmp_path / "d", decoded, saves=())) == straight


def test_other_files_begin_anew(tmp_path, decoded):
    kept(tmp_path / "d", decoded, until=5).close()
    assert len(Draft(tmp_path / "d", "other", BYTES)) == 0
    assert not [*(tmp_path / "d").glob("part-*")] and not (tmp_path / "d" / "pixels.bin").stat().st_size


def test_parts_are_saved_now_and_then(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr("fakereal.data.store.draft.EVERY", 0.0)
    kept(tmp_path / "d", decoded, saves=()).close()
    assert len([*(tmp_path / "d").glob("part-*.npz")]) == 6
