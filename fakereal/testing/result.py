"""What a test finds, as values: its files and what the terminal shows are made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fakereal.data.datamodule import ImageDataModule
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.groups import by_group, macro_means
from fakereal.evaluation.operating import OperatingPoint, measured_at
from fakereal.models.checkpoint import Loaded
from fakereal.models.distance.tally import Tally
from fakereal.models.ensemble import combine, mean_threshold
from fakereal.presentation.content import known_interval, percent
from fakereal.runs.image_digests import ImageDigests
from fakereal.testing.groups import group_names
from fakereal.testing.members import each_member
from fakereal.testing.trained_on import figures_without_leaked, seen_in_training


@dataclass(frozen=True)
class Result:
    """Of N images.

    Attributes:
        evaluation: labels and answers (N,) with all that is computed of them.
        names: of the images (N,).
        group_of: the group of each image (N,).
        metrics: flat figures, as metrics.json has them.
        groups: a row a group, empty where the images have none.
        operating_points: what the thresholds that validation chose for limits of false alarms come to here.
        ensemble: a row a member of several that answered together, else empty.
    """

    evaluation: Evaluation
    names: list[str]
    group_of: list[str]
    metrics: dict[str, Any]
    groups: list[dict[str, Any]]
    operating_points: list[OperatingPoint]
    ensemble: list[dict[str, Any]]

    def figure(self, name: str, form: Callable[[float], str] = percent) -> str:
        """One of `metrics` with its interval, or why it is not defined."""
        if self.metrics[name] is None:
            return f"not defined: {'no image was called FAKE' if self.evaluation.both else 'one class only'}"
        return known_interval(self.metrics, name, form)

    @property
    def tables(self) -> dict[str, list[Any]]:
        """Rows by the name of their file, empty where there are none."""
        return {"groups": self.groups, "operating_points": self.operating_points, "ensemble": self.ensemble}


def result_of(
    members: list[Loaded],
    data: ImageDataModule,
    probabilities: np.ndarray,
    trained: np.ndarray,
    far: Tally,
    group_depth: int | None,
) -> Result:
    """Of the probabilities (members, N) about the test split; `trained`: rows of images that were train or val."""
    split = data.splits["test"]
    evaluation = Evaluation(split.labels, combine(probabilities), mean_threshold(members))
    names = [data.images.names[row] for row in split.rows]
    group_of = group_names(data, names, group_depth)
    groups = by_group(evaluation, group_of, np.isin(split.rows, trained) if len(trained) else None)
    metrics = {
        **evaluation.flat("test/"),
        **figures_without_leaked(evaluation, data, trained),
        **{f"test/far/{name}": figure for name, figure in far.figures().items()},
        **origin(members),
        **seen_in_training(data, trained),
        **ImageDigests.of_data(data).named(),
        **{f"test/groups/{name}": figure for name, figure in macro_means(groups).items()},
        "group_depth": group_depth,
    }
    points = measured_points(members, evaluation)
    return Result(evaluation, names, group_of, metrics, groups, points, each_member(members, probabilities, evaluation))


def measured_points(members: list[Loaded], evaluation: Evaluation) -> list[OperatingPoint]:
    """What the operating points chosen on validation come to here; none of several members: their mean has none."""
    if len(members) > 1:
        return []
    chosen = [(point["max_fpr"], point["threshold"]) for point in members[0].operating_points]
    return measured_at(chosen, evaluation.labels, evaluation.probabilities)


def origin(members: list[Loaded]) -> dict[str, Any]:
    """`checkpoint` and `checkpoint_digest`, of an ensemble's lists; `tta`: their test-time augmentation."""
    paths = [str(member.path.absolute()) for member in members]
    digests = [member.digest for member in members]
    tta = ",".join(sorted({member.classifier.hparams.tta for member in members}))
    if len(members) == 1:
        return {"checkpoint": paths[0], "checkpoint_digest": digests[0], "tta": tta}
    return {"checkpoint": paths, "checkpoint_digest": digests, "tta": tta}
