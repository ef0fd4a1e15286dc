"""Image trees with known faults."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter


@pytest.fixture
def picture() -> Callable[[int], Image.Image]:
    """`picture(seed)`: a 32 px image with broad shapes and fine detail; other seeds give unlike images."""

    def draw(seed: int, side: int = 32) -> Image.Image:
        numbers = np.random.default_rng(seed)
        coarse = Image.fromarray(numbers.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        broad = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=float)
        fine = numbers.normal(0, 12, (side, side, 1))
        image = Image.fromarray(np.clip(0.8 * broad + fine + 20, 0, 255).astype(np.uint8))
        return image.filter(ImageFilter.GaussianBlur(0.5))

    return draw


@pytest.fixture
def tree(tmp_path, picture) -> Callable[..., Path]:
    """`tree(per_class, save)`: train and test folders of unlike images; `save(image, path, label)` writes one."""

    def plain(image: Image.Image, path: Path, label: str) -> None:
        image.save(path.with_suffix(".jpg"), quality=85)

    def write(per_class: int, save=plain, splits=("train", "test"), folder="tree") -> Path:
        root, seed = tmp_path / folder, 0
        for split in splits:
            for label in ("REAL", "FAKE"):
                (root / split / label).mkdir(parents=True)
                for number in range(per_class):
                    save(picture(seed), root / split / label / f"{number:04d} ({number % 10 + 1})", label)
                    seed += 1
        return root

    return write


@pytest.fixture
def audit(run, tmp_path) -> Callable[..., tuple[dict[str, Any], str]]:
    """`audit("data=folder", ...)`: what audit.json holds and what was printed; the files are in tmp_path/out."""

    def call(*words: str) -> tuple[dict[str, Any], str]:
        done = run("audit", f"hydra.run.dir={tmp_path / 'out'}", "data.size=32", "threads=1", *words)
        assert done.code == 0, done.text
        return json.loads((tmp_path / "out" / "audit.json").read_text()), done.text

    return call
