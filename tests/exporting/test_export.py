"""The export command: files that others run, compared with the checkpoint on images that the export did not see."""

import json
import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from fakereal.data.dead_leaves import synthetic_images
from fakereal.data.store.decode import Aspect, Resize, decode
from fakereal.models.checkpoint import load_classifier
from fakereal.runtime.hardware import native_precision

CPU = "trainer.accelerator=cpu"
TRAIN = ("data=synthetic", "data.count=120", "data.batch_size=32", "trainer.max_epochs=1", CPU)
# A convolutional network, a transformer, one that resizes, and one of ours with what surrounds it.
NETWORKS = {
    "cnn": ("model=cnn", "model.tta=flip", "model.normalization=dataset"),
    "vit": ("model=timm", "model.backbone=test_vit", "model.image_size=32"),
    "resized": ("model=lenet", "model.image_size=48"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def checkpoint(run, trained):
    """`checkpoint("cnn")`: of a network trained for a moment, with a temperature and a threshold to be noticed."""

    def of(name):
        path = trained / name / "checkpoints" / "best.ckpt"
        if not path.exists():
            done = run("train", *NETWORKS[name], *TRAIN, f"hydra.run.dir={trained / name}")
            assert done.code == 0, done.text
            content = torch.load(path, weights_only=True)
            content["fakereal"] |= {"temperature": 1.7, "threshold": 0.48}
            torch.save(content, path)
        return path

    return of


@pytest.fixture(scope="module")
def images():
    """uint8 (37, 3, 32, 32) that no export compares itself on."""
    return np.ascontiguousarray(synthetic_images(37, 32, seed=5)[0].transpose(0, 3, 1, 2))


def probabilities(path, images):
    with torch.inference_mode():
        return load_classifier(path).classifier.probabilities(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "vit" else n for n in NETWORKS])
def test_onnx_answers_as_the_checkpoint_whatever_the_batch(run, checkpoint, images, tmp_path, name):
    import onnxruntime

    done = run("export", f"ckpt_path={checkpoint(name)}", "hydra.run.dir=out")
    assert done.code == 0, done.text
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [3, 32, 32])
    wanted = probabilities(checkpoint(name), images)
    assert np.ptp(wanted) > 1e-3, "a network that answers the same to all shows nothing"
    for count in (1, 2, 37):
        prob_fake, is_fake = session.run(None, {"images": images[:count]})
        np.testing.assert_allclose(prob_fake, wanted[:count], atol=1e-5)
        np.testing.assert_array_equal(is_fake, prob_fake >= 0.48)
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["classes"]) == ["REAL", "FAKE"] and json.loads(said["threshold"]) == 0.48
    assert (said["size"], said["aspect"], said["filter"]) == ("32", "squash", "bilinear")


def test_an_ensemble_is_one_file(run, checkpoint, images, tmp_path):
    paths = [checkpoint("cnn"), checkpoint("vit")]
    done = run("export", f"ckpt_path=[{paths[0]},{paths[1]}]", "format=torch", "hydra.run.dir=out")
    assert done.code == 0, done.text
    wanted = np.mean([probabilities(path, images) for path in paths], axis=0)
    prob_fake, is_fake = torch.export.load(tmp_path / "out" / "model.pt2").module()(torch.from_numpy(images))
    assert not prob_fake.requires_grad, "it would keep what a backward pass needs"
    np.testing.assert_allclose(prob_fake, wanted, atol=1e-5)
    np.testing.assert_array_equal(is_fake, wanted >= 0.48)


def test_the_torch_file_needs_no_fakereal(run, checkpoint, images, tmp_path):
    assert run("export", f"ckpt_path={checkpoint('cnn')}", "format=torch", "hydra.run.dir=out").code == 0
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys, numpy, torch\n"
        "sys.modules['fakereal'] = None\n"
        "program = torch.export.load('out/model.pt2').module()\n"
        "numpy.save('got.npy', program(torch.from_numpy(numpy.load('images.npy')))[0].numpy())\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "got.npy"), probabilities(checkpoint("cnn"), images), atol=1e-5)


