"""trainer.profiler, and the hooks that Lightning need not call."""

import pytest
from lightning.pytorch.callbacks import Callback, LambdaCallback

from fakereal.training.profiling import OF_A_STEP, PROFILERS, skip_idle_hooks


@pytest.mark.parametrize(
    "choice", [name if name == "simple" else pytest.param(name, marks=pytest.mark.slow) for name in PROFILERS]
)
def test_a_profile_lies_beside_the_metrics(tmp_path, run, quick, choice):
    assert run("train", *quick, "data.count=800", "data.val_fraction=0.5", f"trainer.profiler={choice}").code == 0
    assert (tmp_path / "run" / "metrics.json").exists()
    assert "run_training_batch" in (tmp_path / "run" / "fit-profile.txt").read_text(encoding="utf-8")
    words = ("trainer.accelerator=cpu", f"trainer.profiler={choice}", f"hydra.run.dir={tmp_path / 'test'}")
    assert run("test", f"ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}", *words).code == 0
    assert "SingleDeviceStrategy.test" in (tmp_path / "test" / "test-profile.txt").read_text(encoding="utf-8")
    assert bool(list((tmp_path / "run").glob("*.trace.json"))) == (choice == "pytorch")


def test_an_unknown_profiler_is_refused(run, quick):
    done = run("train", *quick, "trainer.profiler=quick")
    assert done.code == 1
    assert "trainer.profiler=quick is unknown; choose null or one of simple, advanced, pytorch." in done.text


class Counts(Callback):
    """Has one hook of a step."""

    def __init__(self):
        self.seen = 0

    def on_train_batch_end(self, *_):
        self.seen += 1


class Inherits(Counts):
    """Has it of another class."""


def test_hooks_that_a_callback_has_stay():
    given = LambdaCallback(on_before_backward=lambda *_: None)
    own, inherited = Counts(), Inherits()
    skip_idle_hooks([own, inherited, given])
    for callback, hook in (
        (own, "on_train_batch_end"),
        (inherited, "on_train_batch_end"),
        (given, "on_before_backward"),
    ):
        assert [name for name in OF_A_STEP if getattr(callback, name)] == [hook]
    own.on_train_batch_end()
    assert own.seen == 1 and inherited.seen == 0


def test_callbacks_of_ones_own_are_called_each_step(tmp_path, run, quick, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from lightning.pytorch.callbacks import Callback\n"
        "class Mine(Callback):\n"
        "    def on_after_backward(self, trainer, module):\n"
        "        print('after step', trainer.global_step)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    done = run("train", *quick, "+callbacks.mine._target_=mine.Mine", "trainer.limit_train_batches=3")
    assert done.code == 0, done.text
    assert [line for line in done.text.splitlines() if line.startswith("after")] == [
        f"after step {n}" for n in range(3)
    ]
