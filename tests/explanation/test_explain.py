"""The explain command, on checkpoints of tiny networks."""

import csv
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakereal.explanation import page as pages
from fakereal.explanation import run as explanation

CPU = "trainer.accelerator=cpu"


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def checkpoint(run, quick, kept, tmp_path):
    """`checkpoint("lenet")`: of one epoch of a network."""

    def of(model):
        path = kept / f"{model}.ckpt"
        if not path.exists():
            given = [word for word in quick if not word.startswith("model")]
            words = ["model=lenet"] if model == "lenet" else ["model=timm", f"model.backbone={model}"]
            finished = run("train", *given, *words)
            assert finished.code == 0, finished.text
            shutil.copy(tmp_path / "run" / "checkpoints" / "best.ckpt", path)
        return path

    return of


@pytest.fixture
def images(tmp_path):
    """in/: two images of the same name in two folders, a large one, and a file that is none."""
    numbers = np.random.default_rng(0)
    for name, shape in (("a/x (1).png", (32, 32, 3)), ("b/x (1).png", (40, 30, 3)), ("c.png", (300, 420, 3))):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, shape, dtype=np.uint8)).save(path)
    (tmp_path / "in" / "d.jpg").write_text("no image")
    return tmp_path / "in"


def table(folder, name="explanations.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_image_has_its_overlay_and_a_bad_file_its_row(run, checkpoint, images, tmp_path):
    words = (f"ckpt_path={checkpoint('lenet')}", CPU, "images=in")
    assert run("predict", *words, "hydra.run.dir=predicted").code == 1
    finished = run("explain", *words, "hydra.run.dir=out")
    assert finished.code == 1 and "1 of 4 files have no map; their rows say why" in finished.text
    assert "Traceback" not in finished.text
    rows, predicted = table(tmp_path / "out"), table(tmp_path / "predicted", "predictions.csv")
    for column in ("path", "prediction", "prob_fake", "error"):
        assert [row[column] for row in rows] == [row[column] for row in predicted]
    assert [bool(row["map"]) for row in rows] == [True, True, True, False] and rows[3]["error"]
    assert [row["explained"] for row in rows] == [row["prediction"] for row in rows]
    assert len({row["map"] for row in rows[:3]}) == 3, "of two files of one name neither is lost"
    sizes = [Image.open(tmp_path / "out" / row["map"]).size for row in rows[:3]]
    assert sizes == [(256, 256), (210, 280), (420, 300)], "small ones grow by whole factors, large ones stay"
    page = (tmp_path / "out" / "explanations.html").read_text()
    assert page.count("<img ") == 4 and page.count('src="data:image/') == 4, "a colour bar and three images"
    assert "src=" not in page.replace('src="data:', "")
    for text in ("How to read a map", "not why", "not an image that can be read", f"{float(rows[0]['prob_fake']):.4f}"):
        assert text in page
    assert "each pixel as a square" in finished.text


def test_the_overlay_is_that_of_the_map(run, checkpoint, images, tmp_path):
    import torch

    from fakereal.explanation.evidence import EvidenceMap
    from fakereal.explanation.overlay import overlay
    from fakereal.models.checkpoint import load_classifier

    path = checkpoint("lenet")
    for target in ("predicted", "fake", "real"):
        words = (f"ckpt_path={path}", CPU, "images=in/a", f"target={target}", f"hydra.run.dir={target}")
        finished = run("explain", *words)
        assert finished.code == 0, finished.text
    pixels = np.asarray(Image.open(images / "a" / "x (1).png"))
    cam = EvidenceMap(load_classifier(path).classifier)
    batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    for target in ("fake", "real"):
        [row] = table(tmp_path / target)
        assert row["explained"] == target.upper()
        expected = overlay(pixels, cam(batch, torch.tensor([target == "fake"]))[0].numpy())
        assert np.array_equal(np.asarray(Image.open(tmp_path / target / row["map"]))[::8, ::8], expected)
    [row] = table(tmp_path / "predicted")
    [same] = table(tmp_path / row["prediction"].lower())
    assert (tmp_path / "predicted" / row["map"]).read_bytes() == (
        tmp_path / row["prediction"].lower() / same["map"]
    ).read_bytes()


def test_the_limit_is_told(run, checkpoint, images, tmp_path):
    finished = run("explain", f"ckpt_path={checkpoint('lenet')}", CPU, "images=in", "limit=1", "hydra.run.dir=out")
    assert finished.code == 0 and "the first 1 of 4 images: limit=null explains all" in finished.text
    assert len(table(tmp_path / "out")) == 1
    for words, said in ((["limit=0"], "`limit` must be"), (["target=dog"], "`target` must be")):
        wrong = run("explain", f"ckpt_path={checkpoint('lenet')}", CPU, "images=in", *words)
        assert wrong.code == 1 and said in wrong.text


def test_of_an_archive_that_ends_at_the_limit_all_is_explained(run, checkpoint, images, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a/x (1).png", "c.png"):
            archive.write(images / name, name)
    words = (f"ckpt_path={checkpoint('lenet')}", CPU, "images=two.zip")
    for limit, cut in ((1, True), (2, False), (3, False)):
        finished = run("explain", *words, f"limit={limit}", f"hydra.run.dir=out{limit}")
        assert finished.code == 0 and ("limit=null explains all" in finished.text) == cut


def test_only_what_the_page_shows_is_kept_in_memory(run, checkpoint, images, tmp_path, monkeypatch):
    for module in (explanation, pages):
        monkeypatch.setattr(module, "SHOWN", 1)
    kept = []
    monkeypatch.setattr(
        explanation, "write_page", lambda out, done, *more: kept.extend(done) or write_page(out, done, *more)
    )
    write_page = pages.write_page
    assert (
        run("explain", f"ckpt_path={checkpoint('lenet')}", CPU, "images=[in/a,in/c.png]", "hydra.run.dir=out").code == 0
    )
    assert [item.pixels is not None for item in kept] == [True, False]
    page = (tmp_path / "out" / "explanations.html").read_text()
    assert "The first 1 of 2 are shown here" in page and page.count("<img ") == 2, "a colour bar and an image"
    assert "Without a map" not in page


def test_maps_of_an_explanation_before_are_replaced_and_nothing_beside_them(run, checkpoint, images, tmp_path):
    words = (f"ckpt_path={checkpoint('lenet')}", CPU, "hydra.run.dir=out")
    assert run("explain", *words, "images=in/a").code == 0
    (tmp_path / "out" / "maps" / "mine.png").write_text("precious")
    assert run("explain", *words, "images=in/c.png").code == 0
    (row,) = table(tmp_path / "out")
    held = {path.name for path in (tmp_path / "out" / "maps").iterdir()}
    assert held == {Path(row["map"]).name, "mine.png"}


def test_a_map_of_one_cell_names_the_layer_and_that_layer_works(run, checkpoint, images, tmp_path):
    words = (f"ckpt_path={checkpoint('test_resnet')}", CPU, "images=in/a", "hydra.run.dir=out")
    finished = run("explain", *words)
    assert finished.code == 1 and "1 x 1 cells" in finished.text and "Traceback" not in finished.text
    layer = finished.text.split("use ")[1].split(",")[0]
    assert layer.startswith("layer=")
    assert run("explain", *words, layer).code == 0
    assert f"Maps of layer {layer.removeprefix('layer=')}." in (tmp_path / "out" / "explanations.html").read_text()


def test_an_ensemble_is_explained(run, checkpoint, images, tmp_path):
    members = f"ckpt_path=[{checkpoint('lenet')},{checkpoint('test_resnet')}]"
    finished = run("explain", members, CPU, "images=in/a", "hydra.run.dir=out")
    assert finished.code == 1 and "use layer=" in finished.text, "one member has no map, and nothing is made up"
    assert run("explain", f"ckpt_path=[{checkpoint('lenet')}]", CPU, "images=in/a", "hydra.run.dir=out").code == 0
