"""What all templates share, of reports, model cards and the app's page: their environment and its filters."""

import base64
import io
import re
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image


def templates_of(folder: Path, *, autoescape: bool) -> Environment:
    """The templates in a folder, with the filters `md` (text as Markdown) and `inline` (pixels as a data URI)."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": escape_markdown, "inline": inline}
    return environment


def escape_markdown(text: str) -> str:
    """Text as Markdown that reads as it is, in a table too."""
    return re.sub(r"([\\`*|<>\[\]])", r"\\\1", " ".join(text.split()))


def inline(pixels: np.ndarray) -> str:
    """A data URI of pixels uint8 (H, W, 3): WebP, less than half as large as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "webp", quality=88)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