def test_safetensors_is_a_ckpt_path(run, checkpoint, images, tmp_path):
    path = checkpoint("cnn")
    assert run("export", f"ckpt_path={path}", "format=safetensors", "hydra.run.dir=out").code == 0
    exported = tmp_path / "out" / "model.safetensors"
    np.testing.assert_array_equal(probabilities(exported, images), probabilities(path, images))
    assert exported.stat().st_size < path.stat().st_size / 2, "the optimizer's state stays behind"
    (tmp_path / "in").mkdir()
    Image.fromarray(images[0].transpose(1, 2, 0)).save(tmp_path / "in" / "a.png")
    said = run("predict", f"ckpt_path={exported}", CPU, "trainer.precision=32-true", "images=in", "json=true")
    answer = json.loads(said.text.splitlines()[0])
    assert answer["prob_fake"] == pytest.approx(probabilities(path, images[:1])[0], abs=1e-5)


def test_the_card_says_what_was_measured_and_its_example_runs(run, checkpoint, images, tmp_path):
    path = checkpoint("cnn")
    tested = run("test", f"ckpt_path={path}", CPU, "hydra.run.dir=outputs/test/one")
    assert tested.code == 0, tested.text
    assert run("export", f"ckpt_path={path}", "license=mit", "hydra.run.dir=out").code == 0
    card = (tmp_path / "out" / "model_card.md").read_text()
    metrics = json.loads((tmp_path / "outputs" / "test" / "one" / "metrics.json").read_text())
    figures = [metrics[f"test/accuracy{end}"] for end in ("", "_low", "_high")]
    assert "| Accuracy | " + " | ".join(f"{figure:.2%}" for figure in figures) + " |" in card
    if native_precision("cpu") == "bf16-mixed":
        assert re.search(r"their probabilities differ by up to [\d.e-]+, and \d+ of 64 verdicts change", card)
    assert 'license: "mit"' in card and "| Temperature | 1.7000 |" in card and "averaged with its mirror" in card
    assert not re.search(r"/tmp|" + re.escape(str(tmp_path)), card), "a card is handed on"
    assert "On validation" not in card, (
        "the run's figures are of the checkpoint as it was before the fixture changed it"
    )

    Image.fromarray(images[1].transpose(1, 2, 0)).save(tmp_path / "out" / "image.jpg", quality=100)
    example = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    answer = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path / "out", check=True, capture_output=True, text=True
    )
    pixels = np.asarray(Image.open(tmp_path / "out" / "image.jpg")).transpose(2, 0, 1)[None]
    wanted = probabilities(path, np.ascontiguousarray(pixels))[0]
    assert float(re.search(r"[\d.]+", answer.stdout)[0]) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("aspect", get_args(Aspect))
def test_the_card_reads_images_as_the_commands_do(run, checkpoint, tmp_path, aspect):
    content = torch.load(checkpoint("cnn"), weights_only=True)
    content["fakereal"]["data"]["aspect"] = aspect
    torch.save(content, tmp_path / "other.ckpt")
    done = run("export", "ckpt_path=other.ckpt", "format=safetensors", "tests=null", "hydra.run.dir=out")
    assert done.code == 0, done.text
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert ("cut to its middle 32 x 32" in card) == (aspect == "native")
    reading = re.search(r"```python\n(.*?images = .*?)\n", card, re.DOTALL)[1]
    noise = np.random.default_rng(0)
    for width, height in ((90, 41), (32, 32), (20, 50)):
        Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / "image.png")
        found: dict = {}
        exec(reading.replace("image.jpg", str(tmp_path / "image.png")), found)
        wanted = decode(tmp_path / "image.png", Resize(32, aspect)).pixels
        np.testing.assert_array_equal(found["images"][0].transpose(1, 2, 0), wanted)


def test_a_run_without_its_files_and_tests_still_has_a_card(run, checkpoint, tmp_path):
    (tmp_path / "alone.ckpt").write_bytes(checkpoint("cnn").read_bytes())
    done = run("export", "ckpt_path=alone.ckpt", "format=safetensors", "tests=null", "hydra.run.dir=out")
    assert done.code == 0, done.text
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert "No test result was found" in card and "No licence is stated for the weights" in card


def test_compared_on_given_images(run, checkpoint, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 3, splits=())
    (tree / "REAL" / "bad.jpg").write_text("not an image")
    done = run("export", f"ckpt_path={checkpoint('cnn')}", "format=torch", "images=tree", "hydra.run.dir=out")
    assert done.code == 0 and "Compared on 6 given images" in done.text
    assert "images=tree: left out 1 that could not be read" in done.text


