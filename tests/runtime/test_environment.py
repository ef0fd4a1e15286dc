"""What a command sets in its process."""

import torch
from omegaconf import OmegaConf

from fakereal.runtime.environment import prepare


def test_as_many_threads_as_are_asked_for():
    before = torch.get_num_threads()
    try:
        prepare(OmegaConf.create({"threads": before + 2}))
        assert torch.get_num_threads() == before + 2
        prepare(OmegaConf.create({"threads": None}))
        assert torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)
