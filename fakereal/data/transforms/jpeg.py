"""What saving as JPEG and opening again makes of images, on their device, each at its own quality.

The pixels are libjpeg's own, to the last bit, as Pillow calls it: baseline tables scaled by the quality, 4:2:0, the
accurate integer DCT (Loeffler, Ligtenberg & Moschytz 1989), triangular upsampling. Entropy coding, which loses
nothing, is left out. All is in int32, so that a sample does not depend on its batch or device.
"""

import functools

import torch
from torch import Tensor

# Of ITU-T T.81, annex K.1, row by row.
LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
BITS = 13  # of the fractions of the DCT's constants
PASS_BITS = 2  # that are kept between its two passes
HALF = 1 << 15  # of the fractions of the colour conversions' constants
Eight = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def reencoded(images: Tensor, quality: Tensor) -> Tensor:
    """Images uint8 (B, 3, H, W), RGB, saved at `quality` (B,), integers of 1 to 100, and opened again."""
    height, width = images.shape[-2:]
    luma, chroma = _to_ycc(images)
    tables = _tables(quality.to(images.device, torch.int32))
    luma = _quantized(_padded(luma, _up(height), _up(width)), tables[0])[:, :height, :width]
    half_height, half_width = -(-height // 2), -(-width // 2)
    # To the right whole pixels are repeated, below those that are halved already.
    small = _padded(_halved(_padded(chroma, 2 * half_height, 2 * _up(half_width))), _up(half_height), _up(half_width))
    small = _quantized(small, tables[1].repeat_interleave(2, 0))[:, :half_height, :half_width]
    return _to_rgb(luma, _doubled(small)[:, :height, :width])


def _to_ycc(images: Tensor) -> tuple[Tensor, Tensor]:
    """Luma (B, H, W), and Cb and Cr (2B, H, W), sample by sample."""
    red, green, blue = images.to(torch.int32).unbind(1)
    luma = (19595 * red + 38470 * green + 7471 * blue + HALF) >> 16
    middle = (128 << 16) + HALF - 1
    cb = (-11059 * red - 21709 * green + 32768 * blue + middle) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + middle) >> 16
    return luma, torch.stack([cb, cr], 1).flatten(0, 1)


def _to_rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    cb, cr = (chroma - 128).unflatten(0, (-1, 2)).unbind(1)
    red = luma + ((91881 * cr + HALF) >> 16)
    green = luma + ((-22554 * cb - 46802 * cr + HALF) >> 16)
    blue = luma + ((116130 * cb + HALF) >> 16)
    return torch.stack([red, green, blue], 1).clamp_(0, 255).to(torch.uint8)


