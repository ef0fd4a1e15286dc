"""Counts of pairs, against counting them one by one."""

import csv
from itertools import combinations

import numpy as np

from fakereal.auditing.duplicates import (
    contents,
    identical,
    identical_by_group,
    identical_pairs,
    several,
    similar,
    write_pairs,
)


def counted(pairs, part, label):
    """The figures of pairs of images, the plain way."""
    pairs = list(pairs)
    expected = {"total": len(pairs), "across_splits": sum(part[i] != part[j] for i, j in pairs)}
    for number, name in enumerate(("train", "val", "test")):
        expected[f"within_{name}"] = sum(part[i] == part[j] == number for i, j in pairs)
    expected["across_classes"] = sum(label[i] != label[j] for i, j in pairs)
    mixed = [(i, j) for pair in pairs for i, j in (pair, pair[::-1])]
    expected["test_images_in_train"] = len({i for i, j in mixed if part[i] == 2 and part[j] == 0})
    expected["images"] = len({i for i, _ in mixed})
    return expected


def drawn(count=300, kinds=90):
    numbers = np.random.default_rng(1)
    return numbers.integers(0, kinds, count), numbers.integers(0, 3, count), numbers.integers(0, 2, count)


def test_identical_pairs_are_counted_as_by_hand():
    content, part, label = drawn()
    hashes = np.array([b"%016d" % value for value in content])
    pairs = [(i, j) for i, j in combinations(range(len(content)), 2) if content[i] == content[j]]
    found = contents(hashes, part, label)
    assert identical(found) == counted(pairs, part, label)
    listed = list(identical_pairs(found))
    assert sorted(listed) == pairs
    mixed = [len({*label[found.of == found.of[i]]}) for i, _ in listed]
    assert mixed == sorted(mixed, reverse=True)  # what contradicts comes first


def test_only_what_several_others_make_up_is_looked_at():
    content, part, label = drawn()
    found = contents(content, part, label)
    finer = contents(np.where(content < 80, content, content * 10 + label), part, label)
    among = several(found.of, finer.of)
    assert {*np.flatnonzero(among)} == {kind for kind in range(90) if len({*finer.of[found.of == kind]}) > 1}
    differing = [pair for pair in identical_pairs(found) if finer.of[pair[0]] != finer.of[pair[1]]]
    assert differing == [p for p in identical_pairs(found, among) if finer.of[p[0]] != finer.of[p[1]]] and differing


def test_similar_pairs_are_counted_for_each_image_that_repeats():
    content, part, label = drawn()
    found = contents(content, part, label)
    alike = np.array([[0, 1], [5, 9], [5, 10], [40, 80]])
    near = {tuple(pair) for pair in alike.tolist()}
    pairs = [
        (i, j)
        for i, j in combinations(range(len(content)), 2)
        if (min(found.of[i], found.of[j]), max(found.of[i], found.of[j])) in near
    ]
    assert similar(found, alike) == counted(pairs, part, label)
    assert similar(found, np.empty((0, 2), dtype=int))["total"] == 0


def test_no_duplicates_at_all():
    found = contents(np.arange(5), np.zeros(5, dtype=int), np.zeros(5, dtype=int))
    assert set(identical(found).values()) == {0} and list(identical_pairs(found)) == []


def test_groups_without_duplicates_are_left_out():
    hashes, zeros = np.array([1, 1, 2, 3, 3]), np.zeros(5, dtype=int)
    groups = np.array(["deer", "deer", "deer", "dog", "frog"])
    by_group = identical_by_group(groups, hashes, zeros, zeros)
    assert list(by_group) == ["deer"] and by_group["deer"]["total"] == 1


def test_a_list_of_pairs_says_when_it_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("fakereal.auditing.duplicates.WRITTEN", 2)
    part, label, names = np.array([0, 2, 2]), np.array([0, 1, 1]), ["a", "b,c", "d\udce9"]

    def written(*pairs):
        whole = write_pairs(tmp_path / "x.csv", names, part, label, {"bytes": iter(pairs)})
        with (tmp_path / "x.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return whole, list(csv.DictReader(file))

    whole, rows = written((0, 1), (1, 2))
    assert whole and [row["second"] for row in rows] == ["b,c", "d\udce9"]
    assert [rows[0][key] for key in ("first_split", "second_split", "second_label")] == ["train", "test", "FAKE"]
    whole, rows = written((0, 1), (1, 2), (0, 2))
    assert not whole and len(rows) == 2
