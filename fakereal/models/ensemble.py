"""Several checkpoints that answer together: the mean of their probabilities, and what each of them adds."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fakereal.data.known import DATA
from fakereal.models.checkpoint import Loaded, load_classifier
from fakereal.runtime.errors import UserError

log = logging.getLogger(__name__)
# How images were made small belongs to the network: it is the same wherever they come from.
PREPROCESSING = ("size", "aspect", "filter")


class Ensemble(nn.Module):
    """Classifiers that are asked about the same images, at the mean of their thresholds."""

    def __init__(self, members: list[Loaded]):
        super().__init__()
        self.members = nn.ModuleList(member.classifier for member in members)
        self.threshold = mean_threshold(members)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of FAKE (members, B), float32, of uint8 images (B, 3, H, W)."""
        return torch.stack([member.probabilities(images) for member in self.members]).float()


def mean_threshold(members: list[Loaded]) -> float:
    """The threshold of an ensemble's mean probability."""
    return float(np.mean([member.classifier.threshold for member in members]))


def load_members(
    ckpt_path: str | list[str], *, tta: str | None = None, threshold: float | None = None, own_data: bool = False
) -> list[Loaded]:
    """The classifiers of one checkpoint or of several that can answer together.

    `tta`: their test-time augmentation, and `threshold`: the probability from which they call an image FAKE; None: as
    each checkpoint says. `own_data`: the test split is that of their training data, and must then be the same for all
    of them.
    """
    paths = paths_of(ckpt_path)
    members = [load_classifier(path) for path in paths]
    for member in members:
        member.classifier.hparams.tta = tta or member.classifier.hparams.tta
        if threshold:
            member.classifier.threshold, member.rule, member.max_fpr = threshold, "given", None
        if member.reference is None and not member.calibrated:
            log.warning("%s is not calibrated: best.ckpt of a finished training is", member.path)
    first = members[0]
    for index, member in enumerate(members[1:], start=1):
        for earlier in members[:index]:
            if member.digest == earlier.digest:
                raise UserError(f"ckpt_path: {member.path} is the same checkpoint as {earlier.path}. Give it once.")
        for key in _must_agree(first, own_data):
            ours, theirs = first.data.get(key), member.data.get(key)
            if ours != theirs:
                what = "images digest" if key == "images" else f"data.{key}"
                raise UserError(
                    f"ckpt_path: {member.path} was trained with {what}={theirs}, {first.path} with {ours}. The "
                    "members of an ensemble must see the same images: give checkpoints that agree"
                    + (" or choose the data to test on with data=NAME." if key not in PREPROCESSING else ".")
                )
    warn_of_mean_threshold(members)
    return members


def warn_of_mean_threshold(members: list[Loaded]) -> None:
    """Says of several that a limit of false alarms, for which one of them has its threshold, is not theirs together."""
    limited = next((member for member in members if member.rule == "fpr"), None)
    if limited and len(members) > 1:
        log.warning(
            "%s has the threshold of a false-positive rate of at most %g. Together the checkpoints have the mean of "
            "their thresholds, %.4f, for which that rate does not hold. Give threshold= for another one",
            limited.path, limited.max_fpr, mean_threshold(members),
        )  # fmt: skip


def paths_of(ckpt_path: str | Sequence[str] | None) -> list[str]:
    """One path or several, as a list; UserError without any."""
    if ckpt_path is None:
        raise UserError("ckpt_path=null: give the path of a checkpoint written by fakereal.train, or a list of them.")
    if not ckpt_path and not isinstance(ckpt_path, str):
        raise UserError("ckpt_path=[]: give at least one checkpoint.")
    return [ckpt_path] if isinstance(ckpt_path, str) else list(ckpt_path)


def _must_agree(first: Loaded, own_data: bool) -> tuple[str, ...]:
    if not own_data:
        return PREPROCESSING
    known = DATA.get(first.data["class"])
    # Where the test split is not its authors', it is carved, and another one holds training images.
    carved = () if known and known.need_split else ("test_fraction", "split_seed")
    return (*PREPROCESSING, "class", "images", *carved)


def combine(probabilities: np.ndarray) -> np.ndarray:
    """The answer (N,) of members (M, N): the mean of their probabilities."""
    return probabilities.mean(0, dtype=np.float64).astype(np.float32)
