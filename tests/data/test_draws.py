"""Draws are a pure function of seed, epoch, index and column, and look random along each of them."""

import numpy as np
import pytest
import torch
from scipy import stats

from fakereal.data.draws import _outputs, derive_seed, uniforms


def test_a_row_does_not_depend_on_its_batch():
    rows = uniforms(3, 5, np.arange(1000), 20)
    assert torch.equal(uniforms(3, 5, np.array([7]), 20), rows[7:8])
    order = np.random.default_rng(0).permutation(1000)
    assert torch.equal(uniforms(3, 5, order, 20), rows[torch.from_numpy(order)])
    assert torch.equal(uniforms(3, 5, torch.arange(1000, dtype=torch.int32), 20), rows)


def test_a_column_does_not_depend_on_the_count():
    index = np.arange(50)
    assert torch.equal(uniforms(0, 0, index, 3), uniforms(0, 0, index, 20)[:, :3])


def test_the_numbers_are_those_of_splitmix64():
    # The first outputs of the reference implementation for the seed 1234567.
    outputs = _outputs(np.array([1234567], np.uint64), np.arange(3, dtype=np.uint64))
    assert outputs.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_numbers_stay_as_published():
    """Another value here means that no published run can be repeated."""
    assert derive_seed(1, 2, 3) == 8457334684515183916
    assert (uniforms(1, 2, np.array([0, 99999]), 2) * 2**24).int().tolist() == [[6210430, 924592], [1296786, 10593660]]


@pytest.mark.parametrize("index", [np.array([], np.int64), np.array([5])])
def test_shape_type_and_range(index):
    draws = uniforms(0, 0, index, 4)
    assert draws.shape == (len(index), 4)
    assert draws.dtype == torch.float32
    assert ((draws >= 0) & (draws < 1)).all()


def test_every_column_is_uniform():
    draws = uniforms(0, 0, np.arange(100_000), 20).numpy()
    assert draws.min() >= 0
    assert draws.max() < 1
    # 20 columns: p < 0.0005 in any of them comes up once in a hundred sequences, and this one is fixed.
    assert min(stats.kstest(column, "uniform").pvalue for column in draws.T) > 0.0005


@pytest.mark.parametrize("along", ["index", "epoch", "seed", "column"])
def test_neighbours_are_not_correlated(along):
    index = np.arange(20_000)
    base = uniforms(4, 4, index, 8).numpy()
    other = {
        "index": uniforms(4, 4, index + 1, 8),
        "epoch": uniforms(4, 5, index, 8),
        "seed": uniforms(5, 4, index, 8),
        "column": uniforms(4, 4, index, 9)[:, 1:],
    }[along].numpy()
    limit = 5 / np.sqrt(base.size)  # five standard deviations
    assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < limit
    assert abs(np.corrcoef(np.abs(base - 0.5).ravel(), np.abs(other - 0.5).ravel())[0, 1]) < limit
    cells, _, _ = np.histogram2d(base.ravel(), other.ravel(), bins=16, range=[(0, 1), (0, 1)])
    assert stats.chisquare(cells.ravel()).pvalue > 0.0005


def test_seed_and_epoch_are_not_interchangeable():
    index = np.arange(100)
    assert (uniforms(1, 2, index, 4) != uniforms(2, 1, index, 4)).float().mean() > 0.99


def test_derived_seeds_fit_torch_and_differ():
    parts = [(), (0,), (0, 0), (0, 1), (1, 0), (-1,), (2**63,), (1, 2, 3), (3, 2, 1)]
    parts += [(seed, step, rank) for seed in range(10) for step in range(100) for rank in range(4)]
    seeds = [derive_seed(*p) for p in set(parts)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    torch.Generator().manual_seed(max(seeds))
    bits = np.array([[seed >> bit & 1 for bit in range(63)] for seed in seeds])
    assert np.abs(bits.mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(seeds))
