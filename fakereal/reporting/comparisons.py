"""Every two tests on the same images, compared image by image."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from fakereal.evaluation.paired import auroc_differences, holm, mcnemar
from fakereal.reporting.figures import Figure
from fakereal.reporting.folders import Unusable
from fakereal.reporting.runs import LeftOut
from fakereal.reporting.tested import Predictions, Tested, read_predictions

COMPARED = 16  # 120 pairs; 1,000 resamples of 20,000 images then take 3 s


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
    tested: int  # how many could have been compared

    def of(self, first: Any, second: Any) -> Pair | None:
        return next((pair for pair in self.compared if {pair.first, pair.second} == {first, second}), None)


def compare(tests: dict[Any, Tested], resamples: int, seed: int, advance: Callable[[float], None]) -> Pairs:
    """All pairs of the first COMPARED tests; a pair that covers different images is refused.

    `advance` is told each share of the work that is done.
    """
    predictions: dict[Any, Predictions] = {}
    left_out = []
    for key, test in list(tests.items())[:COMPARED]:
        try:
            predictions[key] = read_predictions(test)
        except Unusable as reason:
            left_out.append(LeftOut(str(test.folder), f"not compared in pairs: {reason}"))
    pairs = Pairs([], [], left_out, len(tests))
    for first, second in combinations(predictions, 2):
        one, other = predictions[first], predictions[second]
        if one.covers_the_same(other):
            figures = mcnemar(one.right, other.right)
            pairs.compared.append(Pair(first, second, len(one.right), *figures))
        else:
            shared = len(set(one.paths) & set(other.paths))
            sizes = f"{len(one.paths):,} and {len(other.paths):,} images, {shared:,} shared"
            pairs.refused.append((first, second, f"the predictions cover different images ({sizes})"))
    for pair, adjusted in zip(pairs.compared, holm([pair.p_value for pair in pairs.compared]), strict=True):
        pair.adjusted = adjusted
    _add_auroc_differences(pairs, predictions, resamples, seed, advance)
    return pairs


def _add_auroc_differences(
    pairs: Pairs,
    predictions: dict[Any, Predictions],
    resamples: int,
    seed: int,
    advance: Callable[[float], None],
) -> None:
    same: list[list[Any]] = []  # tests that cover the same images are resampled together
    for key, held in predictions.items():
        for keys in same:
            if held.covers_the_same(predictions[keys[0]]):
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
