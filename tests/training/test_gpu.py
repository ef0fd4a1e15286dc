"""On a GPU, where there is one: what the tests elsewhere show on a CPU."""

import json

import pytest
import torch

DEVICE = "gpu"
pytestmark = pytest.mark.skipif(DEVICE == "gpu" and not torch.cuda.is_available(), reason="no GPU")


@pytest.fixture
def on_gpu(quick):
    """`on_gpu(folder, ...)`: overrides of a training with all that draws, into the folder."""
    words = [word for word in quick if not word.startswith(("trainer.accelerator", "hydra.run.dir"))]
    words += [f"trainer.accelerator={DEVICE}", "data/augment=all", "model.drop_rate=0.3", "trainer.max_epochs=2"]
    return lambda folder, *more: (*words, f"hydra.run.dir={folder}", *more)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]


def test_a_training_its_test_and_an_answer(run, on_gpu, tmp_path):
    assert (done := run("train", *on_gpu(tmp_path / "run"))).code == 0, done.text
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


def test_steps_are_compared_with_bare_ones(run, tmp_path):
    words = ("figures=steps", "networks=[lenet]", "epoch_images.lenet=256", "batch_size=64", "repeats=1")
    done = run("benchmark", *words, f"accelerator={DEVICE}", "overrides=[data.resident=true]", "hydra.run.dir=out")
    assert done.code == 0, done.text
    rows = json.loads((tmp_path / "out" / "benchmark.json").read_text())["rows"]
    assert len(rows) == 2 and all(row["value"] > 0 for row in rows)
