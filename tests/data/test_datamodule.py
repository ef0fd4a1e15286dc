"""What a data module says of its images."""

import numpy as np
import pytest

from fakereal.data.synthetic import Synthetic


def synthetic(**given) -> Synthetic:
    data = Synthetic(**given)
    data.prepare_data()
    data.setup("fit")
    return data


@pytest.mark.parametrize("given", [{"count": 700}, {"count": 60, "size": 48}])
def test_channel_statistics_are_exact(given):
    data = synthetic(**given)
    pixels = data.images.gather(data.splits["train"].rows).reshape(-1, 3) / 255.0
    mean, std = data.channel_statistics()
    np.testing.assert_allclose(mean, pixels.mean(0), atol=6e-7)  # six digits
    np.testing.assert_allclose(std, pixels.std(0), atol=6e-7)


def test_a_constant_channel_has_a_spread_to_divide_by(monkeypatch):
    data = synthetic(count=80)
    monkeypatch.setattr(data.images, "gather", lambda rows: np.full((len(rows), 32, 32, 3), 77, np.uint8))
    assert data.channel_statistics() == ([0.301961] * 3, [0.001] * 3)