def _tables(quality: Tensor) -> tuple[Tensor, Tensor]:
    """Divisors (B, 8, 8) of luma's and chroma's coefficients."""
    scale = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None, None]
    luminance, chrominance = ((_base(quality.device) * scale + 50) // 100).clamp(1, 255)
    return luminance, chrominance


@functools.cache  # a GPU is waited for when something is copied to it
def _base(device: torch.device) -> Tensor:
    return torch.tensor([LUMINANCE, CHROMINANCE], dtype=torch.int32, device=device).view(2, 1, 8, 8)


def _up(side: int) -> int:
    return -(-side // 8) * 8


def _padded(planes: Tensor, height: int, width: int) -> Tensor:
    """(N, H, W) with its last row and column repeated."""
    below, beside = height - planes.shape[1], width - planes.shape[2]
    planes = torch.cat([planes, planes[:, -1:].expand(-1, below, -1)], 1) if below else planes
    return torch.cat([planes, planes[:, :, -1:].expand(-1, -1, beside)], 2) if beside else planes


def _halved(planes: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; halves are rounded down and up in turn."""
    sums = planes[:, ::2, ::2] + planes[:, ::2, 1::2] + planes[:, 1::2, ::2] + planes[:, 1::2, 1::2]
    return (sums + 1 + torch.arange(sums.shape[2], dtype=torch.int32, device=sums.device) % 2) >> 2


def _doubled(planes: Tensor) -> Tensor:
    """Each pixel as four, three quarters of itself and one of its neighbour in each direction."""
    above = torch.cat([planes[:, :1], planes[:, :-1]], 1)
    below = torch.cat([planes[:, 1:], planes[:, -1:]], 1)
    rows = torch.stack([3 * planes + above, 3 * planes + below], 2).flatten(1, 2)
    left = torch.cat([rows[:, :, :1], rows[:, :, :-1]], 2)
    right = torch.cat([rows[:, :, 1:], rows[:, :, -1:]], 2)
    return torch.stack([(3 * rows + left + 8) >> 4, (3 * rows + right + 7) >> 4], 3).flatten(2, 3)


def _quantized(planes: Tensor, tables: Tensor) -> Tensor:
    """Planes (N, H, W) of whole blocks, their DCT's coefficients rounded to multiples of `tables` (N, 8, 8)."""
    number, height, width = planes.shape
    blocks = (planes - 128).view(number, height // 8, 8, width // 8, 8)
    rows = torch.stack(_forward(blocks.unbind(4), first=True), 4)
    found = torch.stack(_forward(rows.unbind(2), first=False), 2)
    table = tables[:, None, :, None, :]
    divisors = 8 * table  # the DCT's results are eight times as large
    found = found.sign() * ((found.abs() + divisors // 2) // divisors) * table
    columns = torch.stack(_inverse(found.unbind(2), first=True), 2)
    blocks = torch.stack(_inverse(columns.unbind(4), first=False), 4)
    return (blocks + 128).clamp_(0, 255).view(number, height, width)


def _forward(x: Eight, *, first: bool) -> Eight:
    """The DCT of eight values; constants are products of cosines, times 2**BITS."""
    t0, t1, t2, t3 = x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]
    t4, t5, t6, t7 = x[3] - x[4], x[2] - x[5], x[1] - x[6], x[0] - x[7]
    bits = BITS - PASS_BITS if first else BITS + PASS_BITS
    even, odd, a, b = t0 + t3, t1 + t2, t1 - t2, t0 - t3
    y0, y4 = even + odd, even - odd
    y0, y4 = (y0 << PASS_BITS, y4 << PASS_BITS) if first else (_scaled(y0, PASS_BITS), _scaled(y4, PASS_BITS))
    z = 4433 * (a + b)
    y2, y6 = _scaled(z + 6270 * b, bits), _scaled(z - 15137 * a, bits)
    y7, y5, y3, y1 = (_scaled(y, bits) for y in _rotated(t4, t5, t6, t7))
    return y0, y1, y2, y3, y4, y5, y6, y7


def _inverse(y: Eight, *, first: bool) -> Eight:
    z = 4433 * (y[2] + y[6])
    t2, t3 = z - 15137 * y[6], z + 6270 * y[2]
    t0, t1 = (y[0] + y[4]) << BITS, (y[0] - y[4]) << BITS
    a, b, c, d = t0 + t3, t1 + t2, t1 - t2, t0 - t3
    o0, o1, o2, o3 = _rotated(y[7], y[5], y[3], y[1])
    bits = BITS - PASS_BITS if first else BITS + PASS_BITS + 3
    return tuple(_scaled(x, bits) for x in (a + o3, b + o2, c + o1, d + o0, d - o0, c - o1, b - o2, a - o3))


def _rotated(t0: Tensor, t1: Tensor, t2: Tensor, t3: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The odd part, which is the same there and back."""
    outer, inner, z3, z4 = -7373 * (t0 + t3), -20995 * (t1 + t2), t0 + t2, t1 + t3
    z = 9633 * (z3 + z4)
    z3, z4 = z - 16069 * z3, z - 3196 * z4
    return 2446 * t0 + outer + z3, 16819 * t1 + inner + z4, 25172 * t2 + inner + z3, 12299 * t3 + outer + z4


def _scaled(x: Tensor, bits: int) -> Tensor:
    """x / 2**bits, rounded."""
    return (x + (1 << (bits - 1))) >> bits
