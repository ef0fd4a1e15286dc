"""On a GPU, where there is one: what the tests elsewhere show on a CPU."""

import json

import pytest
import torch

from fakereal.data.synthetic import Synthetic
from fakereal.models.checkpoint import load_classifier

DEVICE = "gpu"
pytestmark = pytest.mark.skipif(DEVICE == "gpu" and not torch.cuda.is_available(), reason="no GPU")


@pytest.fixture
def on_gpu(quick):
    """`on_gpu(folder, ...)`: overrides of a training with all that draws, into the folder."""
    words = [word for word in quick if not word.startswith(("trainer.accelerator", "hydra.run.dir"))]
    words += [f"trainer.accelerator={DEVICE}", "data/augment=all", "data.augment.blur=0.5", "data.augment.jpeg=0.5"]
    words += ["model.drop_rate=0.3", "trainer.max_epochs=2"]
    return lambda folder, *more: (*words, f"hydra.run.dir={folder}", *more)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]


def test_a_training_its_test_and_an_answer(run, on_gpu, tmp_path):
    ema = ("callbacks=[default,ema]", "callbacks.ema.decay=0.9")
    assert (done := run("train", *on_gpu(tmp_path / "run", *ema))).code == 0, done.text
    device = json.loads((tmp_path / "run" / "provenance.json").read_text())["device"]
    assert "cpu" not in str(device).lower() or DEVICE == "cpu"
    best = f"ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"
    assert (done := run("test", best, f"trainer.accelerator={DEVICE}", "hydra.run.dir=tested")).code == 0, done.text
    assert (done := run("test", best, "trainer.accelerator=cpu", "hydra.run.dir=cpu")).code == 0, done.text
    on_device, on_cpu = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("tested", "cpu"))
    assert on_device["test/auroc"] == pytest.approx(on_cpu["test/auroc"], abs=0.02)


@pytest.mark.parametrize("resident", ["false", "true"])
def test_a_resumed_run_is_the_uninterrupted_one_where_that_is_asked_for(run, on_gpu, tmp_path, stopped_after, resident):
    more = ("trainer.deterministic=true", f"data.resident={resident}")
    assert (done := run("train", *on_gpu(tmp_path / "straight", *more))).code == 0, done.text
    with stopped_after(7):  # in the second epoch
        assert run("train", *on_gpu(tmp_path / "halves", *more, "ckpt_path=last")).code == 130
    assert (done := run("train", *on_gpu(tmp_path / "halves", *more, "ckpt_path=last"))).code == 0, done.text
    one, other = last(tmp_path / "straight"), last(tmp_path / "halves")
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize(
    "strategy", [pytest.param("ddp", marks=pytest.mark.skipif(DEVICE == "cpu", reason="no GPU")), "auto"]
)
def test_batch_norm_over_ranks_trains_what_is_used(run, on_gpu, tmp_path, strategy):
    """With a network whose activations are part of its batch norms."""
    words = ("model=timm", "model.backbone=mobilenetv2_035", f"trainer.strategy={strategy}", "model.pretrained=false")
    sync = () if strategy == "auto" else ("trainer.sync_batchnorm=true",)
    assert (done := run("train", *on_gpu(tmp_path / "run", *words, *sync))).code == 0, done.text
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    said = torch.load(best, weights_only=True)["fakereal"]["data"]
    data = Synthetic(**{key: value for key, value in said.items() if key not in ("class", "images")})
    data.setup("fit")
    classifier = load_classifier(best).classifier.eval()
    with torch.inference_mode():
        parts = [(classifier(batch["image"]), batch["label"]) for batch in data.val_dataloader()]
    logits, labels = map(torch.cat, zip(*parts, strict=True))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).item()
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["val/loss"] == pytest.approx(loss, rel=0.02)


def test_steps_are_compared_with_bare_ones(run, tmp_path):
    words = ("figures=steps", "networks=[lenet]", "epoch_images.lenet=256", "batch_size=64", "repeats=1")
    done = run("benchmark", *words, f"accelerator={DEVICE}", "overrides=[data.resident=true]", "hydra.run.dir=out")
    assert done.code == 0, done.text
    rows = json.loads((tmp_path / "out" / "benchmark.json").read_text())["rows"]
    assert len(rows) == 2 and all(row["value"] > 0 for row in rows)
