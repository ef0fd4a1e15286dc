"""The explore command, on trees whose figures are known."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from fakereal.data.image_set import InMemory
from fakereal.exploring.charts import sheet
from fakereal.exploring.measures import Measure, correlations, spread
from fakereal.exploring.pixels import class_means


@pytest.fixture
def tree(tmp_path):
    """REAL: 6 images of 40 x 20 in red, one of them 400 x 20; FAKE: 4 of 32 x 32 with stripes every other column."""
    for name in ("REAL", "FAKE"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    for number in range(6):
        pixels = np.full((20, 400 if number == 5 else 40, 3), (200, 10 * number, 30), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "tree" / "REAL" / f"{number}.png")
    for number in range(4):
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[:, ::2] = 100 + number
        Image.fromarray(pixels).save(tmp_path / "tree" / "FAKE" / f"{number}.png")
    return tmp_path / "tree"


def explored(run, tmp_path, *words):
    done = run("explore", "hydra.run.dir=out", *words)
    assert done.code == 0, done.text
    return json.loads((tmp_path / "out" / "explore.json").read_text()), done.text


def test_figures_of_a_folder(run, tree, tmp_path):
    (tree / "REAL" / "bad.png").write_text("no image")
    figures, text = explored(run, tmp_path, "data=folder", "data.root=tree", "data.size=32")
    assert {name: sum(split.values()) for name, split in figures["counts"].items()} == {"train": 6, "val": 2, "test": 2}
    assert [sum(split[name] for split in figures["counts"].values()) for name in ("REAL", "FAKE")] == [6, 4]
    assert figures["corrupt"]["files"] == 1 and "left out: 1" in text
    width = figures["measures"]["width"]
    assert (width["REAL"]["median"], width["REAL"]["highest"], width["FAKE"]["highest"]) == (40, 400, 32)
    assert width["REAL"]["outliers"] == pytest.approx(1 / 6) and width["FAKE"]["outliers"] == 0
    assert figures["correlation"]["width"]["aspect"] == pytest.approx(1, abs=0.01)
    assert figures["channels"]["REAL"]["mean"] == pytest.approx([200 / 255, 25 / 255, 30 / 255])
    assert figures["channels"]["REAL"]["std"] == pytest.approx([0, np.std(range(0, 60, 10)) / 255, 0], abs=1e-4)
    assert "10 images: 6 REAL and 4 FAKE, 32 to 400 pixels wide and 20 to 32 high" in text


def test_the_page_is_whole_and_offline(run, tree, tmp_path):
    explored(run, tmp_path, "data=folder", "data.root=tree", "data.size=32")
    page = (tmp_path / "out" / "explore.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    titles = ("Classes and splits", "Samples", "Sizes of the files", "Colours", "Mean images", "Power spectra")
    assert re.findall(r"<h2[^>]*>([^<]+)", page) == [*titles]
    text = (tmp_path / "out" / "explore.md").read_text()
    linked = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert linked and all((tmp_path / "out" / name).exists() for name in linked)
    red = np.asarray(Image.open(tmp_path / "out" / "figures" / "mean_images_1.png"))
    assert red[..., 0].min() == 200 and red[..., 2].max() == 30, "channels in their order"


def test_images_that_were_never_files_and_one_class_alone(run, tmp_path, image_tree):
    figures, _ = explored(run, tmp_path, "data=synthetic", "data.count=60")
    assert figures["measures"] == {} and [*figures["channels"]] == ["REAL", "FAKE"]
    for path in (image_tree(tmp_path / "tree", 5, splits=()) / "FAKE").iterdir():
        path.unlink()
    figures, _ = explored(run, tmp_path, "data=folder", "data.root=tree", "data.size=32")
    assert [*figures["channels"]] == ["REAL"] and figures["measures"]["width"]["REAL"]["median"] == 32
    assert figures["correlation"]["width"]["height"] is None, "constant"


def test_means_do_not_depend_on_batches(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
    label = np.arange(50) % 2
    images = InMemory(pixels, label)
    done = []
    whole = class_means(images, label, done.append)["FAKE"]
    monkeypatch.setattr("fakereal.data.passes.BATCH_BYTES", 7 * 16 * 16 * 3)
    parts = class_means(images, label, done.append)["FAKE"]
    assert done[0] == 50 and done[1:] == [7] * 7 + [1]
    held = pixels[label == 1] / 255
    for found in (whole, parts):
        np.testing.assert_allclose(found.image, held.mean(0), atol=1e-6)
        np.testing.assert_allclose(found.channel_std, held.std((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(whole.spectrum, parts.spectrum, rtol=1e-4, atol=1e-9)


def test_stripes_have_their_power_where_they_repeat():
    pixels = np.zeros((4, 16, 16, 3), np.uint8)
    pixels[:, :, ::2] = 255  # eight cycles an image, across
    label = np.zeros(4, int)
    spectrum = class_means(InMemory(pixels, label), label, lambda done: None)["REAL"].spectrum
    assert np.unravel_index(spectrum.argmax(), spectrum.shape) == (8, 0)
    assert spectrum.sum() == pytest.approx(16 * 16 * 0.25, rel=1e-3), "Parseval: the variance of zeros and ones"
    assert spectrum.max() == pytest.approx(spectrum.sum(), rel=1e-3)


def test_tukeys_fences():
    values = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 100.0])
    assert spread(values).outliers == 0.1 and spread(values).median == 5.5
    assert spread(np.full(3, 2.0)).outliers == 0


def test_a_constant_correlates_with_nothing():
    rising = Measure("a", "A", "", np.arange(5.0))
    falling = Measure("b", "B", "", -np.arange(5.0))
    constant = Measure("c", "C", "", np.full(5, 0.1))
    matrix = correlations([rising, falling, constant])
    assert matrix[0, 1] == pytest.approx(-1) and np.isnan(matrix[2]).all() and np.isnan(matrix[:, 2]).all()


@pytest.mark.parametrize("size", [8, 32, 72, 100])
def test_a_sheet_shows_each_image_in_its_place(size):
    images = np.stack([np.full((size, size, 3), 20 * number, np.uint8) for number in range(10)])
    side = {8: 72, 32: 64, 72: 72, 100: 72}[size]  # whole squares of pixels
    ground = sheet(images)
    assert ground.shape == (2 * side + 4, 8 * side + 7 * 4, 3)
    assert (ground[:side, side + 4 : 2 * side + 4] == 20).all() and (ground[side + 4 :, :side] == 160).all()


def test_bad_input(run, tmp_path):
    assert "examples" in run("explore", "examples=-1").text
    done = run("explore", "data=folder", "data.root=nowhere")
    assert done.code == 1 and "nowhere" in done.text
