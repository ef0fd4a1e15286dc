"""Each mistake ends in one clear message, exit status 1, and nothing half-written."""

import subprocess
import sys

import pytest
from filelock import FileLock

resource = pytest.importorskip("resource")  # Windows has none


def told(finished, *parts: str) -> None:
    assert finished.code == 1, finished.text
    assert "Traceback" not in finished.text
    for part in parts:
        assert part in finished.text, finished.text


def test_wrong_values_are_told_before_anything_is_touched(run, quick, tmp_path):
    words = [word for word in quick if not word.startswith("data.count")]
    finished = run("train", *words, "trainer.max_epochs=five", "optimizer.lr=0", "data.root=x", "data=cifake")
    told(finished, "`trainer.max_epochs` must be", "got 'five'", "`optimizer.lr` must be greater than 0, got 0")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".hydra", "train.log", ".training.lock"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model=resnet51", "Could not find 'model/resnet51'"),
        ("trainer.epochs=5", "Key 'epochs' is not in struct"),
        ("data/augment=sharpen", "Could not find 'data/augment/sharpen'"),
        ("experiment=unknown", "Could not find 'experiment/unknown'"),
    ],
)
def test_wrong_keys_and_choices_are_told_by_hydra(run, quick, word, said):
    told(run("train", *quick, word), said)


def test_an_unknown_backbone_gets_the_nearest_names(run, quick):
    told(run("train", *quick, "model.backbone=resnet5O"), "model.backbone=resnet5O", "resnet50")


def test_pretrained_without_weights_names_the_remedy(run, quick):
    told(run("train", *quick, "model=lenet", "model.pretrained=true"), "model.pretrained=false")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "no image"),
        (lambda folder: folder.write_bytes(b"PK\3\4 not really"), "data.root="),
    ],
)
def test_roots_that_hold_nothing(run, quick, tmp_path, make, said):
    make(tmp_path / "root (1)=a")
    words = [word for word in quick if not word.startswith("data")]
    told(run("train", *words, "data=folder", f"data.root={tmp_path / 'root (1)=a'}", "data.size=32"), said)


def test_a_finished_run_outlives_a_mistake_and_another_process(run, trained_run, tmp_path):
    folder = trained_run()
    before = (folder / "metrics.json").read_bytes()
    words = ("model=lenet", "trainer.max_epochs=1", f"hydra.run.dir={folder}")
    told(run("train", "data=folder", "data.root=nowhere", *words), "nowhere does not exist")
    with FileLock(folder / ".training.lock"):  # as a process holds it that trains there
        told(run("train", "data=synthetic", *words), f"hydra.run.dir={folder}", "another process is training in this")
    assert (folder / "metrics.json").read_bytes() == before


def test_a_last_step_into_nothing_is_told_and_not_calibrated(run, quick, tmp_path):
    words = ("optimizer=sgd", "optimizer.lr=1e38", "trainer.limit_train_batches=1", "scheduler=constant")
    told(run("train", *quick, *words), "gave no number (nan) for 16 of 16 validation images (epoch 0)", "optimizer.lr")
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("word", "instead"),
    [("data/augment=[degrade,resized_crop]", "data.augment.rotation=15"), ("optimizer=[sgd,adam]", "optimizer=sgd")],
)
def test_several_choices_of_which_the_last_would_count_are_told(run, quick, word, instead):
    told(run("train", *quick, word), f"{word}: only the last of these would count", instead)


def test_a_validation_of_hardly_any_images_of_a_class_is_told(run, quick):
    finished = run("train", *quick, "data.count=60")
    assert finished.code == 0 and "best.ckpt is chosen on validation, which has only 2 REAL" in finished.text


def test_a_training_that_is_never_validated_is_told(run, quick):
    finished = run("train", *quick, "trainer.check_val_every_n_epoch=2")
    told(finished, "No epoch would be validated (trainer.check_val_every_n_epoch=2", "raise trainer.max_epochs")


