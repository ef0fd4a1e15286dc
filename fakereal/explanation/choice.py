"""Which images of an evaluation a person should look at."""

from dataclasses import dataclass

import numpy as np

from fakereal import CLASSES
from fakereal.evaluation.evaluation import Evaluation

KINDS = ("most confident errors", "nearest the threshold", "sure hits")


@dataclass
class Cell:
    """Images of one class and kind: positions (n,) in the evaluation, the foremost first."""

    cls: str
    kind: str
    positions: np.ndarray

    @property
    def title(self) -> str:
        called = f" ({self.cls} called {CLASSES[1 - CLASSES.index(self.cls)]})" if self.kind == KINDS[0] else ""
        return f"{self.cls}, {self.kind}{called}"


def choose(evaluation: Evaluation, count: int, among: np.ndarray | None = None) -> list[Cell]:
    """A cell for each class and each of KINDS, with at most `count` images; of those in the mask (N,) where given.

    Equally sure images come in the order of the evaluation. A class without an image has no cell.
    """
    probabilities, right = evaluation.probabilities, evaluation.predictions == evaluation.labels
    distance = np.abs(probabilities.astype(np.float64) - evaluation.threshold)
    cells = []
    for label, cls in enumerate(CLASSES):
        held = evaluation.labels == label
        held = held if among is None else held & among
        if not held.any():
            continue
        wrongness = -probabilities if label else probabilities
        kinds = ((held & ~right, -wrongness), (held, distance), (held & right, wrongness))
        for kind, (mask, order) in zip(KINDS, kinds, strict=True):
            positions = np.flatnonzero(mask)
            cells.append(Cell(cls, kind, positions[np.argsort(order[positions], kind="stable")][:count]))
    return cells
