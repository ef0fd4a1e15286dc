"""What people add from outside of the package, as README's table has it."""

import os
import subprocess
import sys
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch

from fakereal.config.errors import UserError
from fakereal.data.synthetic import Generated, Synthetic
from fakereal.models.backbones.names import resolve
from fakereal.models.checkpoint import load_classifier
from fakereal.models.classifier import Classifier

NETWORK = """
from timm.models import build_model_with_cfg, register_model
from fakereal.models.backbones.lenet5 import LeNet5

@register_model
def {name}(pretrained=False, **kwargs):
    return build_model_with_cfg(LeNet5, "{name}", pretrained, **kwargs)
"""


def told(finished, *parts):
    assert finished.code == 1 and "Traceback" not in finished.text
    for part in parts:
        assert part in finished.text


@pytest.fixture
def conf(tmp_path):
    """`conf("scheduler", "mine", "...")`: a file in a configuration directory of the user's own, tmp_path/conf."""

    def write(group: str, name: str, text: str) -> str:
        path = tmp_path / "conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"{group}={name}"

    return write


@pytest.mark.parametrize("target, more", [("CosineAnnealingLR", "T_max: 10"), ("ReduceLROnPlateau", "patience: 0")])
def test_schedules_of_torch_and_optimizers_without_a_learning_rate(run, quick, conf, tmp_path, target, more):
    schedule = conf("scheduler", "mine", f"_target_: torch.optim.lr_scheduler.{target}\n_partial_: true\n{more}\n")
    optimizer = conf("optimizer", "mine", "_target_: torch.optim.Adadelta\n_partial_: true\n")
    words = (schedule, "--config-dir", "conf", optimizer, "trainer.max_epochs=3", "+scheduler.eps=0")
    words = words if target == "ReduceLROnPlateau" else words[:-1]
    more = ("+scheduler.threshold=10", "+scheduler.threshold_mode=abs") if target == "ReduceLROnPlateau" else ()
    done = run("train", *quick, *words, *more)
    assert done.code == 0, done.text
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    [rate] = {group["lr"] for group in state["optimizer_states"][0]["param_groups"]}
    # The loss never falls by 10: a tenth after each validation but the first, which is the best so far.
    assert rate == pytest.approx(0.01) if target == "ReduceLROnPlateau" else 0 <= rate < 1

    again = (*words, *more, "hydra.run.dir=again")  # in two parts
    assert run("train", *quick, *again, "trainer.max_epochs=2").code == 0
    assert run("train", *quick, *again, "ckpt_path=last").code == 0
    other = torch.load(tmp_path / "again" / "checkpoints" / "last.ckpt", weights_only=True)
    for name, weights in state["state_dict"].items():
        assert torch.equal(weights, other["state_dict"][name])
    assert state["lr_schedulers"] == other["lr_schedulers"]


def test_what_is_called_later_is_said_to_be(run, quick, conf):
    words = (conf("optimizer", "mine", "_target_: torch.optim.Adadelta\n"), "--config-dir=conf")
    told(
        run("train", *quick, *words), "optimizer._target_=torch.optim.Adadelta is called later: add optimizer._partial_"
    )


def test_a_network_of_an_installed_package(tmp_path):
    """In a process of its own, as timm's registry is for all of one."""
    (tmp_path / "theirs.py").write_text(NETWORK.format(name="their_net"))
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (tmp_path / "theirs-1.dist-info" / "entry_points.txt").write_text("[fakereal.networks]\ntheirs = theirs\n")
    command = [sys.executable, "-m", "fakereal.train", "model=timm", "model.backbone=their_net", "data=synthetic"]
    command += ["data.count=200", "trainer.max_epochs=1", "trainer.accelerator=cpu", "hydra.run.dir=run"]
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parent.parent}"}

    done = subprocess.run(command, cwd=tmp_path, env=os.environ | env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_network_that_lacks_what_is_needed_is_told_before_the_training(run, quick, monkeypatch):
    from timm.models import register_model

    @register_model
    def a_net_that_lacks_all(pretrained=False, **kwargs):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 1))

    with pytest.raises(UserError, match="lacks what networks of timm have: get_classifier, forward_features"):
        Classifier("a_net_that_lacks_all")
    assert resolve("a_net_that_lacks_all") == ("a_net_that_lacks_all", {})


def test_a_data_set_that_keeps_no_settings_is_told():
    class Stripes(Synthetic):
        def __init__(self, *, period: int = 4, **common):
            super().__init__(**common)
            self.period = period

        def open_images(self):
            columns = np.arange(self.size) // self.period % 2 * 255
            pixels = np.tile(columns.astype(np.uint8)[None, None, :, None], (self.count, self.size, 1, 3))
            return Generated(pixels, np.arange(self.count) % 2)

    with pytest.raises(UserError, match=r'Stripes\.settings lacks period.*self\.settings \|= \{"period": period\}'):
        Stripes(count=40).setup("fit")


def test_lightning_alone_trains_and_loads(tmp_path, trained_run):
    data, classifier = Synthetic(count=200), Classifier("test_resnet", optimizer=torch.optim.AdamW)
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, logger=False, enable_progress_bar=False
    )
    trainer.fit(classifier, datamodule=data)
    [path] = tmp_path.rglob("*.ckpt")
    assert load_classifier(path).classifier.threshold == 0.5
    with pytest.raises(UserError, match=r"optimizer=.* is needed for a training"):
        L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False).fit(
            Classifier("test_resnet"), datamodule=data
        )

    path = trained_run("calibration.min_images=5") / "checkpoints" / "best.ckpt"
    ours = load_classifier(path).classifier
    theirs = Classifier.load_from_checkpoint(path, map_location="cpu").eval()
    assert ours.temperature != 1 and (theirs.temperature, theirs.threshold) == (ours.temperature, ours.threshold)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(ours.probabilities(images), theirs.probabilities(images))
