"""What a corruption costs, and whether the threshold fails or the ranking."""

from typing import Any

import numpy as np

from fakereal.evaluation.calibration import choose_threshold
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named, wilson

LOSSES = ("lost_to_threshold", "lost_to_ranking")
MEANS = ("accuracy", "auroc", *LOSSES, "false_positive_rate", "false_negative_rate")


def cell_figures(evaluation: Evaluation, clean_oracle: float | None = None) -> dict[str, float]:
    """Figures of one corruption at one severity, by name, with 95% intervals as NAME_low and NAME_high.

    accuracy: at the frozen threshold (Wilson).
    auroc: score interval (Newcombe).
    oracle_accuracy, oracle_threshold: the best that any threshold reaches, found on these very images: no figure
        to expect of anybody who does not know their labels.
    lost_to_threshold: oracle_accuracy - accuracy, which another threshold would win back. Of clean images too it
        is a little above 0, as the oracle fits their noise.
    lost_to_ranking: `clean_oracle` (None: these are the clean images) - oracle_accuracy, which none would.
    false_positive_rate: REAL called FAKE; false_negative_rate: FAKE called REAL (Wilson).
    loss: log-loss in nats; ece: expected calibration error, of the probabilities at the frozen temperature (bootstrap).
    """
    accuracy, interval, _ = evaluation.accuracy()
    cut = choose_threshold(evaluation.probabilities, evaluation.labels, "accuracy")
    oracle = Evaluation(evaluation.labels, evaluation.probabilities, cut).accuracy()[0]
    (tn, fp), (fn, tp) = evaluation.confusion().tolist()
    area, area_interval = evaluation.auroc()
    return {
        **named("accuracy", accuracy, interval),
        **named("auroc", area, area_interval),
        "oracle_accuracy": oracle,
        "oracle_threshold": cut,
        "lost_to_threshold": oracle - accuracy,
        "lost_to_ranking": 0.0 if clean_oracle is None else clean_oracle - oracle,
        **named("false_positive_rate", fp / (tn + fp), wilson(fp, tn + fp)),
        **named("false_negative_rate", fn / (fn + tp), wilson(fn, fn + tp)),
        **named("loss", *evaluation.log_loss()),
        **named("ece", *evaluation.calibration_error()),
    }


def summarize(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """MEANS over the severities of each corruption, the one with the lowest accuracy first."""
    names = dict.fromkeys(row["corruption"] for row in rows if row["severity"])
    means = {
        name: {figure: float(np.mean([row[figure] for row in rows if row["corruption"] == name])) for figure in MEANS}
        for name in names
    }
    return dict(sorted(means.items(), key=lambda item: item[1]["accuracy"]))


def verdict(rows: list[dict[str, Any]]) -> str:
    """Two sentences: the worst corruption, and what fails there. `rows` are of all cells, the clean one first."""
    clean, (name, worst) = rows[0], next(iter(summarize(rows).items()))
    said = (
        f"Worst corruption: {name}, accuracy {worst['accuracy']:.1%} on average over its severities against "
        f"{clean['accuracy']:.1%} clean, AUROC {worst['auroc']:.3f} against {clean['auroc']:.3f}."
    )
    if worst["accuracy"] >= clean["accuracy_low"]:
        return f"{said} That is within the interval of the clean images: too little to say what fails."
    threshold, ranking = (100 * worst[name] for name in LOSSES)
    fails = "both threshold and ranking fail"
    if max(threshold, ranking) > 2 * min(threshold, ranking):
        fails = f"mostly the {'threshold' if threshold > ranking else 'ranking'} fails"
    return (
        f"{said} There {fails}: {threshold:.1f} points are lost to the threshold, {ranking:.1f} to the ranking; "
        f"{worst['false_positive_rate']:.1%} of REAL are called FAKE, {worst['false_negative_rate']:.1%} of FAKE are "
        "called REAL."
    )
