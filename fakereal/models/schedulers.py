"""Learning-rate schedules over a run's optimizer steps, built from torch's own."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import lightning as L
from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from fakereal.runtime.errors import UserError

# As torch's schedules call their length: of OneCycleLR; of LinearLR, ConstantLR, PolynomialLR; of CosineAnnealingLR.
LENGTHS = ("total_steps", "total_iters", "T_max")
Fraction = Annotated[float, Field(ge=0, le=1)]


def constant(optimizer: Optimizer, total_steps: int, *, warmup: Fraction = 0.0) -> LambdaLR:
    """The optimizer's learning rate, reached linearly over the first `warmup` of all steps."""
    return _warmed(optimizer, total_steps, warmup, _one)


def linear(optimizer: Optimizer, total_steps: int, *, warmup: Fraction = 0.0, final: Fraction = 0.0) -> LambdaLR:
    """Down in a straight line to `final` times the learning rate."""
    return _warmed(optimizer, total_steps, warmup, partial(_line, final))


def cosine(optimizer: Optimizer, total_steps: int, *, warmup: Fraction = 0.0, final: Fraction = 0.0) -> LambdaLR:
    """Half a cosine down to `final` times the learning rate (Loshchilov & Hutter 2017), without restarts."""
    return _warmed(optimizer, total_steps, warmup, partial(_half_cosine, final))


def step(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup: Fraction = 0.0,
    milestones: list[Fraction] = (0.5, 0.75),
    factor: Fraction = 0.1,
) -> LambdaLR:
    """Times `factor` at each milestone, given as a fraction of the run (He et al. 2016: 0.5 and 0.75)."""
    # As shares of what follows the warm-up, which is what a schedule is told.
    after = tuple((milestone - warmup) / max(1 - warmup, 1e-9) for milestone in milestones)
    return _warmed(optimizer, total_steps, warmup, partial(_stairs, after, factor))


def _warmed(optimizer: Optimizer, total_steps: int, warmup: float, after: Callable[[float], float]) -> LambdaLR:
    schedule = LambdaLR(optimizer, partial(_warm, total=total_steps, warmup=warmup, after=after))
    if warmup or after is not _one:  # else its length means nothing, and a training may go on for longer
        schedule.total_steps = total_steps  # kept in checkpoints, as torch's OneCycleLR does
    return schedule


def _warm(now: int, *, total: int, warmup: float, after: Callable[[float], float]) -> float:
    rising = warmup * total
    return (now + 1) / (rising + 1) if now < rising else after((now - rising) / max(1, total - rising))


def _one(done: float) -> float:
    return 1.0


def _line(final: float, done: float) -> float:
    return final + (1 - final) * max(0.0, 1 - done)


def _half_cosine(final: float, done: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _stairs(milestones: tuple[float, ...], factor: float, done: float) -> float:
    return factor ** sum(done > milestone - 1e-9 for milestone in milestones)


def scheduled(
    make: Callable, optimizer: Optimizer, total_steps: int, planned: Mapping[str, Any], trainer: L.Trainer
) -> dict[str, Any]:
    """A schedule and when Lightning is to step it: after each optimizer step, a ReduceLROnPlateau after each epoch's.

    `make` is called with the optimizer and, where it takes its length and none is given, with `total_steps` as that.
    `planned`: the state of the schedule that is resumed, if any, whose length it keeps; UserError where it is to have
    another one.
    """
    takes, given = inspect.signature(make).parameters, getattr(make, "keywords", {})
    schedule = make(optimizer, **{name: total_steps for name in LENGTHS if name in takes and name not in given})
    for name in LENGTHS:
        now = getattr(schedule, name, None)
        if name in planned and now is not None and planned[name] != now:
            raise UserError(
                f"The learning-rate schedule of this checkpoint was planned for {planned[name]} steps "
                f"(its {name}), but this training has {now}: the rate would jump. Give trainer.max_epochs, "
                "data.batch_size and the scheduler as they were, or start a new training with init_from=CKPT. "
                "(With scheduler=constant, a training may go on for longer.)"
            )
    if not isinstance(schedule, ReduceLROnPlateau):
        return {"scheduler": schedule, "interval": "step"}
    if (every := trainer.check_val_every_n_epoch) != 1:
        raise UserError(
            f"trainer.check_val_every_n_epoch={every}: ReduceLROnPlateau needs a validation after each epoch. Give 1, "
            "or another scheduler."
        )
    watched = "val/loss" if schedule.mode == "min" else "val/accuracy"
    # With an epoch's last step: Lightning's own time for epochs is after last.ckpt is taken.
    return {"scheduler": schedule, "interval": "step", "frequency": trainer.num_training_batches, "monitor": watched}
