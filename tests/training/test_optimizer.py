"""Fused optimizers: taken where they can be, and equal to the others."""

import pytest
import torch


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize(
    "optimizer", ["adamw", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adam", "sgd"))]
)
def test_a_fused_optimizer_trains_as_the_plain_one(run, quick, tmp_path, optimizer):
    words = (*quick[:-1], f"optimizer={optimizer}", "optimizer.lr=0.001", "trainer.precision=32-true", "threads=1")
    saved = {}
    for fused in (True, False):
        done = run("train", *words, "logger=none", f"optimizer.fused={fused}", f"hydra.run.dir={tmp_path / str(fused)}")
        assert done.code == 0, done.text
        saved[fused] = last(tmp_path / str(fused))
        assert saved[fused]["optimizer_states"][0]["param_groups"][0]["fused"] is fused
    for name, weights in saved[True]["state_dict"].items():
        torch.testing.assert_close(weights, saved[False]["state_dict"][name], rtol=1e-3, atol=1e-4, msg=name)


def test_gradients_are_clipped_by_the_plain_one(run, quick, tmp_path):
    words = (*quick, "trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1", "logger=none")
    assert run("train", *words).code == 0
    assert last(tmp_path / "run")["optimizer_states"][0]["param_groups"][0]["fused"] is False
    refused = run("train", *words, "optimizer.fused=true")
    assert refused.code == 1 and "gradients cannot be clipped" in refused.text
    assert run("train", *words[:-3], "logger=none").code == 0
    assert last(tmp_path / "run")["optimizer_states"][0]["param_groups"][0]["fused"] is True
