"""The gallery of a test in the report."""

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def report(run, tmp_path):
    def call():
        finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
        assert finished.code == 0, finished.text
        return (tmp_path / "report" / "report.html").read_text(), (tmp_path / "report" / "report.md").read_text()

    return call


def section(page):
    found = re.search(r'<section id="gallery">(.*?)</section>', page, flags=re.DOTALL)
    return found[1] if found else None


def galleries(outputs):
    """By job: the directory of its gallery, of those that are tested."""
    return {job: outputs / "test" / str(job) / "gallery" for job in (0, 1, 2)}


def test_the_best_tested_run_shows_its_tiles(report, outputs, tmp_path):
    page, markdown = report()
    text = section(page)
    shown = re.search(r"Test images of #(\d+) ", text)[1]
    with (tmp_path / "report" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["test/accuracy"]]
    assert shown == rows[0]["rank"], "the best by validation that is tested"
    folder = galleries(outputs)[int(rows[0]["run"].rsplit("/", 1)[1])]
    [sheet] = json.loads((folder / "gallery.json").read_text())["sheets"]
    images = [image for cell in sheet["cells"] for image in cell["images"]]
    tiles = re.findall(r'<img src="data:image/webp;base64,([^"]+)" alt="([^"]+)"', text)
    captions = [f"{image['prediction']} {image['prob_fake']:.4f}: {image['path']}" for image in images]
    assert [caption for _, caption in tiles] == captions and len(images) > 24
    pixels = np.asarray(Image.open(folder / sheet["file"]))
    left, top, right, bottom = images[5]["box"]
    tile = np.asarray(Image.open(io.BytesIO(base64.b64decode(tiles[5][0]))).convert("RGB"), dtype=float)
    assert np.abs(tile - pixels[top:bottom, left:right]).mean() < 6, (
        "the picture of that image, at most with JPEG's loss"
    )
    files = re.findall(r"!\[[^]]*\]\(figures/(gallery_\d+\.png)\)", markdown)
    held = [number for number, cell in enumerate(sheet["cells"]) if cell["images"]]
    assert files == [f"gallery_{number}.png" for number in held]
    assert all(Image.open(tmp_path / "report" / "figures" / name).size[0] == pixels.shape[1] for name in files)
    assert sum(len(data) for data, _ in tiles) < 800_000


def test_damage_is_told_and_nothing_is_no_section(report, outputs):
    for folder in galleries(outputs).values():
        (folder / "gallery.json").write_text('{"sheets": [{"file": "../../x.png", "group": null, "cells": []}]}')
    assert re.search(r"The gallery of #\d .* cannot be read: FileNotFoundError", section(report()[0]))
    for folder in galleries(outputs).values():
        (folder / "gallery.json").write_text('{"sheets": [{"fi')
    assert "is left out: gallery.json cannot be read" in section(report()[0])
    for folder in galleries(outputs).values():
        (folder / "gallery.json").unlink()
    page, markdown = report()
    assert section(page) is None and "sure hits" not in markdown