@pytest.mark.parametrize(
    ("switch", "instead"),
    [
        ("fast_dev_run=true", "trainer=debug"),
        ("overfit_batches=2", "trainer.limit_train_batches"),
        ("barebones=true", "fakereal.benchmark"),
        ("max_steps=5", "trainer.max_epochs"),
        ("enable_checkpointing=false", "writes best.ckpt"),
    ],
)
def test_a_switch_of_lightnings_that_leaves_no_run_is_told_with_what_does(run, quick, switch, instead):
    told(run("train", *quick, f"+trainer.{switch}"), f"trainer.{switch.split('=')[0]}=", instead)


@pytest.mark.parametrize("precision", ["64-true", "16-true", "bf16-true"])
def test_weights_stay_in_fp32(run, quick, precision):
    told(run("train", *quick, f"trainer.precision={precision}"), "`trainer.precision` must be 32, '32', '32-true'")


def test_callbacks_are_needed_and_loggers_are_not(run, quick):
    for callbacks in ("[]", "ema"):
        refused = run("train", *quick, f"callbacks={callbacks}")
        told(refused, "callbacks.checkpoint is required", "'callbacks=[default,ema]'")
        assert "epoch 1/1" not in refused.text, "before the training, not after it"
    assert run("train", *quick, "logger=[]").code == 0
    assert run("train", *quick, "trainer.enable_progress_bar=false").code == 0


def test_what_only_a_sweep_or_a_checkpoint_understands_is_told(run, quick):
    told(run("train", *quick, "sweep=lr"), "sweep=lr names a sweep's directory: add --multirun")
    told(run("train", *quick, "hydra.mode=MULTIRUN"), "give hydra.sweep.dir=DIR, not hydra.run.dir=DIR")
    words = [word for word in quick if not word.startswith("data")]
    told(run("train", *words, "data=checkpoint"), "provides no images. Give data=cifake")


@pytest.mark.parametrize(
    "schedule",
    [
        ("scheduler=onecycle",),
        ("scheduler=constant", "~scheduler.warmup", "scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingLR"),
    ],
)
def test_a_schedule_that_was_planned_for_fewer_steps_is_not_resumed(run, quick, tmp_path, schedule):
    words = (*quick, *schedule)
    assert run("train", *words).code == 0
    before = (tmp_path / "run" / "metrics.json").read_bytes()
    refused = run("train", *words, "trainer.max_epochs=2", "ckpt_path=last")
    told(refused, "was planned for 5 steps", "but this training has 10", "init_from=")
    assert (tmp_path / "run" / "metrics.json").read_bytes() == before


@pytest.mark.parametrize("word", ["trainer.strategy=banana", "trainer.devices=0", "trainer.accelerator=tpu"])
def test_a_trainer_that_cannot_be_had_is_told(run, quick, word):
    told(run("train", *quick, word), "This trainer cannot be built: ", "trainer.accelerator=cpu runs anywhere")


def test_weights_alone_cannot_be_resumed(run, quick, trained_run):
    checkpoint = trained_run() / "checkpoints" / "best.ckpt"
    assert run("export", f"ckpt_path={checkpoint}", "format=safetensors", "hydra.run.dir=out").code == 0
    told(run("train", *quick, "ckpt_path=out/model.safetensors"), "holds only weights", "init_from=out/model")
    told(run("train", *quick, "ckpt_path="), "does not exist")


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(run, quick, tmp_path):
    words = ("optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.max_epochs=3")
    finished = run("train", *quick, *words)
    told(finished, "The loss was not a finite number at step", "optimizer.lr", "trainer.gradient_clip_val=1")
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_no_network_and_no_data_is_one_message_with_the_manual_ways(run, quick, monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    words = [word for word in quick if not word.startswith("data.count")]
    told(run("train", *words, "data=cifake"), "data.root=")


def test_out_of_memory_names_the_two_keys_to_lower(quick, tmp_path):
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)  # noqa: E731
    words = [*quick, "model.image_size=4096", "data.batch_size=160", "logger=none", "threads=1"]
    finished = subprocess.run(
        [sys.executable, "-m", "fakereal.train", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        preexec_fn=limit,
    )
    text = finished.stdout + finished.stderr
    assert finished.returncode == 1 and "Traceback" not in text, text
    assert "Out of memory: lower data.batch_size (now 160) or model.image_size (now 4096)" in text
