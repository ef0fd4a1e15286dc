"""`trainer.max_epochs=0`: a network that was trained elsewhere, or on other images, is measured and calibrated here."""

import json

import pytest
import torch

from fakereal.models.backbones import create_backbone

NONE = "trainer.max_epochs=0"


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_checkpoint_is_calibrated_on_other_images_and_changes_in_nothing_else(run, quick, trained_run, tmp_path):
    best = trained_run("data.count=400", "model.normalization=dataset") / "checkpoints" / "best.ckpt"
    words = [word for word in quick if not word.startswith(("trainer.max_epochs", "hydra.run.dir", "data.count"))]
    words += ["data.count=1300", "data.val_fraction=0.5", "data.content_seed=1", "model.normalization=dataset"]
    extra = ("callbacks=[default,ema]", "scheduler=onecycle", "hydra.run.dir=again")
    done = run("train", *words, NONE, f"init_from={best}", *extra)
    assert done.code == 0 and "not trained, but measured and calibrated" in done.text, done.text
    again = tmp_path / "again" / "checkpoints" / "best.ckpt"
    before, after = weights(best), weights(again)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    metrics = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["best_epoch"], metrics["val/images"]) == (0, 0, 520)
    assert "train_seconds" not in metrics and metrics["temperature"] != 1
    assert {file.name for file in again.parent.iterdir()} == {"best.ckpt"}

    assert run("test", f"ckpt_path={again}", "trainer.accelerator=cpu", "hydra.run.dir=outputs/test/one").code == 0
    words_of_all = ("data=synthetic", "data.count=1300", "data.content_seed=1", "data.test_fraction=1")
    done = run("test", f"ckpt_path={again}", "trainer.accelerator=cpu", *words_of_all, "hydra.run.dir=all")
    assert done.code == 0, done.text
    figures = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert (figures["test/images"], figures["test/seen_in_training"]) == (1300, 520), "no image of train was used"
    reported = run("report", "runs=again", "hydra.run.dir=report")
    assert reported.code == 0 and "Left out" not in reported.text, reported.text
    assert run("export", f"ckpt_path={again}", "format=safetensors", "hydra.run.dir=export").code == 0
    card = (tmp_path / "export" / "model_card.md").read_text()
    assert "Not trained on them, but measured with fakereal" in card and "epochs" not in card
    assert "Its weights come from `best.ckpt` (SHA-256" in card and "\nTemperature and threshold were chosen" in card
    refused = run("train", *words, f"ckpt_path={again}", "hydra.run.dir=on")
    assert refused.code == 1 and f"start a new training with init_from={again}" in refused.text
    trained = run("train", *words, "trainer.max_epochs=1", f"init_from={again}", "hydra.run.dir=more")
    assert trained.code == 0, trained.text


def test_images_must_be_read_as_the_weights_were_trained(run, quick, trained_run):
    best = trained_run() / "checkpoints" / "best.ckpt"
    words = [word for word in quick if not word.startswith(("trainer.max_epochs", "hydra.run.dir"))]
    words += [f"init_from={best}", "data.size=40", "data.aspect=crop", "model.tta=flip", "hydra.run.dir=other"]
    refused = run("train", *words, NONE)
    assert refused.code == 1 and "Traceback" not in refused.text, refused.text
    assert "give data.size=32 data.aspect=squash model.tta=none (not data.size=40 data.aspect=crop" in refused.text
    told = run("train", *words, "trainer.max_epochs=1")
    assert told.code == 0, told.text
    assert "was trained with data.size=32 data.aspect=squash model.tta=none; here: data.size=40" in told.text
    only = run("train", *quick, NONE, f"init_from={best}", "model.tta=flip", "model.normalization=backbone")
    assert only.code == 0 and "was trained with model.tta=none; here: model.tta=flip" in only.text
    assert "model.normalization= is not used" in only.text


def test_no_image_is_needed_to_train_on(run, quick, trained_run, image_tree, tmp_path):
    best = trained_run() / "checkpoints" / "best.ckpt"
    tree = image_tree(tmp_path / "tree", 20, splits=("val",))
    words = [word for word in quick if not word.startswith(("trainer.max_epochs", "data"))]
    done = run("train", *words, NONE, f"init_from={best}", "data=folder", f"data.root={tree}", "data.size=32")
    assert done.code == 0, done.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["val/images"] == 40


def test_a_published_detector_is_measured_as_it_is(run, quick, tmp_path):
    """Torchvision's names, wrapped as a training program does."""
    network = create_backbone("resnet18")
    torch.nn.init.normal_(network.fc.weight, std=0.05)
    torch.save({"model": network.state_dict(), "total_steps": 7}, tmp_path / "detector.pth")
    words = [word for word in quick if not word.startswith(("model", "trainer.max_epochs"))]
    words += [NONE, "model=resnet18"]
    done = run("train", *words, f"model.weights={tmp_path / 'detector.pth'}")
    assert done.code == 0, done.text
    found = weights(tmp_path / "run" / "checkpoints" / "best.ckpt")
    for name, value in network.state_dict().items():
        assert torch.equal(found[f"backbone.{name}"], value), name


@pytest.mark.parametrize("given", ["nothing", "backbone", "another head"])
def test_what_would_answer_at_random_is_refused(run, quick, tmp_path, given):
    words = [word for word in quick if not word.startswith(("model", "trainer.max_epochs"))]
    words += [NONE, "model=resnet18", "model.pretrained=false"]
    if given != "nothing":
        state = create_backbone("resnet18").state_dict()
        state |= {"fc.weight": torch.randn(1000, 512), "fc.bias": torch.zeros(1000)}
        if given == "backbone":
            del state["fc.weight"], state["fc.bias"]
        torch.save(state, tmp_path / "weights.pth")
        words.append(f"model.weights={tmp_path / 'weights.pth'}")
    done = run("train", *words)
    assert done.code == 1 and "last layer would be random" in done.text and "Traceback" not in done.text
    assert not (tmp_path / "run" / "checkpoints").exists()
