"""Gives altered files to the readers of images and archives: python tests/data/store/fuzz.py images 100000

A reader may answer with what it read, or refuse the file with BadImage or UserError. All else is a finding: another
exception, more than SECONDS, a process that dies. Input N is the same in every run: `--first N` goes on there.
"""

import argparse
import bz2
import faulthandler
import gzip
import io
import json
import lzma
import random
import resource
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fakereal.data.store.archives import ArchiveSource
from fakereal.data.store.decode import Resize, decode
from fakereal.data.store.rgb import BadImage
from fakereal.runtime.errors import UserError

SECONDS = 10.0  # that an input may take; a megapixel image takes a hundredth of one
HEADER = 128  # bytes in which half of the alterations fall
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def image_files() -> dict[str, bytes]:
    """Small images of every format that is read, and of the kinds in which a format comes."""
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    photo = coarse.resize((24, 20), Image.Resampling.BICUBIC)
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    deep = Image.fromarray((np.arange(480, dtype=np.uint16) * 130).reshape(20, 24))
    real = Image.fromarray(np.linspace(0, 1, 480, dtype=np.float32).reshape(20, 24))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    kinds = {
        "jpg": (photo, {"format": "JPEG"}),
        "progressive.jpg": (photo, {"format": "JPEG", "progressive": True, "subsampling": 0}),
        "grey.jpg": (photo.convert("L"), {"format": "JPEG"}),
        "cmyk.jpg": (photo.convert("CMYK"), {"format": "JPEG"}),
        "exif.jpg": (photo, {"format": "JPEG", "exif": exif, "comment": b"said", "dpi": (72, 72)}),
        "png": (photo, {"format": "PNG"}),
        "alpha.png": (clear, {"format": "PNG", "exif": exif}),
        "palette.png": (photo.quantize(16), {"format": "PNG", "transparency": 0}),
        "deep.png": (deep, {"format": "PNG"}),
        "moving.png": (photo, {"format": "PNG", "save_all": True, "append_images": [coarse.resize(photo.size)]}),
        "gif": (photo, {"format": "GIF"}),
        "moving.gif": (photo, {"format": "GIF", "save_all": True, "append_images": [coarse.resize(photo.size)]}),
        "webp": (clear, {"format": "WEBP", "exif": exif}),
        "lossless.webp": (photo, {"format": "WEBP", "lossless": True}),
        "bmp": (photo, {"format": "BMP"}),
        "palette.bmp": (photo.quantize(16), {"format": "BMP"}),
        "dib": (photo, {"format": "DIB"}),
        "tif": (photo, {"format": "TIFF", "exif": exif}),
        "packed.tif": (photo, {"format": "TIFF", "compression": "tiff_lzw"}),
        "jpeg.tif": (photo, {"format": "TIFF", "compression": "jpeg"}),
        "deep.tif": (deep, {"format": "TIFF", "compression": "tiff_adobe_deflate"}),
        "real.tif": (real, {"format": "TIFF"}),
        "mpo": (photo, {"format": "MPO", "save_all": True, "append_images": [coarse]}),
        "jp2": (photo, {"format": "JPEG2000"}),
        "ico": (clear, {"format": "ICO", "sizes": [(16, 16), (24, 20)]}),
        "ppm": (photo, {"format": "PPM"}),
        "avif": (clear, {"format": "AVIF"}),
        "qoi": (photo, {"format": "QOI"}),
    }
    Image.init()
    return {name: saved(image, how) for name, (image, how) in kinds.items() if how["format"] in Image.SAVE}


