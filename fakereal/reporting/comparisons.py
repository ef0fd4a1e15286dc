"""Every two tests on the same images, compared image by image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from fakereal.evaluation.paired import auroc_differences, holm, mcnemar
from fakereal.reporting.figures import Figure
from fakereal.runs.folders import Unusable
from fakereal.runs.tested import Predictions, Tested, read_predictions
from fakereal.runs.trained import LeftOut

COMPARED = 16  # of each group: 120 pairs; 1,000 resamples of 20,000 images then take 3 s


@dataclass
class Pair:
    """Two tests on the same images. The AUROC difference is None where a class has fewer than two images."""

    first: Any
    second: Any
    images: int
    only_first: int
    only_second: int
    p_value: float
    adjusted: float = 1.0
    auroc_difference: Figure | None = None


@dataclass
class Pairs:
    compared: list[Pair]
    refused: list[tuple[Any, Any, str]]
    left_out: list[LeftOut]
    tested: int  # how many of the first group could have been compared

    def of(self, first: Any, second: Any) -> Pair | None:
        return next((pair for pair in self.compared if {pair.first, pair.second} == {first, second}), None)


def compare(groups: Sequence[dict[Any, Tested]], resamples: int, seed: int, advance: Callable[[float], None]) -> Pairs:
    """All pairs of the first COMPARED tests of each group; a pair that covers different images is refused.

    `advance` is told each share of the work that is done.
    """
    pairs = Pairs([], [], [], len(groups[0]) if groups else 0)
    read = [_read(list(group.items())[:COMPARED], pairs.left_out) for group in groups]
    for predictions in read:
        for first, second in combinations(predictions, 2):
            one, other = predictions[first], predictions[second]
            if one.covers_the_same(other):
                figures = mcnemar(one.right, other.right)
                pairs.compared.append(Pair(first, second, len(one.right), *figures))
            else:
                pairs.refused.append((first, second, _difference(one, other)))
    for pair, adjusted in zip(pairs.compared, holm([pair.p_value for pair in pairs.compared]), strict=True):
        pair.adjusted = adjusted
    _add_auroc_differences(pairs, {key: held for part in read for key, held in part.items()}, resamples, seed, advance)
    return pairs


def _read(tests: list[tuple[Any, Tested]], left_out: list[LeftOut]) -> dict[Any, Predictions]:
    predictions = {}
    for key, test in tests:
        try:
            predictions[key] = read_predictions(test)
        except Unusable as reason:
            left_out.append(LeftOut(str(test.folder), f"not compared in pairs: {reason}"))
    return predictions


def _difference(one: Predictions, other: Predictions) -> str:
    if one.paths == other.paths:
        return (
            f"the predictions give different labels to {int((one.labels != other.labels).sum()):,} of the same images"
        )
    shared = len(set(one.paths) & set(other.paths))
    sizes = f"{len(one.paths):,} and {len(other.paths):,} images, {shared:,} shared"
    return f"the predictions cover different images ({sizes})"


def _add_auroc_differences(
    pairs: Pairs,
    predictions: dict[Any, Predictions],
    resamples: int,
    seed: int,
    advance: Callable[[float], None],
) -> None:
    same: list[list[Any]] = []  # tests that cover the same images are resampled together
    for key in predictions:
        for keys in same:
            if pairs.of(keys[0], key):
                keys.append(key)
                break
        else:
            same.append([key])
    both = [predictions[keys[0]].labels for keys in same]
    todo = [
        (keys, labels)
        for keys, labels in zip(same, both, strict=True)
        if len(keys) > 1 and min(labels.sum(), (~labels).sum()) > 1
    ]
    for keys, labels in todo:
        scores = [predictions[key].probabilities for key in keys]

        def share(done: int) -> None:
            advance(done / resamples / len(todo))

        differences = auroc_differences(labels, scores, resamples=resamples, seed=seed, advance=share)
        for (first, second), difference in zip(combinations(keys, 2), differences, strict=True):
            pairs.of(first, second).auroc_difference = Figure(*difference)
