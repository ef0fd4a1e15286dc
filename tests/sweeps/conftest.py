"""A sweep named `mine`, and what its table says."""

import csv

import pytest


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "sweep" / "mine"


@pytest.fixture
def rows(folder):
    """`rows()`: those of results.csv, by seed or another key."""

    def read(key="seed"):
        with (folder / "results.csv").open() as file:
            return {row[key]: row for row in csv.DictReader(file)}

    return read