def saved(image: Image.Image, how: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **how)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], format: int, time: float, *links: tarfile.TarInfo) -> bytes:
    """With no more zeros after its end than it must have: half of the alterations would fall there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), time
            archive.addfile(member, io.BytesIO(data))
        for link in links:
            archive.addfile(link)
        end = archive.offset + 2 * tarfile.BLOCKSIZE
    return buffer.getvalue()[:end]


def gzipped(data: bytes) -> bytes:
    """Without the time, so that it is the same in every run."""
    return gzip.compress(data, mtime=0)


def archive_files() -> dict[str, bytes]:
    """An archive of each kind with a few small files, of which some have long names, are links or folders."""
    files = {"train/REAL/1.jpg": image_files()["jpg"], f"train/FAKE/{'long/' * 30}ü.png": b"\0" * 700, "empty.jpg": b""}
    link = tarfile.TarInfo("link.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "train/REAL/1.jpg"
    tar, pax = tar_of(files, tarfile.GNU_FORMAT, 0, link), tar_of(files, tarfile.PAX_FORMAT, 1.5)
    zips = {}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data, method)  # without the time
        zips[f"{method}.zip"] = buffer.getvalue()
    packed = {"tar.gz": gzipped(tar), "tar.bz2": bz2.compress(tar), "tar.xz": lzma.compress(tar)}
    return {"tar": tar, "pax.tar": pax, **packed, **zips}


def altered(files: list[bytes], dice: random.Random) -> bytes:
    """One of the files after one to six alterations."""
    data = bytearray(dice.choice(files))
    for _ in range(dice.randint(1, 6)):
        end = max(1, min(len(data), HEADER) if dice.random() < 0.5 else len(data))
        at, length = dice.randrange(end), dice.choice((1, 2, 4, 8, 16, 64, 256))
        match dice.randrange(8):
            case 0 if data:
                data[at] ^= 1 << dice.randrange(8)
            case 1 if data:
                data[at] = dice.randrange(256)
            case 2:
                width = dice.choice((1, 2, 4))
                number = dice.choice(NUMBERS) % 256**width
                data[at : at + width] = number.to_bytes(width, dice.choice(("little", "big")))
            case 3:
                del data[at:]
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = data[at : at + length] * dice.randint(1, 8)
            case 6:
                other = dice.choice(files)
                start = dice.randrange(len(other))
                data[at : at + length] = other[start : start + length]
            case 7:
                data[at:at] = dice.randbytes(length)
    return bytes(data)


def with_checksums(tar: bytes) -> bytes:
    """The tar with headers that say the right sum of their bytes, so that what they say otherwise is looked at."""
    data = bytearray(tar)
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    return bytes(data)


def read_image(data: bytes) -> None:
    """As training does: from the third file with the same header on, JPEG files are decoded by another library."""
    first, *others = (decode(data, Resize(16)).pixels for _ in range(3 if data.startswith(b"\xff\xd8") else 1))
    assert first.shape == (16, 16, 3) and first.dtype == np.uint8
    assert all(np.array_equal(first, other) for other in others)


def archive_reader(folder: Path) -> Callable[[bytes], None]:
    """Reads all files of an archive."""
    path = folder / "archive"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for file in ArchiveSource(path).files(lambda name: True):
            assert isinstance(file.content, bytes | BadImage)

    return read


def fuzz(what: str, first: int, count: int, kept: Path | None) -> dict:
    """What became of inputs `first` to `first + count`; those that are findings are kept as files."""
    with tempfile.TemporaryDirectory() as folder:
        files = list((image_files() if what == "images" else archive_files()).values())
        read = read_image if what == "images" else archive_reader(Path(folder))
        said, findings, slowest, began = Counter(), [], 0.0, time.monotonic()
        for number in range(first, first + count):
            dice = random.Random(f"{what} {number}")
            data = altered(files, dice)
            if what == "archives" and data[257:262] == b"ustar":  # altered before it is compressed
                data = dice.choice((bytes, with_checksums))(data)
                data = dice.choice((bytes, bytes, gzipped, bz2.compress, lzma.compress))(data)
            faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
            start = time.perf_counter()
            try:
                read(data)
                said["read"] += 1
            except (BadImage, UserError):
                said["refused"] += 1
            except Exception:
                findings.append(f"{what} {number}: {traceback.format_exc().strip().splitlines()[-1]}")
            took = time.perf_counter() - start
            if took > SECONDS:
                findings.append(f"{what} {number}: took {took:.1f} s")
            slowest = max(slowest, took)
            if kept and findings and findings[-1].startswith(f"{what} {number}:"):
                (kept / f"{what}_{number}").write_bytes(data)
            if number % 1000 == 999:
                print(f"{what} {number + 1:,}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        faulthandler.cancel_dump_traceback_later()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    return {
        "inputs": count,
        **said,
        "findings": findings,
        "slowest_seconds": round(slowest, 3),
        "most_memory_gib": round(memory, 3),
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("images", "archives"))
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that are findings")
    given = parser.parse_args()
    faulthandler.enable()
    result = fuzz(given.what, given.first, given.count, given.keep)
    print(json.dumps(result, indent=1))
    raise SystemExit(bool(result["findings"]))


if __name__ == "__main__":
    main()