@pytest.mark.parametrize(
    "words, said",
    [
        (("format=tflite",), "format"),
        (("ckpt_path=none.ckpt",), "none.ckpt does not exist"),
        (("images=nowhere",), "images=nowhere does not exist"),
        (("format=safetensors", "ckpt_path=[{0},{1}]"), "format=safetensors holds one classifier"),
    ],
)
def test_bad_input(run, checkpoint, tmp_path, words, said):
    paths = checkpoint("cnn"), checkpoint("vit")
    done = run("export", f"ckpt_path={paths[0]}", "hydra.run.dir=out", *(word.format(*paths) for word in words))
    assert done.code == 1 and said in done.text, done.text
    assert not [*(tmp_path / "out").glob("model*")]


@pytest.mark.parametrize("off", [0.01, float("nan")])
def test_a_file_that_answers_otherwise_is_removed(tmp_path, images, off):
    from fakereal.exporting.run import compare
    from fakereal.runtime.errors import UserError

    file = tmp_path / "model.onnx"
    file.touch()
    wanted = np.linspace(0.1, 0.9, len(images), dtype=np.float32)
    turn = iter(range(len(images)))
    with pytest.raises(UserError, match=f"differs by {off}"):
        compare(lambda batch: np.array([wanted[next(turn)] + off for _ in batch]), images, wanted, file)
    assert not file.exists()


def test_a_safetensors_file_of_others_is_refused(run, tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:20])
    for name, said in (("other", "was not written by fakereal.train"), ("cut", "cut short or altered")):
        done = run("export", f"ckpt_path={name}.safetensors")
        assert done.code == 1 and said in done.text, done.text


def test_the_card_has_the_figures_of_the_same_test_time_augmentation(run, checkpoint, tmp_path):
    path = checkpoint("cnn")  # trained with tta=flip
    for number, tta in enumerate(("none", "flip")):
        assert run("test", f"ckpt_path={path}", CPU, f"tta={tta}", f"hydra.run.dir=outputs/test/{number}").code == 0
        for asked in ("none", "flip"):
            words = (f"ckpt_path={path}", "format=safetensors", f"tta={asked}", "hydra.run.dir=out")
            assert run("export", *words).code == 0
            card = (tmp_path / "out" / "model_card.md").read_text()
            assert ("No test result was found" in card) == (number == 0 and asked == "flip")


def test_a_threshold_of_ones_own_is_exported_and_others_tests_are_not_its(run, checkpoint, images, tmp_path):
    path = checkpoint("resized")
    assert run("test", f"ckpt_path={path}", CPU, "hydra.run.dir=outputs/test/own").code == 0
    words = (f"ckpt_path={path}", "threshold=0.25", "hydra.run.dir=out")
    assert run("export", *words, "format=safetensors").code == 0
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert "| Threshold | 0.2500 (given) |" in card and "No test result was found" in card
    assert load_classifier(tmp_path / "out" / "model.safetensors").classifier.threshold == 0.25
    assert run("test", f"ckpt_path={path}", CPU, "threshold=0.25", "hydra.run.dir=outputs/test/given").code == 0
    assert run("export", *words, "format=torch").code == 0
    assert "No test result was found" not in (tmp_path / "out" / "model_card.md").read_text()
    _, is_fake = torch.export.load(tmp_path / "out" / "model.pt2").module()(torch.from_numpy(images))
    np.testing.assert_array_equal(is_fake, probabilities(path, images) >= 0.25)


def test_the_card_has_validations_figures_at_the_threshold(run, quick, tmp_path):
    words = ("calibration.threshold=fpr", "calibration.max_fpr=0.2", "calibration.min_images=5", "data.count=400")
    assert run("train", *quick, *words).code == 0
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert run("export", f"ckpt_path={best}", "format=safetensors", "hydra.run.dir=out").code == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    card = (tmp_path / "out" / "model_card.md").read_text()
    said = re.search(
        r"at the threshold of ([\d.]+): accuracy ([\d.]+)% .*, recall of REAL ([\d.]+)%.*FAKE ([\d.]+)%"
        r".*; \d+ images, by which the threshold was chosen\.",
        card,
    )
    figures = [metrics[f"val/calibrated/{name}"] for name in ("accuracy", "recall_real", "recall_fake")]
    assert said.groups() == (f"{metrics['threshold']:.4f}", *(f"{100 * figure:.2f}" for figure in figures))
    assert (
        metrics["val/calibrated/recall_real"] >= 0.8
        and "lowest with a false-positive rate of at most 0.2 on validation" in card
    )
