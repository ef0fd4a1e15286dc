"""What predict and explain are asked: checkpoints and images."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from fakereal import __version__
from fakereal.config.build import build
from fakereal.config.keys import Count
from fakereal.config.schema import problems, value_problem
from fakereal.models.ensemble import load_members
from fakereal.prediction.images import Images
from fakereal.prediction.predictor import Predictor
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError

ALONE = 0.3  # seconds of decoding after which processes for it are started: they take about as long


@dataclass(frozen=True)
class Question:
    """Who is asked about which images, and how many at a time."""

    images: Images
    predictor: Predictor
    batch_size: int

    def said(self, precision: str | int) -> dict[str, Any]:
        """Who is asked, and how."""
        members = self.predictor.members
        return {
            "checkpoint": [str(member.path.absolute()) for member in members],
            "checkpoint_digest": [member.digest for member in members],
            "tta": [member.classifier.hparams.tta for member in members],
            "threshold": self.predictor.threshold,
            "precision": precision,
            "batch_size": self.batch_size,
            "device": str(self.predictor.device),
            "fakereal": __version__,
        }


def ask(cfg: DictConfig) -> Question:
    """The question of a configuration with `ckpt_path`, `images` and, in explain's, `limit`.

    Raises:
        UserError: names every key that is wrong, or the checkpoint or images that cannot be found.
    """
    # Of either, one is enough here, but not for training, whose ranges the schema states.
    found = [*problems(cfg, skip=frozenset({"limit"}))]
    for key, value in (("data.batch_size", cfg.data.batch_size), ("limit", cfg.get("limit"))):
        found += value_problem(key, value, Count | None)
    if found:
        raise UserError("\n".join(found))
    images = Images(cfg.images)
    prepare(cfg)
    members = load_members(cfg.ckpt_path, tta=cfg.tta, threshold=cfg.threshold)
    batch_size = cfg.data.batch_size or members[0].data["batch_size"]
    return Question(images, Predictor(members, build(cfg.trainer, devices=1)), batch_size)
