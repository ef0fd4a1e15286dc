"""Small JPEG files are read the quick way, and nothing but the time tells."""

import io
import random

import numpy as np
import pytest
from PIL import ExifTags, Image

from fakereal.data.store import jpeg
from fakereal.data.store.decode import Decoded, Resize, decode, decode_many
from fakereal.data.store.rgb import BadImage


@pytest.fixture(autouse=True)
def nothing_learnt():
    jpeg._seen.clear()
    jpeg._trusted.clear()


def photo(seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (32, 32), **options) -> bytes:
    rough = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rough).resize(size).convert(mode).save(buffer, options.pop("format", "JPEG"), **options)
    return buffer.getvalue()


def by_pillow(data: bytes, resize: Resize) -> Decoded | BadImage:
    jpeg._seen.clear()
    jpeg._trusted.clear()
    return decode_many([data], resize)[0]


def assert_same(one: Decoded | BadImage, other: Decoded | BadImage) -> None:
    assert type(one) is type(other)
    if isinstance(one, BadImage):
        assert str(one) == str(other)
        return
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.flags["C_CONTIGUOUS"] and one.facts == other.facts
    assert (one.bytes, one.hash, one.pixel_hash) == (other.bytes, other.hash, other.pixel_hash)


@pytest.mark.parametrize("size", [(32, 32), (33, 31), (1, 1), (90, 20)])
@pytest.mark.parametrize(
    "options", [{}, {"quality": 100, "subsampling": 0}, {"subsampling": 1}, {"progressive": True, "optimize": True}]
)
@pytest.mark.parametrize("resize", [Resize(32), Resize(32, "pad", "lanczos")])
def test_both_ways_give_the_same(size, options, resize):
    files = [photo(seed, size=size, **options) for seed in range(4)]
    quick = decode_many(files, resize)
    assert jpeg.read(files[3]) is not None
    for file, image in zip(files, quick, strict=True):
        assert_same(image, by_pillow(file, resize))


def test_only_the_third_file_with_a_header_is_read_the_quick_way():
    files = [photo(seed) for seed in range(3)]
    for file in files[:2]:
        assert jpeg.read(file) is None
        decode(file, Resize(32))
    assert jpeg.read(files[2]) is not None
    assert jpeg.read(photo(3, quality=50)) is None  # another header


@pytest.mark.parametrize("kind", ["cut", "changed", "shortened"])
def test_damaged_files_are_read_or_refused_as_by_pillow(kind):
    numbers, whole = random.Random(0), [photo(seed) for seed in range(30)]
    damaged = []
    for _ in range(200):
        data = bytearray(numbers.choice(whole))
        at = numbers.randrange(data.index(b"\xff\xda") + 12, len(data))
        if kind == "cut":
            del data[at:]
        elif kind == "changed":
            data[at] = numbers.randrange(256)
        else:
            del data[at : at + numbers.randrange(1, 40)]
        damaged.append(bytes(data))
    quick = decode_many([*whole, *damaged], Resize(32))[len(whole) :]
    assert jpeg._trusted
    expected = [by_pillow(file, Resize(32)) for file in damaged]
    for one, other in zip(quick, expected, strict=True):
        assert_same(one, other)
    assert any(isinstance(image, BadImage) for image in expected) or kind != "cut"


def exif() -> Image.Exif:
    said = Image.Exif()
    said[ExifTags.Base.Orientation] = 6
    return said


@pytest.mark.parametrize(
    "options",
    [{"mode": "L"}, {"mode": "CMYK"}, {"exif": exif()}, {"format": "PNG"}, {"icc_profile": bytes(5000)}],
    ids=["grey", "CMYK", "EXIF", "PNG", "long header"],
)
def test_what_is_not_plain_is_left_to_pillow(options):
    files = [photo(seed, size=(40, 30), **options) for seed in range(4)]
    for file in files:
        assert_same(decode(file, Resize(32)), decode(file, Resize(32)))
        assert jpeg.read(file) is None
    assert not jpeg._trusted


def test_a_decoder_that_gives_other_pixels_is_not_trusted(monkeypatch):
    monkeypatch.setattr(jpeg, "_decoded", lambda data: np.zeros((32, 32, 3), np.uint8))
    files = [photo(seed) for seed in range(5)]
    assert decode_many(files, Resize(32))[4].pixels.any() and not jpeg._trusted


@pytest.mark.parametrize(
    "odd", [b"\xff", b"\xff\xd8", b"\xff\x01", b"\xff\xd0"], ids=["fill", "start", "TEM", "restart"]
)
def test_a_header_that_cannot_be_walked_through_is_left_to_pillow(odd):
    data = photo()
    assert jpeg.header_of(data) and jpeg.header_of(data[:2] + odd + data[2:]) == b""


def test_few_headers_are_kept(monkeypatch):
    monkeypatch.setattr(jpeg, "KEPT", 4)
    for width in range(20, 40):
        for seed in range(2):
            decode(photo(seed, size=(width, 20)), Resize(32))
        assert len(jpeg._seen) <= 4 and len(jpeg._trusted) <= 4


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", photo()[:100], b"\xff\xd8\xff\xda" * 2])
def test_bytes_that_end_soon_have_no_header(data):
    assert jpeg.header_of(data) in (b"", data[:2])
