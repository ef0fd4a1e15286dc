"""What people add from outside of the package, as README's table has it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch

from fakereal.data.image_set import InMemory
from fakereal.data.synthetic import Synthetic
from fakereal.models.backbones.names import resolve
from fakereal.models.checkpoint import load_classifier
from fakereal.models.classifier import Classifier
from fakereal.runtime.errors import UserError

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

    with pytest.raises(UserError, match="lacks what timm networks have: get_classifier, forward_features"):
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
            return InMemory(pixels, np.arange(self.count) % 2)

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
    with pytest.raises(UserError, match=r"Training needs an optimizer.*optimizer="):
        L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False).fit(
            Classifier("test_resnet"), datamodule=data
        )

    path = trained_run("calibration.min_images=5") / "checkpoints" / "best.ckpt"
    ours = load_classifier(path).classifier
    theirs = Classifier.load_from_checkpoint(path, map_location="cpu").eval()
    assert ours.temperature != 1 and (theirs.temperature, theirs.threshold) == (ours.temperature, ours.threshold)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(ours.probabilities(images), theirs.probabilities(images))


OWN = """
from pathlib import Path
import numpy as np
from lightning.pytorch.callbacks import Callback
from fakereal.data.synthetic import Synthetic

class Mine(Synthetic):
    def __init__(self, *, n: int = 400, where: str = "x", plain: bool = True, **common):
        super().__init__(count=n, **common)
        self.settings |= {"n": n, "where": where if plain else Path(where), "plain": plain}

class Counting(Callback):
    def state_dict(self):
        return {"seen": np.float64(1)}
"""


@pytest.fixture
def own(tmp_path, conf, monkeypatch):
    """A module with a data module and a callback, and their configuration; the words of a training on it."""
    (tmp_path / "own_classes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parent.parent}")
    conf("data", "mine", "defaults: [default]\n_target_: own_classes.Mine\nn: 300\nwhere: y\nplain: true\n")
    conf("callbacks", "counting", "counting:\n  _target_: own_classes.Counting\n")
    conf("callbacks", "flat", "_target_: own_classes.Counting\n")
    conf("logger", "flat", "_target_: lightning.pytorch.loggers.CSVLogger\nsave_dir: .\n")
    return "--config-dir=conf", "data=mine", "model=lenet", "trainer.max_epochs=1", "trainer.accelerator=cpu"


def test_own_data_are_tested_as_they_were_trained_on_by_the_command_that_is_printed(run, own, tmp_path):
    done = run("train", *own, "data.n=200", "hydra.run.dir=run")
    assert done.code == 0, done.text
    command = shlex.split(done.text.split("Test it:")[1].splitlines()[0])
    assert command[:4] == ["python", "-m", "fakereal.test", f"--config-dir={tmp_path / 'conf'}"], command
    assert "data=mine" in command
    tested = run("test", *command[3:], "trainer.accelerator=cpu", "hydra.run.dir=tested")
    assert tested.code == 0 and "40 images" in tested.text, tested.text
    more = run("test", *command[3:], "trainer.accelerator=cpu", "hydra.run.dir=more", "data.n=500")
    assert more.code == 0 and "100 images" in more.text, more.text


@pytest.mark.parametrize(
    ("words", "kind"), [(("data.plain=false",), "PosixPath"), (("callbacks=[default,counting]",), "numpy")]
)
def test_what_no_checkpoint_could_be_read_with_again_is_told_at_the_first(run, own, words, kind):
    done = run("train", *own, *words)
    told(done, "A checkpoint would contain", kind, "must give plain values, such as float(x), str(path)")


@pytest.mark.parametrize("words", ["callbacks=flat", "callbacks=[default,flat]", "logger=flat"])
def test_callbacks_and_trackers_need_a_name(run, own, words):
    group = words.split("=")[0]
    told(run("train", *own, words), f"`{group}._target_` needs a name above it")


@pytest.mark.parametrize(("name", "given"), [("total_iters", False), ("total_iters", True)])
def test_a_schedule_of_torch_is_as_long_as_the_run_unless_it_is_said(run, quick, conf, tmp_path, name, given):
    more = f"{name}: 3\n" if given else ""
    words = (
        conf("scheduler", "mine", f"_target_: torch.optim.lr_scheduler.PolynomialLR\n_partial_: true\n{more}"),
        "--config-dir=conf",
        "trainer.max_epochs=2",
    )
    assert run("train", *quick, *words).code == 0
    [state] = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["lr_schedulers"]
    assert state[name] == (3 if given else state["last_epoch"]) and state["last_epoch"] > 3
