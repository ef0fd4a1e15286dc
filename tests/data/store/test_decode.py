"""Images of every kind, well and badly made, to pixels of one size."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from hashlib import blake2b

import numpy as np
import pytest
from PIL import ExifTags, Image, JpegImagePlugin, features
from PIL.PngImagePlugin import PngInfo

from fakereal.data.store.decode import METADATA, Resize, decode, decode_many
from fakereal.data.store.rgb import MAX_BYTES, MAX_PIXELS, BadImage, image_extensions, open_image

# 2 x 3 pixels, no two of them alike: what turns or swaps them shows.
COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 0], [0, 255, 255], [40, 80, 120]]], dtype=np.uint8
)


def encode(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def rgb(data: bytes) -> np.ndarray:
    return np.asarray(open_image(data)[1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, pixels: bytes, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def big(image: np.ndarray) -> Image.Image:
    """Each pixel as 16 x 16, so that lossy formats keep its colour."""
    return Image.fromarray(image.repeat(16, 0).repeat(16, 1))


@pytest.mark.parametrize("format", ["PNG", "BMP", "DIB", "PPM", "TIFF", "QOI", "GIF", "ICO", "WEBP", "JPEG2000"])
def test_lossless_formats_keep_every_pixel(format):
    options = {"WEBP": {"lossless": True}, "ICO": {"sizes": [(48, 32)]}}.get(format, {})
    image = big(COLOURS)
    stored, seen = open_image(encode(image, format, **options))
    assert stored.size == (48, 32) and seen.mode == "RGB"
    np.testing.assert_array_equal(seen, image)


@pytest.mark.parametrize("format", ["JPEG", "MPO", "WEBP", "AVIF"])
def test_lossy_formats_keep_the_colours(format):
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    image, options = big(COLOURS), {"subsampling": 0} if format in ("JPEG", "MPO") else {}
    seen = rgb(encode(image, format, quality=95, **options))
    assert np.abs(seen[8::16, 8::16].astype(int) - COLOURS).max() <= 12


def test_grey_bilevel_palette_and_cmyk_become_the_colours_they_show():
    image = Image.fromarray(COLOURS)
    grey = rgb(encode(image.convert("L"), "PNG"))
    np.testing.assert_array_equal(grey, np.asarray(image.convert("L"))[..., None].repeat(3, -1))
    bilevel = rgb(encode(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"), "PNG"))
    assert bilevel.tolist() == [[[0, 0, 0], [255, 255, 255]]]
    np.testing.assert_array_equal(rgb(encode(image.quantize(8), "PNG")), COLOURS)
    # Photoshop's CMYK JPEGs are stored inverted, and so are Pillow's.
    cmyk = rgb(encode(big(COLOURS).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk[8::16, 8::16].astype(int) - COLOURS).max() <= 12
    np.testing.assert_array_equal(rgb(encode(image.convert("CMYK"), "TIFF")), COLOURS)


def test_transparency_is_seen_on_white():
    clear, half = (200, 100, 0, 0), (200, 100, 0, 128)
    image = Image.fromarray(np.array([[clear, half, (200, 100, 0, 255)]], np.uint8))
    expected = [[255, 255, 255], [227, 177, 127], [200, 100, 0]]
    for format, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert np.abs(rgb(encode(image, format, **options))[0].astype(int) - expected).max() <= 1
    grey = Image.fromarray(np.array([[[10, 0], [10, 255]]], np.uint8), "LA")
    assert rgb(encode(grey, "PNG")).tolist() == [[[255] * 3, [10] * 3]]


def test_a_transparent_colour_of_a_palette_or_of_plain_rgb_is_white_too():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert rgb(encode(palette, "GIF", transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 255]]]
    assert rgb(encode(palette, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 255]]]
    key = png(2, 1, 8, 2, bytes([0, 255, 0, 0, 0, 0, 255]), chunk(b"tRNS", struct.pack(">3H", 255, 0, 0)))
    assert rgb(key).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_sixteen_bits_are_scaled_not_clipped():
    levels = np.array([[0, 257 * 100, 65535]], np.uint16)
    for data in (
        encode(Image.fromarray(levels), "PNG"),
        encode(Image.fromarray(levels), "TIFF"),
        encode(Image.fromarray(levels.astype(np.int32)), "TIFF"),
        encode(Image.frombytes("I;16B", (3, 1), levels.astype(">u2").tobytes()), "TIFF"),
        png(3, 1, 16, 0, b"\0" + levels.astype(">u2").tobytes()),
    ):
        assert rgb(data)[0, :, 0].tolist() == [0, 100, 255]
    colours = np.array([65535, 257 * 100, 0, 0, 0, 65535], ">u2").tobytes()
    assert rgb(png(2, 1, 16, 2, b"\0" + colours)).tolist() == [[[255, 100, 0], [0, 0, 255]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255]), ([-5.0, 500.0, 1000.0], [0, 128, 255])],
)
def test_floating_point_is_scaled_from_its_range(values, expected):
    data = encode(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert rgb(data)[0, :, 1].tolist() == expected


def test_floating_point_that_is_no_number_is_black():
    data = encode(Image.fromarray(np.array([[np.nan, np.inf, 1.0]], np.float32)), "TIFF")
    assert rgb(data)[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation, format):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = big(COLOURS)
    # The stored image, turned as EXIF says, is the image: so it is stored turned the other way.
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}.get(orientation, [])
    stored = image
    for turn in turns:
        stored = stored.transpose(Image.Transpose(turn))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(format, {})
    seen = rgb(encode(stored, format, exif=exif, **options))
    assert seen.shape == (32, 48, 3)
    assert np.abs(seen[8::16, 8::16].astype(int) - COLOURS).max() <= (12 if format == "JPEG" else 0)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage that is no TIFF header",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff and then far too little",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\2\0\0\0\1\0\6\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\x63\0\0\0\0\0\0",
        b"Exif\0\0MM\0*" + bytes(range(256)),
    ],
)
def test_a_broken_exif_block_does_not_spoil_the_pixels(block, recwarn):
    plain = encode(big(COLOURS), "JPEG")
    np.testing.assert_array_equal(rgb(encode(big(COLOURS), "JPEG", exif=block)), rgb(plain))
    assert not recwarn.list


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO", "AVIF"])
def test_the_first_frame_is_taken(format):
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert np.abs(rgb(data).reshape(-1, 3).astype(int) - (255, 0, 0)).max() <= 4


def test_ten_thousand_frames_cost_no_more_than_one():
    data = encode(Image.new("L", (64, 64), 77), "GIF")
    start, end = data.index(b","), len(data) - 1
    film = data[:start] + data[start:end] * 10_000 + data[end:]
    begun = time.process_time()
    assert (rgb(film) == 77).all()
    assert time.process_time() - begun < 0.5


JPEG = encode(big(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)), "JPEG")
PNG = encode(big(COLOURS), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is a text file", "not an image"),
        (b"\0" * 5000, "not an image"),
        (b"\xff\xd8\xff", None),
        (JPEG[:2], "not an image"),
        (JPEG[:40], None),
        (JPEG[:200], None),
        (JPEG[: len(JPEG) // 2], "[Tt]runcated"),
        (PNG[:20], None),
        (PNG[: len(PNG) - 30], None),
        (PNG[:50] + bytes(20) + PNG[70:], None),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png(60_000, 60_000, 8, 2, b""), "pixels"),
        (png(9_500, 9_500, 1, 0, b""), "pixels"),
        (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "pixels"),
        (png(0, 5, 8, 2, b""), None),
    ],
)
def test_what_is_no_image_says_why(data, reason):
    with pytest.raises(BadImage, match=reason) as caught:
        decode(data, Resize(32))
    assert str(caught.value)


def test_a_bomb_does_not_go_off():
    """20,000 x 20,000 pixels, all there, in a file of 50 kB."""
    data = png(20_000, 20_000, 1, 0, bytes(20_000 * 2501))
    begun = time.process_time()
    with pytest.raises(BadImage, match="bomb"):
        decode(data, Resize(32))
    assert time.process_time() - begun < 0.2


def test_a_bomb_in_the_text_of_an_image_does_not_go_off():
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(8 * 2**20)))
    with pytest.raises(BadImage, match="too large"):
        decode(png(1, 1, 8, 0, b"\0\0", bomb), Resize(32))


def test_the_limit_on_pixels_is_not_a_limit_on_photographs():
    assert MAX_PIXELS > 80e6
    width = 5_000
    data = png(width, width, 1, 0, bytes(width * (1 + (width + 7) // 8)))
    assert decode(data, Resize(8)).facts.width == width


def test_garbage_after_the_end_does_no_harm():
    np.testing.assert_array_equal(rgb(JPEG + os.urandom(999)), rgb(JPEG))
    np.testing.assert_array_equal(rgb(PNG + b"<?php"), rgb(PNG))


@pytest.mark.parametrize("aspect", ["squash", "crop", "native", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 32), (7, 300)])
def test_every_shape_becomes_a_square(size, aspect):
    pixels = decode(encode(Image.new("RGB", size, "red"), "PNG"), Resize(32, aspect)).pixels
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    if aspect != "pad":
        assert (pixels == (255, 0, 0)).all()
    else:
        assert (pixels == (255, 0, 0)).all(-1).any()


def test_aspects_and_filters_mean_what_they_say():
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, :32], wide[:, 32:64], wide[:, 64:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    data = encode(Image.fromarray(wide), "PNG")
    assert (decode(data, Resize(32, "crop")).pixels == (0, 255, 0)).all()
    padded = decode(data, Resize(96, "pad")).pixels
    np.testing.assert_array_equal(padded[32:64], wide)
    assert not padded[:32].any() and not padded[64:].any()
    squashed = decode(data, Resize(32, "squash", "nearest")).pixels
    np.testing.assert_array_equal(squashed, wide[:, 1::3])
    for name in ("box", "bilinear", "hamming", "bicubic", "lanczos"):
        expected = Image.fromarray(wide).resize((16, 16), Image.Resampling[name.upper()])
        np.testing.assert_array_equal(decode(data, Resize(16, filter=name)).pixels, expected)


def test_an_image_of_the_right_size_is_not_resampled():
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for aspect in ("squash", "crop", "native", "pad"):
        decoded = decode(encode(Image.fromarray(noise), "PNG"), Resize(32, aspect, "lanczos"))
        np.testing.assert_array_equal(decoded.pixels, noise)


def test_native_cuts_the_middle_and_changes_no_pixel_of_it():
    noise = np.random.default_rng(2).integers(0, 256, (41, 67, 3), dtype=np.uint8)
    for image_format in ("PNG", "BMP"):
        cut = decode(encode(Image.fromarray(noise), image_format), Resize(32, "native", "lanczos"))
        np.testing.assert_array_equal(cut.pixels, noise[4:36, 17:49])
        assert cut.facts[:2] == (67, 41)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = decode(encode(Image.fromarray(noise), "PNG", exif=exif), Resize(32, "native")).pixels
    np.testing.assert_array_equal(turned, np.rot90(noise, -1)[17:49, 4:36])


@pytest.mark.parametrize("size", [(31, 90), (90, 31), (12, 20)])
def test_native_enlarges_what_is_too_small_as_crop_does(size):
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), "PNG")
    np.testing.assert_array_equal(decode(data, Resize(32, "native")).pixels, decode(data, Resize(32, "crop")).pixels)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_the_facts_of_a_jpeg(subsampling):
    data = encode(big(COLOURS), "JPEG", quality=61, subsampling=subsampling)
    decoded = decode(data, Resize(8))
    assert decoded.facts[:4] == (48, 32, "RGB", "JPEG")
    assert decoded.bytes == len(data) and decoded.facts.subsampling == subsampling
    tables = Image.open(io.BytesIO(data)).quantization
    assert decoded.facts.quantization == tuple(tuple(table) for table in tables.values())
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(data))) == subsampling
    assert decoded.hash == blake2b(data, digest_size=16).digest()
    assert decoded.pixel_hash == blake2b(decoded.pixels.tobytes(), digest_size=16).digest()


def metadata_of(image_format, image=COLOURS, **options):
    bits = decode(encode(big(image), image_format, **options), Resize(8)).facts.metadata
    return {name for bit, name in enumerate(METADATA) if bits >> bit & 1}


def test_what_a_file_has_beside_its_pixels():
    exif, text = Image.Exif(), PngInfo()
    exif[ExifTags.Base.Software] = "x"
    text.add_itxt("parameters", "steps: 20")
    assert metadata_of("JPEG") == {"JFIF marker"}
    assert metadata_of("BMP") == {"density"} and metadata_of("WEBP") == metadata_of("PNG") == set()
    assert metadata_of("PNG", pnginfo=text) == metadata_of("GIF", comment=b"x") == {"text"}
    assert metadata_of("PNG", exif=exif, icc_profile=b"x") == {"EXIF", "ICC profile"}
    full = {"exif": exif, "icc_profile": b"x", "comment": b"x", "xmp": b"x", "progressive": True, "dpi": (72, 72)}
    names = {"JFIF marker", "EXIF", "ICC profile", "text", "XMP", "progressive", "density"}
    assert metadata_of("JPEG", **full) == names
    signed = b"\xff\xeb\x00\x10jumb....c2pa.."
    assert metadata_of("JPEG", extra=signed) == {"JFIF marker", "C2PA"}


def test_the_facts_of_other_images():
    decoded = decode(encode(Image.new("LA", (5, 3)), "PNG"), Resize(8))
    assert decoded.facts[:4] == (5, 3, "LA", "PNG")
    assert decoded.facts.subsampling == -1 and decoded.facts.quantization == ()
    grey = decode(encode(Image.new("L", (9, 9)), "JPEG"), Resize(8))
    assert grey.facts.subsampling == -1 and len(grey.facts.quantization) == 1


def test_a_path_gives_what_its_bytes_give(tmp_path):
    path = tmp_path / "a (1)=b.txt"
    path.write_bytes(JPEG)
    for given in (path, str(path)):
        np.testing.assert_array_equal(decode(given, Resize(16)).pixels, decode(JPEG, Resize(16)).pixels)
        np.testing.assert_array_equal(open_image(given)[1], open_image(JPEG)[1])


def test_paths_that_are_no_files_are_named_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: it takes no room
    for name, reason in {
        "pipe.jpg": "not a regular file",
        "folder.jpg": "not a regular file",
        "dangling.jpg": "No such file",
        "loop.jpg": "symbolic links",
        "large.jpg": "MiB, more than",
    }.items():
        with pytest.raises(BadImage, match=reason):
            decode(tmp_path / name, Resize(8))
    with pytest.raises(BadImage, match="not a regular file"):
        decode("/dev/zero", Resize(8))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    with pytest.raises(BadImage, match="Permission denied"):
        decode(path, Resize(8))


def test_many_at_once_keep_their_order_and_the_bad_their_place():
    refused = BadImage("a link")
    first, second, third, fourth = decode_many([PNG, b"no image", refused, JPEG], Resize(8))
    assert (first.facts.format, fourth.facts.format) == ("PNG", "JPEG")
    assert isinstance(second, BadImage) and third is refused
    assert first.pixels.shape == (8, 8, 3)


def test_random_damage_never_raises_anything_else():
    numbers = np.random.default_rng(3)
    originals = [JPEG, PNG, encode(big(COLOURS), "GIF"), encode(big(COLOURS), "TIFF"), encode(big(COLOURS), "WEBP")]
    for data in originals:
        for _ in range(60):
            damaged = bytearray(data)
            for place in numbers.integers(0, len(data), 8):
                damaged[place] = numbers.integers(0, 256)
            (result,) = decode_many([bytes(damaged)], Resize(8))
            assert isinstance(result, BadImage) or result.pixels.shape == (8, 8, 3)


def test_extensions_are_those_of_photographs():
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".jfif",
        ".apng",
        ".heic",
    } <= image_extensions()
    assert not {".eps", ".ps", ".wmf", ".pdf", ".mpg", ".h5", ".txt", ".zip", ""} & image_extensions()


@pytest.mark.parametrize("module", ["fakereal.data.store.decode", "fakereal.data.store.worker", "fakereal.train"])
def test_what_a_decoding_process_imports_is_light(module):
    """A worker imports the first two, and the command's own module once more."""
    heavy = {"torch", "lightning", "timm", "torchvision", "scipy", "pydantic"}
    if module != "fakereal.train":
        heavy |= {"hydra", "omegaconf", "rich"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
