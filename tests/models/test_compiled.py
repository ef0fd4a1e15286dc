"""Networks that are compiled one after the other in one process."""

import pytest
import torch

from fakereal.models import compiled
from fakereal.models.backbones.cnn import CNN


def network(width):
    return CNN(1, channels=(width,))


@pytest.fixture
def resets(monkeypatch):
    told = []
    monkeypatch.setattr(compiled, "_last", None)
    monkeypatch.setattr(torch.compiler, "reset", lambda: told.append(1))
    return told


def test_graphs_are_kept_for_equal_networks_and_dropped_for_others(resets):
    for width, precision, dropped in ((8, "bf16", 0), (8, "bf16", 0), (8, "32", 1), (4, "32", 2), (4, "32", 2)):
        compiled.compile_network(network(width), precision)
        assert len(resets) == dropped


@pytest.mark.slow
def test_the_tenth_network_is_compiled_too(monkeypatch):
    monkeypatch.setattr(compiled, "_last", None)
    torch.compiler.reset()
    for width in range(4, 14):
        one = network(width)
        compiled.compile_network(one)
        before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        one(torch.rand(2, 3, 32, 32)).sum().backward()
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
