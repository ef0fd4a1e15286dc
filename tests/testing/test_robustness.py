"""The robustness command, on checkpoints of tiny networks; and what its figures mean."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from fakereal.data.transforms.corruptions import CORRUPTIONS, corrupt
from fakereal.evaluation.evaluation import Evaluation
from fakereal.models.checkpoint import load_classifier
from fakereal.testing.degradation import cell_figures, verdict
from fakereal.testing.images import open_data
from fakereal.testing.robustness import first_of_each_class

EXACT = ("trainer.accelerator=cpu", "trainer.precision=32-true")


@pytest.fixture
def checkpoint(trained_run) -> Path:
    return trained_run("data.count=400", "calibration.min_images=10") / "checkpoints" / "best.ckpt"


def cells_of(folder: Path) -> list[dict]:
    with (folder / "robustness.csv").open() as file:
        return [
            {key: value if key in ("corruption", "strength") else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.mark.slow
def test_the_whole_grid_of_one_checkpoint(run, checkpoint, tmp_path):
    assert run("test", f"ckpt_path={checkpoint}", "hydra.run.dir=tested", *EXACT).code == 0
    finished = run("robustness", f"ckpt_path={checkpoint}", "hydra.run.dir=out", *EXACT)
    assert finished.code == 0, finished.text
    out, rows = tmp_path / "out", cells_of(tmp_path / "out")
    clean, grid = rows[0], rows[1:]
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        ("clean", 0),
        *((name, severity) for name in CORRUPTIONS for severity in (1, 2, 3, 4, 5)),
    ]
    for row in rows:
        for name in ("accuracy", "auroc", "false_positive_rate", "false_negative_rate"):
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            assert 0 <= low <= row[name] + 1e-9 and row[name] - 1e-9 <= high <= 1
        assert row["lost_to_threshold"] >= 0
        lost = row["lost_to_threshold"] + row["lost_to_ranking"]
        assert row["accuracy"] + lost == pytest.approx(clean["oracle_accuracy"])
        assert row["images"] == 80 and (row["change"] > 0) == (row["severity"] > 0)

    # The clean images are tested as `test` tests them, and counted as it counts.
    tested, metrics = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("tested", "out"))
    for name in ("accuracy", "accuracy_low", "accuracy_high", "loss", "ece", "threshold"):
        assert metrics[f"test/{name}"] == tested[f"test/{name}"]
    for name in ("auroc", "auroc_low", "auroc_high"):
        assert metrics[f"test/{name}"] == pytest.approx(tested[f"test/{name}"], abs=1e-6)
    assert metrics["look"] == json.loads((out / "look.json").read_text())["look"] == 2
    assert metrics["robustness/accuracy"] == pytest.approx(np.mean([row["accuracy"] for row in grid]))
    worst = metrics["robustness/worst"]
    means = {name: np.mean([row["accuracy"] for row in grid if row["corruption"] == name]) for name in CORRUPTIONS}
    assert means[worst] == min(means.values())
    assert f"Worst corruption: {worst}, accuracy {means[worst]:.1%}" in finished.text and "Look 2" in finished.text
    assert {"git", "precision", "data"} <= {*json.loads((out / "provenance.json").read_text())}
    assert Image.open(out / "robustness.png").size[0] > 1000 and Image.open(out / "examples.png").size[1] > 1000

    # A cell by hand: the figures stand in the row of their own corruption.
    loaded = load_classifier(checkpoint)
    data = open_data(OmegaConf.create(), [loaded])
    data.setup()
    split = data.splits["test"]
    images = torch.from_numpy(data.images.gather(split.rows)).permute(0, 3, 1, 2)
    for name, severity in (("gaussian_noise", 5), ("darker", 3)):
        with torch.inference_mode():
            pixels = corrupt(images, name, severity, seed=0, index=torch.arange(80))
            by_hand = Evaluation(
                split.labels, loaded.classifier.probabilities(pixels).numpy(), metrics["test/threshold"]
            )
        [row] = [row for row in grid if (row["corruption"], row["severity"]) == (name, severity)]
        assert row["accuracy"] == by_hand.accuracy()[0]
        assert row["loss"] == pytest.approx(by_hand.log_loss()[0], rel=1e-4)
        assert row["change"] == pytest.approx((pixels.float() - images.float()).abs().mean().item(), rel=1e-4)


def test_a_network_that_gives_no_numbers_is_refused(run, checkpoint, tmp_path):
    altered = torch.load(checkpoint, weights_only=True)
    next(iter(altered["state_dict"].values())).fill_(float("nan"))
    for name in altered["state_dict"]:
        if name.endswith("fc.weight"):
            altered["state_dict"][name].fill_(float("nan"))
    torch.save(altered, tmp_path / "nan.ckpt")
    words = ("ckpt_path=nan.ckpt", "corruptions=jpeg", "severities=[1]", "trainer.accelerator=cpu", "ledger=l.jsonl")
    done = run("robustness", *words)
    assert done.code == 1 and "the network gave no number (nan)" in done.text and not (tmp_path / "l.jsonl").read_text()


def test_an_ensemble_a_few_cells_on_validation_leaves_no_line_in_the_ledger(run, quick, checkpoint, tmp_path):
    words = ("data.count=400", "seed=1", "hydra.run.dir=second")
    assert run("train", *quick, *words).code == 0
    both = f"ckpt_path=[{checkpoint},{tmp_path / 'second' / 'checkpoints' / 'best.ckpt'}]"
    few = ("split=val", "limit=20", "corruptions=[webp,crop,webp]", "severities=[5,2]", "tta=flip")
    for number, words in enumerate(((), ("data.batch_size=7",))):
        finished = run("robustness", both, *few, *words, *EXACT, f"hydra.run.dir=out{number}", "ledger=ledger.jsonl")
        assert finished.code == 0, finished.text
    assert not (tmp_path / "ledger.jsonl").exists() and not (tmp_path / "out0" / "look.json").exists()
    assert "20 of 32 val images" in finished.text and "Look" not in finished.text
    rows, again = (cells_of(tmp_path / name) for name in ("out0", "out1"))
    expected = [("clean", 0), ("webp", 2), ("webp", 5), ("crop", 2), ("crop", 5)]
    assert [(row["corruption"], row["severity"]) for row in rows] == expected
    for row, other in zip(rows, again, strict=True):
        assert row["images"] == 20 and row["change"] == pytest.approx(other["change"], rel=1e-5)
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4), "whatever the size of the batch"
    metrics = json.loads((tmp_path / "out0" / "metrics.json").read_text())
    assert len(metrics["checkpoint_digest"]) == 2 and "look" not in metrics
    assert metrics["val/accuracy"] == rows[0]["accuracy"] and "test/accuracy" not in metrics


def test_all_mistakes_are_told_at_once_before_any_work(run, tmp_path):
    words = ("ckpt_path=nowhere.ckpt", "corruptions=[jpg,webp,gausian_blur,xyzzy]", "severities=[1,6]", "limit=1")
    finished = run("robustness", *words, "split=train")
    assert finished.code == 1 and "Traceback" not in finished.text
    for text in (
        "there is no 'jpg'. Did you mean jpeg?",
        "there is no 'gausian_blur'. Did you mean gaussian_blur?",
        "there is no 'xyzzy'. There are: all, jpeg, webp",
        "`severities` must be less than or equal to 5",
        "`limit` must be",
        "`split` must be 'test' or 'val', got 'train'",
        "ckpt_path=nowhere.ckpt does not exist",
    ):
        assert text in finished.text, finished.text
    assert not list(tmp_path.glob("outputs/robustness/*/robustness.csv"))
    finished = run("robustness", "corruptions=[]", "severities=3")
    for text in ("ckpt_path", "`corruptions` must", "`severities` must"):
        assert finished.code == 1 and text in finished.text, finished.text


def test_a_shift_of_all_scores_is_the_thresholds_failure_and_noise_the_rankings():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.float32([0, 1]), 500)

    def figures(logits, oracle=None):
        return cell_figures(Evaluation(labels, (1 / (1 + np.exp(-logits))).astype(np.float32), 0.5), oracle)

    logits = generator.normal(4 * (labels - 0.5), 0.5)
    clean = figures(logits)
    assert clean["accuracy"] == clean["oracle_accuracy"] == 1 and clean["lost_to_ranking"] == 0
    shifted, noisy = figures(logits - 3, 1.0), figures(generator.permutation(logits), 1.0)
    assert shifted["auroc"] == 1 and shifted["lost_to_ranking"] == 0 and shifted["lost_to_threshold"] > 0.45
    assert shifted["false_negative_rate"] > 0.9 and shifted["false_positive_rate"] == 0
    assert shifted["oracle_threshold"] < 0.5
    assert noisy["lost_to_ranking"] > 0.4 > 0.1 > noisy["lost_to_threshold"]

    def said(cell):
        grid = [clean | {"corruption": "clean", "severity": 0}, cell | {"corruption": "crop", "severity": 1}]
        return verdict(grid)

    assert "mostly the threshold fails" in said(shifted) and "of FAKE are called REAL" in said(shifted)
    assert "mostly the ranking fails" in said(noisy)
    assert "both threshold and ranking fail" in said(noisy | {"lost_to_threshold": noisy["lost_to_ranking"] / 1.5})
    assert "too little to say what fails" in said(clean | {"lost_to_ranking": 0.0})


def test_the_first_images_of_each_class_in_its_share():
    labels = np.float32([0, 1, 1, 0, 1, 1, 1, 1])
    assert first_of_each_class(labels, None).tolist() == first_of_each_class(labels, 99).tolist() == [*range(8)]
    assert first_of_each_class(labels, 4).tolist() == [0, 1, 2, 4]
    assert first_of_each_class(labels, 2).tolist() == [0, 1]


def test_the_comment_in_the_configuration_names_every_corruption():
    text = (Path(__file__).parents[2] / "conf" / "robustness.yaml").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("# all, one or a list of: ")]
    assert line.split(": ")[1].split(", ") == [*CORRUPTIONS]
