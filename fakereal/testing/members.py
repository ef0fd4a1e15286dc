"""What each member of an ensemble adds to it."""

from typing import Any

import numpy as np

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import combine, mean_threshold


def each_member(members: list[Loaded], probabilities: np.ndarray, joint: Evaluation) -> list[dict[str, Any]]:
    """A row a member: its accuracy alone, and the ensemble's without it, with Wilson intervals; none for one alone."""
    rows: list[dict[str, Any]] = []
    if len(members) < 2:
        return rows
    for index, member in enumerate(members):
        alone = Evaluation(joint.labels, probabilities[index], member.classifier.threshold)
        others = mean_threshold([other for other in members if other is not member])
        rest = Evaluation(joint.labels, combine(np.delete(probabilities, index, axis=0)), others)
        both = [named(name, *one.accuracy()[:2]) for name, one in (("alone", alone), ("without_it", rest))]
        rows.append({"checkpoint": str(member.path), **both[0], **both[1]})
    return rows
