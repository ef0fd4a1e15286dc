"""Averages over weights, and batch norm over ranks."""

import copy

import pytest
import torch
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import nn

from fakereal.models.backbones import create_backbone
from fakereal.training.averaging import SyncBatchNorm, _Average


def test_an_average_is_the_decayed_sum_of_the_weights_that_were():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    average, weights = _Average(model, decay=0.3), []
    for _ in range(5):
        with torch.no_grad():
            for values in (*model.parameters(), model[1].running_mean):
                values.normal_()
            model[1].num_batches_tracked += 1
        average.update_parameters(model)
        weights.append(copy.deepcopy(model.state_dict()))
    shares = [1.0]
    for decay in (2 / 11, 3 / 12, 0.3, 0.3):  # the first are less
        shares = [decay * share for share in shares] + [1 - decay]
    assert sum(shares) == pytest.approx(1)
    for name, found in average.module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert found == 5
        else:
            torch.testing.assert_close(found, sum(s * w[name] for s, w in zip(shares, weights, strict=True)))


@pytest.mark.parametrize("words", [["+callbacks.ema.update_starting_at_step=1000"], ["trainer.max_epochs=0"]])
def test_before_its_first_update_the_average_is_the_weights(run, quick, tmp_path, words):
    """Not those that the training began with, nor without the figures of its images."""
    files = []
    for callbacks in ("[default,ema]", "[default]"):
        folder = tmp_path / str(len(files))
        own = [word for word in words if "ema" in callbacks or "ema" not in word]
        begun = ("init_from=run/checkpoints/best.ckpt", "model.normalization=dataset")
        if not files:
            assert run("train", *quick, "model.normalization=dataset").code == 0
        done = run("train", *quick, *begun, *own, f"callbacks={callbacks}", f"hydra.run.dir={folder}")
        assert done.code == 0, done.text
        files.append(torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"])
    torch.testing.assert_close(files[0], files[1], rtol=0, atol=0)
    begun = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    moved = [name for name in begun if not torch.equal(begun[name], files[0][name])]
    assert bool(moved) == ("max_epochs" not in words[0])


@pytest.mark.parametrize("name", ["mobilenetv2_050", "test_resnet"])
def test_batch_norm_over_ranks_keeps_what_the_network_computes(name):
    """timm's batch norms of some networks hold their activations."""
    torch.manual_seed(0)
    network = create_backbone(name).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.bias)
    images = torch.randn(2, 3, 64, 64)
    expected = network(images)
    torchs = TorchSyncBatchNorm().apply(copy.deepcopy(network))
    converted = SyncBatchNorm().apply(copy.deepcopy(network))
    assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    torch.testing.assert_close(SyncBatchNorm().revert(converted)(images), expected)
    assert torch.allclose(torchs(images), expected) == (name == "test_resnet"), "why it is not torch's own"


def test_it_is_refused_on_a_cpu_where_torch_has_none(run, quick):
    done = run("train", *quick, "trainer=ddp", "trainer.accelerator=cpu", "trainer.sync_batchnorm=true")
    assert done.code == 1 and "trainer.sync_batchnorm=true works only on GPUs" in done.text, done.text
    assert "Traceback" not in done.text
    assert run("train", *quick, "+trainer.sync_batchnorm=true").code == 0, "one device alone has nothing to share"
