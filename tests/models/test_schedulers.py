"""Learning-rate schedules, step by step."""

import math
from itertools import pairwise

import pytest
import torch

from fakereal.models import schedulers


def rates(make, steps=10, **options) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = make(optimizer, steps, **options)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_constant_stays():
    assert rates(schedulers.constant) == [2.0] * 10


def test_linear_goes_down_in_equal_steps_to_its_end():
    assert rates(schedulers.linear) == pytest.approx([2 - 0.2 * step for step in range(10)])
    assert rates(schedulers.linear, 1000, final=0.5)[-1] == pytest.approx(1.001)


def test_cosine_is_half_a_cosine():
    assert rates(schedulers.cosine) == pytest.approx([1 + math.cos(math.pi * step / 10) for step in range(10)])


def test_step_drops_by_the_factor_at_each_milestone():
    assert rates(schedulers.step, factor=0.5) == pytest.approx([2] * 5 + [1] * 3 + [0.5] * 2)


def test_warm_up_rises_over_its_share_and_never_starts_at_zero():
    values = rates(schedulers.constant, 100, warmup=0.2)
    assert 0 < values[0] < values[10] < values[19] < 2.0 and values[20:] == [2.0] * 80
    assert all(a < b for a, b in pairwise(values[:20]))


def test_after_its_warm_up_a_schedule_is_at_its_peak_and_then_takes_the_steps_that_are_left():
    values = rates(schedulers.cosine, 100, warmup=0.2)
    assert values[20:] == pytest.approx([1 + math.cos(math.pi * step / 80) for step in range(80)])


@pytest.mark.parametrize("total", [10, 100, 1000, 8437])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.2])
def test_milestones_are_shares_of_the_whole_run_with_a_warm_up_too(total, warmup):
    values = rates(schedulers.step, total, warmup=warmup, milestones=[0.5, 0.75])
    drops = [at for at, (one, other) in enumerate(pairwise(values), start=1) if other < one / 2]
    assert drops == [math.ceil(0.5 * total), math.ceil(0.75 * total)]
