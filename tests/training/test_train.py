"""Whole training runs on generated images with a tiny network."""

import csv
import json
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fakereal.models.checkpoint import load_classifier
from fakereal.models.classifier import Classifier
from fakereal.training import callbacks, figures


@pytest.fixture
def trained(run, quick, tmp_path):
    finished = run("train", *quick, "trainer.max_epochs=2", "trainer.log_every_n_steps=2")
    assert finished.code == 0, finished.text
    return finished, tmp_path / "run"


def test_a_run_leaves_what_it_promises(trained):
    finished, folder = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"val/accuracy", "val/auroc", "val/loss", "train_seconds", "images_per_second", "parameters"} <= {*metrics}
    assert metrics["parameters"] == 372_785 and metrics["epochs"] == 2
    tn, fp, fn, tp = (metrics[f"val/{name}"] for name in ("tn", "fp", "fn", "tp"))
    assert (tn + fp, fn + tp, metrics["val/images"]) == (8, 8, 16)
    assert metrics["val/accuracy"] == (tn + tp) / 16 and metrics["val/recall_fake"] == tp / 8
    for cls in ("real", "fake"):
        assert {f"val/{name}_{cls}" for name in ("precision", "recall", "f1")} <= {*metrics}
    assert f"Checkpoint: {folder}/checkpoints/best.ckpt" in finished.text
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["data"]["splits"] == {
        "train": {"REAL": 72, "FAKE": 72},
        "val": {"REAL": 8, "FAKE": 8},
        "test": {"REAL": 20, "FAKE": 20},
    }
    assert provenance["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(provenance["data"]["digest"]) == 64
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert "epoch 2/2" in (folder / "train.log").read_text()


def test_metrics_are_those_of_the_best_checkpoint(trained):
    _, folder = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "csv" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/accuracy"]]
    seen = [(float(row["val/accuracy"]), -float(row["val/loss"])) for row in rows]
    assert len(seen) == 2
    assert metrics["val/accuracy"] == pytest.approx(max(seen)[0], abs=1e-6)
    assert metrics["best_epoch"] == seen.index(max(seen)) + 1


def test_of_epochs_with_the_same_accuracy_that_of_the_least_loss_is_kept(run, quick, tmp_path):
    words = (*quick, "model.backbone=lenet5", "optimizer=sgd", "optimizer.lr=1e-4", "scheduler=constant")
    assert run("train", *words, "trainer.max_epochs=2").code == 0
    assert run("train", *words, "trainer.max_epochs=4", "ckpt_path=last").code == 0
    rows = [row for path in sorted((tmp_path / "run" / "csv").glob("*/*.csv")) for row in csv.DictReader(path.open())]
    seen = [(float(row["val/accuracy"]), float(row["val/loss"])) for row in rows if row["val/loss"]]
    assert len({accuracy for accuracy, _ in seen}) == 1 and len(set(seen)) == len(seen) == 4, seen
    losses = [loss for _, loss in seen]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["best_epoch"] == losses.index(min(losses)) + 1 > 1, losses


def test_an_epoch_counts_every_image_once_however_many_batches_it_has(run, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("fakereal.models.epoch_figures.COUNTED_AT_ONCE", 4)
    seen, step = [], Classifier._step

    def spied(self, batch, stage):
        loss, figures = step(self, batch, stage)
        seen.append((stage, figures))
        return loss, figures

    monkeypatch.setattr(Classifier, "_step", spied)
    assert run("train", *quick, "data.batch_size=15").code == 0
    losses, logits, label, _ = map(torch.cat, zip(*(figures for stage, figures in seen if stage == "fit"), strict=True))
    assert len(label) == 144 and sum(stage == "fit" for stage, _ in seen) == 10  # 4, 4, and what is left
    with (tmp_path / "run" / "csv" / "version_0" / "metrics.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["train/loss"])
    assert float(row["train/loss"]) == pytest.approx(losses.mean().item(), rel=1e-5)
    assert float(row["train/accuracy"]) == pytest.approx(((logits > 0) == label).float().mean().item())


def test_the_log_tells_of_validation_where_there_was_one(run, quick):
    done = run("train", *quick, "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2")
    told = [line for line in done.text.splitlines() if "epoch " in line and "train loss" in line]
    assert ["val loss" in line for line in told] == [False, True, False] and all("images/s" in line for line in told)


def test_no_algorithms_are_tried_out_where_the_same_bits_are_asked_for(run, quick, monkeypatch):
    """PyTorch would pass over that wish; Lightning warns of it, which is an error in these tests."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    try:
        done = run("train", *quick, "trainer.deterministic=true")
        assert done.code == 0 and not torch.backends.cudnn.benchmark, done.text
    finally:
        torch.use_deterministic_algorithms(False)


def test_tensorboard_events_hold_scalars_images_curves_and_hparams(trained):
    _, folder = trained
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/accuracy", "val/accuracy", "val/auroc", "val/f1_real"} <= {*tags["scalars"]}
    assert any(tag.startswith("lr-") for tag in tags["scalars"])
    assert {"train/images_as_augmented", "val/confusion_matrix"} <= {*tags["images"]}
    assert "val/precision_recall" in tags["tensors"]
    assert len(events.Scalars("val/accuracy")) == 2, "revalidating best.ckpt must not add a point"
    assert {"hp/val/accuracy", "hp/val/auroc"} <= {*tags["scalars"]}
    plugins = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for chosen in (b"optimizer.lr", b"trainer.max_epochs", b"model", b"data.count"):
        assert chosen in plugins


def test_the_checkpoint_holds_plain_values_and_loads_alone(trained):
    _, folder = trained
    path = folder / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["fakereal"]["classes"] == ["REAL", "FAKE"]
    assert checkpoint["fakereal"]["data"]["class"] == "Synthetic"
    assert "pretrained" not in checkpoint["hyper_parameters"]
    images = torch.randint(0, 256, (3, 3, 40, 24), dtype=torch.uint8)
    loaded = load_classifier(path)
    with torch.no_grad():
        probabilities = loaded.classifier.probabilities(images)
    assert probabilities.shape == (3,) and ((probabilities > 0) & (probabilities < 1)).all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run, quick, tmp_path):
    states = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        assert run("train", *quick, f"seed={seed}", f"hydra.run.dir={folder}").code == 0
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["backbone.conv1.0.weight"], states[2]["backbone.conv1.0.weight"])


def test_ema_early_stopping_clipping_and_options_together(run, quick, tmp_path):
    finished = run(
        "train",
        *quick,
        "callbacks=[default,ema,early_stopping]",
        "callbacks.early_stopping.patience=1",
        "trainer.max_epochs=30",
        "callbacks.early_stopping.min_delta=0.9",
        "trainer.gradient_clip_val=1.0",
        "model.label_smoothing=0.1",
        "model.pos_weight=balanced",
        "model.normalization=dataset",
        "optimizer=sgd",
        "scheduler=onecycle",
    )
    assert finished.code == 0, finished.text
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 2, "stopped early"
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    moving, trained = last["state_dict"], last["current_model_state"]
    assert not torch.equal(moving["backbone.conv1.0.weight"], trained["backbone.conv1.0.weight"])
    assert last["hyper_parameters"]["normalization"]["mean"] != [0.0, 0.0, 0.0]


def test_metrics_of_an_averaged_run_are_those_of_its_best_checkpoint(run, quick, tmp_path):
    words = ("callbacks=[default,ema]", "callbacks.ema.decay=0.5", "optimizer.lr=0.05", "scheduler=constant")
    finished = run("train", *quick, *words, "trainer.max_epochs=7", "seed=6")
    assert finished.code == 0, finished.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["best_epoch"] < metrics["epochs"], "else the last average is that of best.ckpt"
    tested = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    [best] = [state for name, state in tested["callbacks"].items() if name.startswith("BestCheckpoint")]
    assert metrics["val/accuracy"] == pytest.approx(best["best_model_score"].item(), abs=1e-6)


def test_freezing_keeps_the_backbone_and_trains_the_head(run, quick, tmp_path):
    finished = run("train", *quick, "model.freeze=1", "trainer.max_epochs=2", "monitor=val/loss", "seed=5")
    assert finished.code == 0, finished.text
    import lightning as L

    L.seed_everything(5, verbose=False)
    fresh = Classifier("test_resnet").state_dict()
    first = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert first["hyper_parameters"]["freeze"] == 1
    assert not torch.equal(first["state_dict"]["backbone.conv1.0.weight"], fresh["backbone.conv1.0.weight"])

    assert run("train", *quick, "model.freeze=backbone", "seed=5", f"hydra.run.dir={tmp_path / 'frozen'}").code == 0
    frozen = torch.load(tmp_path / "frozen" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    changed = {name for name in fresh if name in frozen and not torch.equal(fresh[name], frozen[name])}
    assert {name for name in changed if "backbone" in name} == {"backbone.fc.weight", "backbone.fc.bias"}


def test_init_from_starts_with_the_weights_of_a_checkpoint(run, quick, tmp_path, trained):
    _, folder = trained
    best = folder / "checkpoints" / "best.ckpt"
    normalization = "model.normalization={mean:[0.1,0.2,0.3],std:[0.5,0.5,0.5]}"
    again = ("model.freeze=backbone", normalization, f"init_from={best}", f"hydra.run.dir={tmp_path / 'again'}")
    finished = run("train", *quick, *again)
    assert finished.code == 0, finished.text
    old = torch.load(best, weights_only=True)["state_dict"]
    new = torch.load(tmp_path / "again" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(old["backbone.conv1.0.weight"], new["backbone.conv1.0.weight"])
    assert new["mean"].flatten().tolist() == pytest.approx([0.1, 0.2, 0.3]), "how pixels are normalised is this run's"
    refused = run("train", *quick, "model.backbone=test_vit", "model.image_size=160", f"init_from={best}")
    assert refused.code == 1
    assert "holds the weights of another network (backbone test_resnet, here test_vit)" in refused.text


def test_pixels_on_the_device_train_to_the_same_weights(run, quick, tmp_path):
    states = []
    for resident in ("false", "true"):
        folder = tmp_path / resident
        words = (*quick[:-1], "data/augment=flip_crop", f"data.resident={resident}", f"hydra.run.dir={folder}")
        finished = run("train", *words)
        assert finished.code == 0, finished.text
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    for name, weights in states[0].items():
        assert torch.equal(weights, states[1][name]), name


def test_a_quick_try_is_validated_on_a_draw_of_both_classes(run, quick, tmp_path):
    done = run("train", *quick, "data.val_fraction=0.4", "data.batch_size=8", "trainer.limit_val_batches=0.3")
    assert done.code == 0, done.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["val/images"] == 16
    assert min(metrics["val/tn"] + metrics["val/fp"], metrics["val/fn"] + metrics["val/tp"]) >= 4


def test_the_gallery_shows_the_images_that_were_validated_on(run, quick, monkeypatch):
    seen = []

    def made(examined, *more):
        seen.append(examined)
        return make_gallery(examined, *more)

    make_gallery = figures.make_gallery
    monkeypatch.setattr(figures, "make_gallery", made)
    words = ("data.val_fraction=0.5", "data.batch_size=16", "trainer.limit_val_batches=2")
    assert run("train", *quick, *words).code == 0
    [examined] = seen
    assert len(examined.evaluation.labels) == 32 and (examined.evaluation.labels == examined.split.labels).all()


def test_an_epoch_that_is_cut_short_has_figures_of_its_own(run, quick, tmp_path):
    words = ("callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-9")
    done = run("train", *quick, *words, "+trainer.val_check_interval=2", "trainer.max_epochs=9", "logger=csv")
    assert done.code == 0, done.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    with (tmp_path / "run" / "csv" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    assert len(rows) == metrics["epochs"] == 1 and float(rows[0]["train/images_per_second"]) > 0
    assert "train loss" not in done.text.split("epoch 1/9")[1].splitlines()[0], "its figures come after its line"


def test_validations_within_an_epoch_are_no_training(monkeypatch):
    now = iter([0.0, 1.0, 11.0, 12.0])  # begins; validation from 1 to 11; closes
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(now))
    logged = {}
    module = SimpleNamespace(log=lambda name, value, **_: logged.update({name: value}))
    trainer = SimpleNamespace(
        world_size=1, is_last_batch=True, strategy=SimpleNamespace(root_device=SimpleNamespace(type="cpu"))
    )
    throughput = callbacks.Throughput()
    throughput.on_train_batch_start(trainer, module, None, 0)
    throughput.on_validation_start()
    throughput.on_validation_end()
    throughput.on_train_batch_end(trainer, module, None, {"image": range(8)}, 0)
    assert throughput.seconds == 2 and logged == {"train/images_per_second": 4}
