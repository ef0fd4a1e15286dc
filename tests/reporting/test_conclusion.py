"""What the conclusion of a report says of the winner and the second."""

from types import SimpleNamespace

import pytest

from fakereal.reporting.comparisons import Pair
from fakereal.reporting.conclusion import _runner_up


@pytest.mark.parametrize(
    ("adjusted", "said"), [(0.09, "indistinguishable from noise"), (0.04, "more than noise, and #1 is better")]
)
def test_a_difference_is_believed_after_the_correction_for_all_pairs(adjusted, said):
    best, second = "#1", SimpleNamespace(metrics={"val/loss": 0.3})
    pair = Pair(best, second, images=100, only_first=9, only_second=2, p_value=0.03, adjusted=adjusted)
    found = SimpleNamespace(
        runs=[best, second],
        monitor="val/loss",
        group_of=lambda run: object(),
        label=lambda run: "another",
        ref=lambda run: run if run is best else "#2",
        pairs=SimpleNamespace(of=lambda *_: pair),
    )
    [text] = _runner_up(found)
    assert said in text.text and f"p = {adjusted}" in text.text
