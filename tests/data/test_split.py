"""Carving a part out of a data set: stratified, by content, and blind to order."""

import numpy as np
import pytest

from fakereal.data.folder_names import UNSPLIT
from fakereal.data.split import carve, deal


def images(count, duplicates=0, seed=0):
    """labels and hashes; the last `duplicates` images repeat the bytes and the label of the first."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 2, count).astype(np.uint8)
    hashes = np.array([numbers.bytes(16) for _ in range(count)], dtype="S16")
    if duplicates:
        labels[-duplicates:], hashes[-duplicates:] = labels[:duplicates], hashes[:duplicates]
    return labels, hashes


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
def test_each_class_gives_its_share(fraction):
    labels, hashes = images(5000)
    taken = carve(labels, hashes, fraction, seed=3)
    assert taken.dtype == bool and taken.shape == (5000,)
    for label in (0, 1):
        assert taken[labels == label].sum() == round(fraction * (labels == label).sum())


def test_identical_images_stay_together():
    labels, hashes = images(3000, duplicates=1000)
    for seed in range(5):
        taken = carve(labels, hashes, 0.3, seed)
        assert not set(hashes[taken]) & set(hashes[~taken])
        assert abs(taken.mean() - 0.3) < 0.002


def test_identical_images_with_both_labels_stay_together_too():
    labels, hashes = images(1000)
    labels[:400], labels[400:800], hashes[400:800] = 0, 1, hashes[:400]
    taken = carve(labels, hashes, 0.2, 0)
    assert not set(hashes[taken]) & set(hashes[~taken])
    for label in (0, 1):
        assert abs(taken[labels == label].mean() - 0.2) < 0.05


def test_the_draw_depends_on_content_and_seed_alone():
    labels, hashes = images(2000, duplicates=300)
    taken = carve(labels, hashes, 0.2, 7)
    order = np.random.default_rng(5).permutation(2000)
    np.testing.assert_array_equal(carve(labels[order], hashes[order], 0.2, 7), taken[order])
    assert (carve(labels, hashes, 0.2, 8) != taken).any()


def test_more_images_hardly_move_the_others():
    labels, hashes = images(2000)
    fewer = carve(labels[:1900], hashes[:1900], 0.2, 0)
    assert (carve(labels, hashes, 0.2, 0)[:1900] != fewer).sum() <= 20


def test_a_larger_fraction_takes_what_a_smaller_one_took():
    labels, hashes = images(1000)
    small, large = carve(labels, hashes, 0.1, 0), carve(labels, hashes, 0.4, 0)
    assert large[small].all()


def test_a_small_class_gives_one_image_at_least():
    labels, hashes = images(1000)
    labels[:] = 0
    labels[:3] = 1
    taken = carve(labels, hashes, 0.01, 0)
    assert taken[:3].sum() == 1 and taken[3:].sum() == 10


def test_a_class_of_copies_of_one_image_goes_as_one():
    labels = np.array([0] * 10 + [1] * 10, dtype=np.uint8)
    hashes = np.array([bytes([index + 1] * 16) for index in range(10)] + [b"x" * 16] * 10, dtype="S16")
    taken = carve(labels, hashes, 0.2, 0)
    assert taken[labels == 0].sum() == 2 and taken[labels == 1].all()


def test_any_seed_will_do():
    labels, hashes = images(50)
    draws = {carve(labels, hashes, 0.5, seed).tobytes() for seed in (0, 2**63, 2**64 - 1, 2**64, 10**40)}
    assert len(draws) == 5


def test_a_large_group_of_identical_images_does_not_take_the_place_of_others():
    labels, hashes = images(2000)
    labels[:], hashes[:200] = np.repeat([0, 1], 1000), hashes[0]
    for seed in range(40):
        taken = carve(labels, hashes, 0.1, seed)
        assert [taken[labels == label].sum() for label in (0, 1)] == [100, 100]


def test_a_test_of_everything_takes_what_lies_in_other_splits_too():
    table = np.zeros(6, dtype=[("split", "u1"), ("label", "u1"), ("hash", "S16")])
    table["split"], table["hash"] = [0, 0, 1, 1, UNSPLIT, UNSPLIT], [b"%d" % number for number in range(6)]
    assert [len(rows) for rows in deal(table, 1, 0.5, 0).values()] == [0, 0, 6]
    assert [len(rows) for rows in deal(table, 0.25, 0.5, 0).values()] == [3, 2, 1]
    table["split"][0] = 2
    assert [len(rows) for rows in deal(table, 1, 0.5, 0).values()] == [3, 2, 1], "a test of its own is kept to"
