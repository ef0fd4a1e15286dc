"""Random numbers that are a pure function of what they are for: (seed, epoch, sample index, column).

SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) hashes a
counter: any of its outputs can be had alone. Output number `index` of a generator for (seed, epoch) starts
the sample's own generator, whose outputs are the columns.
"""

from typing import TypeVar

import numpy as np
import torch

_GAMMA = 0x9E3779B97F4A7C15
_64_BITS = 2**64 - 1
_Bits = TypeVar("_Bits", int, np.ndarray)


def derive_seed(*parts: int) -> int:
    """A seed in [0, 2**63) from integers (each modulo 2**64), whose order and number matter."""
    state = 0  # Python's: each training step asks, and with arrays of one number it took 85 us there
    for part in parts:
        state = _mix((state + _GAMMA & _64_BITS) ^ (part & _64_BITS))
    return state >> 1


def uniforms(seed: int, epoch: int, index: np.ndarray | torch.Tensor, count: int) -> torch.Tensor:
    """Draws in [0, 1) for the samples `index` (B,), integers: float32 (B, count) on the CPU.

    A row depends on seed, epoch and its own index alone, a column not on `count`. Multiples of 2**-24.
    """
    index = index.cpu().numpy() if isinstance(index, torch.Tensor) else np.asarray(index)
    start = np.full(1, derive_seed(seed, epoch), np.uint64)
    start = _outputs(start, index.astype(np.uint64))
    bits = _outputs(start[:, None], np.arange(count, dtype=np.uint64))
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))


def _outputs(state: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The outputs `number` (0, 1, ...) of the SplitMix64 generators that start at `state`; they broadcast."""
    return _mix(state + (number + np.uint64(1)) * np.uint64(_GAMMA))


def _mix(z: _Bits) -> _Bits:
    """SplitMix64's finaliser, a bijection of [0, 2**64): of a Python integer, or of each of uint64."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _64_BITS
    return z ^ z >> 31
