"""Figures over seeds and beside published ones, and how charts are laid out."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fakereal.evaluation.intervals import prediction_interval, t_interval
from fakereal.reporting.charts import Point, pareto_front, setting_chart
from fakereal.reporting.figures import Figure, Reproduction, over_seeds


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.89, "below our interval"), (0.9, "in our interval"), (0.915, "in our interval"), (0.96, "above our interval")],
)
def test_where_a_published_figure_lies(accuracy, verdict):
    assert Reproduction(accuracy, "val", "", Figure(0.92, 0.9, 0.94)).verdict == verdict
    assert Reproduction(accuracy, "test", "").verdict == "we have not tested"


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_an_equally_good_published_training_lies_where_one_more_seed_may(seeds):
    """By the interval of our mean ten seeds would call half of them different."""
    numbers, found = np.random.default_rng(0), []
    for _ in range(400):
        published, *ours = numbers.normal(0.97, 0.001, seeds + 1)
        low, high = prediction_interval(ours)
        figure = Figure(float(np.mean(ours)), *t_interval(ours))
        found.append(Reproduction(published, "val", "", figure, seeds, (low, high)).verdict)
    assert 0.92 * 400 <= found.count("where one more seed may lie") <= 0.98 * 400
    assert min(found.count(f"{side} where one more seed may lie") for side in ("below", "above")) > 0


def test_over_seeds_is_of_two_or_more():
    assert over_seeds([0.9]) is None
    assert over_seeds([0.9, 0.9])[:3] == (2, 0.9, 0.0)


def test_an_interval_over_seeds_ends_where_the_figure_does():
    assert over_seeds([0.7, 0.8])[3:] == (pytest.approx(0.1147, abs=1e-4), 1.0)
    assert over_seeds([0.7, 0.8], inf)[4] == pytest.approx(1.3853, abs=1e-4)  # a loss
    assert over_seeds([0.1, 0.3], inf).low == 0.0


@pytest.mark.parametrize("values", [(2.6e-4, 4.9e-4, 4.89e-4, 1e-3, 8.3e-3), (1e-5, 1e-4, 1e-3), (16, 32, 33), (1, 2)])
def test_labels_of_a_setting_do_not_cover_each_other(values):
    figure = setting_chart([Point(value, (0.8, 0.7, 0.9), "") for value in values], "lr")
    FigureCanvasAgg(figure).draw()
    axis = figure.axes[0].xaxis
    low, high = sorted(figure.axes[0].get_xlim())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    boxes = sorted(
        (label.get_window_extent().x0, label.get_window_extent().x1)
        for tick in ticks
        if (label := tick.label1).get_text() and label.get_visible() and low <= tick.get_loc() <= high
    )
    assert len(boxes) >= 2 and all(left[1] < right[0] for left, right in pairwise(boxes)), boxes


def test_the_pareto_front_holds_what_nothing_beats():
    seconds, accuracy = [10, 20, 20, 30, 40, 5], [0.8, 0.9, 0.85, 0.9, 0.95, 0.8]
    assert pareto_front(seconds, accuracy) == [5, 1, 4]
