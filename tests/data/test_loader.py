"""Epochs as batches of indices, and batches of pixels by one gather."""

import numpy as np
import pytest
import torch

from fakereal.data.image_set import InMemory
from fakereal.data.loader import EpochBatches, Loader, Split
from fakereal.data.synthetic import Synthetic
from fakereal.runtime.errors import UserError


def positions(batches):
    return [share.positions.tolist() for share in batches]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 1000])
@pytest.mark.parametrize("batch_size", [2, 3, 32])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_image_comes_once_whatever_the_sizes(length, batch_size, world):
    ranks = [
        list(EpochBatches(length, batch_size, shuffle=True, seed=1, rank=rank, world=world)) for rank in range(world)
    ]
    assert len({len(shares) for shares in ranks}) == 1  # every rank takes part in every step
    assert len(ranks[0]) == len(EpochBatches(length, batch_size, shuffle=True, world=world))
    seen = [share.positions[share.weights > 0] for shares in ranks for share in shares]
    assert sorted(np.concatenate(seen).tolist()) == list(range(length))
    for step in zip(*ranks, strict=True):
        # The average over ranks of the weighted sums is the mean over the global batch.
        size = sum((share.weights > 0).sum() for share in step)
        weights = np.concatenate([share.weights for share in step])
        np.testing.assert_allclose(weights[weights > 0], world / size, rtol=1e-6)
        assert all(len(share.positions) == len(share.weights) > 0 for share in step)


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [2, 3, 4, 8, 32])
def test_no_batch_is_too_small_for_batch_norm(batch_size, world):
    for length in range(2 * world, 150):
        batches = EpochBatches(length, batch_size, shuffle=False, world=world)
        sizes = np.diff(batches.edges)
        assert sizes.sum() == length and sizes.min() >= min(2 * world, batch_size)
        assert sizes.max() < batch_size + 2 * world


def test_without_shuffling_images_come_in_order():
    assert positions(EpochBatches(7, 3, shuffle=False)) == [[0, 1, 2], [3, 4], [5, 6]]


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch, **options):
        batches = EpochBatches(100, options.pop("batch_size", 10), shuffle=True, seed=seed, **options)
        batches.set_epoch(epoch)
        return np.concatenate([share.positions for share in batches]).tolist()

    assert order(0, 0) == order(0, 0) == order(0, 0, batch_size=25)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert order(2**70, 3) == order(2**70, 3)


def test_a_resumed_epoch_is_the_rest_of_it_and_the_next_is_whole():
    batches = EpochBatches(100, 10, shuffle=True, seed=4)
    whole = positions(batches)
    batches.done = lambda: 3
    assert positions(batches) == whole[3:]
    batches.done = lambda: 10  # interrupted after the last: the epoch is over
    assert positions(batches) == whole


def test_ranks_share_the_batches_of_one_device():
    alone = positions(EpochBatches(100, 12, shuffle=True, seed=2))
    ranks = [positions(EpochBatches(100, 12, shuffle=True, seed=2, rank=rank, world=2)) for rank in range(2)]
    assert [first + second for first, second in zip(*ranks, strict=True)] == alone


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    return InMemory(pixels, np.arange(50) % 2 == 0)


def test_the_next_batch_is_expected_while_one_is_used(images, monkeypatch):
    rows, told = np.arange(10, 50), []
    monkeypatch.setattr(InMemory, "expect", lambda self, rows: told.append(rows.tolist()))
    batches = EpochBatches(40, 16, shuffle=True, seed=3)
    dealt = [rows[batch["index"]].tolist() for batch in Loader(Split(images, rows), batches)]
    assert told == dealt[1:]


def test_a_batch_is_pixels_labels_places_and_weights(images):
    rows = np.arange(10, 50)
    split = Split(images, rows)
    seen = 0
    for batch in Loader(split, EpochBatches(40, 16, shuffle=True)):
        image, index = batch["image"], batch["index"]
        assert image.dtype == torch.uint8 and image.shape[1:] == (3, 8, 8)
        assert image.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_array_equal(image.permute(0, 2, 3, 1), images.pixels[rows[index]])
        assert batch["label"].dtype == torch.float32 and index.dtype == torch.int64
        np.testing.assert_array_equal(batch["label"], images.table["label"][rows[index]])
        assert batch["weight"].sum().item() == pytest.approx(1)
        seen += len(index)
    assert seen == len(split) == 40


def test_in_a_loop_of_ones_own_the_epoch_is_said_and_pixels_do_not_stay_on_a_device():
    data = Synthetic(count=120, seed=3)
    data.setup()
    loader, orders = data.train_dataloader(), []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        orders.append(torch.cat([batch["index"] for batch in loader]).tolist())
    assert orders[0] == orders[2] != orders[1] and sorted(orders[0]) == sorted(orders[1])
    resident = Synthetic(count=120, resident=True)
    resident.setup()
    with pytest.raises(UserError, match="the images are put into batches by a Trainer"):
        resident.train_dataloader()
