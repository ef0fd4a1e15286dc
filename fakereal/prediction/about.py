"""What checkpoints say of themselves, and how they did in tests: the words of model cards and of the app's page."""

import math
from typing import Any

from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import mean_threshold
from fakereal.presentation.content import known_interval
from fakereal.runs.folders import Unusable, expand, read_json, results_below
from fakereal.runs.tested import Tested, join, read_tests

# Test figures, as metrics.json names them, and how each is written.
FIGURES = {
    "accuracy": ("Accuracy", "{:.2%}"),
    "without_leaked/accuracy": ("Accuracy without images that are also in train or val", "{:.2%}"),
    "auroc": ("AUROC", "{:.4f}"),
    "average_precision": ("Average precision", "{:.4f}"),
    "recall_fake": ("Recall of FAKE", "{:.2%}"),
    "recall_real": ("Recall of REAL", "{:.2%}"),
    "fpr_at_95_tpr": ("False-positive rate at 95% recall of FAKE", "{:.2%}"),
    "precision_fake_at_0.01": ("Precision if 1% of the images are FAKE", "{:.2%}"),
    "ece": ("Expected calibration error", "{:.4f}"),
    "brier": ("Brier score", "{:.4f}"),
}

# How a threshold was chosen, by the rule of a checkpoint.
CHOSEN = {
    "given": "was given",
    "accuracy": "has the best accuracy on validation",
    "youden": "has the best Youden index on validation",
    "fpr": "is the lowest with a false-positive rate of at most {max_fpr:g} on validation",
}

POINTS = ("REAL called FAKE, at most", "threshold", "REAL called FAKE", "FAKE found")


def about(member: Loaded) -> dict[str, Any]:
    """What a checkpoint says of itself, and the run that it lies in, where that is still there."""
    hparams = member.classifier.hparams
    said = {
        "backbone": hparams.backbone,
        "image_size": hparams.image_size or member.data["size"],
        "parameters": sum(p.numel() for p in member.classifier.backbone.parameters()),
        "calibrated": member.calibrated,
        "temperature": member.classifier.temperature,
        "threshold": member.classifier.threshold,
        "rule": member.rule,
        "max_fpr": member.max_fpr,
        "operating_points": points_of(member),
        "fitted": fitted_in_words(member),
        "tta": hparams.tta,
        "data": member.data["class"],
        "images": member.data["images"],
        "digest": member.digest,
    }
    run = member.path.parent.parent
    try:
        metrics, origin = read_json(run / "metrics.json"), read_json(run / "provenance.json")
    except Unusable:
        metrics = origin = {}
    if metrics.get("checkpoint_digest") != member.digest:
        metrics = origin = {}
    return said | {"validation": metrics, "figures": at_threshold(metrics, member), "origin": origin}


def points_of(member: Loaded) -> list[list[str]]:
    """Thresholds by the false alarms they allow, as table cells: POINTS, measured on validation."""
    return [
        [
            f"{point['max_fpr']:.1%}",
            f"{point['threshold']:.9g}",
            *(known_interval(point, name) for name in ("fpr", "recall_fake")),
        ]
        for point in member.operating_points
    ]


def fitted_in_words(member: Loaded) -> str:
    """Where temperature and threshold come from, as far as the checkpoint says."""
    said = "The temperature was fitted on validation"
    if not member.calibrated:
        said = "The probabilities are not calibrated: they are the raw output of the network"
    how = CHOSEN.get(member.rule, "was not chosen" if member.classifier.threshold == 0.5 else "")
    return f"{said}; the threshold {how.format(max_fpr=member.max_fpr)}." if how else f"{said}."


def at_threshold(metrics: dict[str, Any], member: Loaded) -> str:
    """Validation's figures at the decision threshold, with intervals; empty where these are not known."""
    if metrics.get("threshold") != member.classifier.threshold or "val/calibrated/accuracy" not in metrics:
        return ""
    names = {"accuracy": "accuracy", "recall of REAL": "recall_real", "recall of FAKE": "recall_fake"}
    said = {name: known_interval(metrics, f"val/calibrated/{key}") for name, key in names.items()}
    figures = ", ".join(f"{name} {figure}" for name, figure in said.items() if figure)
    chosen = "" if member.rule in ("", "given") else ", by which the threshold was chosen"
    return f"{figures}; {metrics['val/images']:,} images{chosen}"


def results_of(members: list[Loaded], folders: str | list[str] | None) -> list[Tested]:
    """The newest test of these checkpoints on each set of images, with their test-time augmentation and threshold."""
    if not folders:
        return []
    found, _ = expand(folders)
    tests, _ = read_tests(folder for folder in results_below(found) if (folder / "metrics.json").exists())
    digests = sorted(member.digest for member in members)
    tta = {member.classifier.hparams.tta for member in members}
    threshold = mean_threshold(members)
    alike = [test for test in tests if sorted(test.digests) == digests and tta == (test.tta or tta)]
    alike = [test for test in alike if math.isclose(test.metrics.get("test/threshold", threshold), threshold)]
    return join(alike, []).strangers


def test_table(test: Tested, members: list[Loaded]) -> dict[str, Any]:
    """The rows of a test's table, and which images it was on."""
    rows = [
        (name, *(form.format(test.metrics[f"test/{key}{end}"]) for end in ("", "_low", "_high")))
        for key, (name, form) in FIGURES.items()
        if f"test/{key}_low" in test.metrics
    ]
    images, digest = test.metrics["test/images"], test.metrics["data_digest"]
    return {
        "rows": rows,
        "images": images,
        "digest": digest,
        "which": which(test, members),
        "looks": test.metrics.get("look"),
    }


def which(test: Tested, members: list[Loaded]) -> str:
    """The images of a test, in words that go on after "test images"."""
    if any(test.metrics["data_digest"] != member.data["images"] for member in members):
        seen = f"; but {test.seen:,} of them were trained or validated on" if test.seen else ""
        return f"from elsewhere, not of the training data{seen}"
    if test.seen:
        return f"of another split of the training data: {test.seen:,} of them were trained or validated on"
    return "of the training data's own test split"
