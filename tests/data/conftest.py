"""What the tests of the data layer share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fakereal.data.folder_names import FolderNames
from fakereal.data.store.build import Recipe, obtain
from fakereal.data.store.decode import Resize
from fakereal.data.store.store import Store


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def build(cache) -> Callable[..., Store]:
    """`build(root, ...)`: the store of one root or several, by default of 32 px."""

    def call(*roots: Path, size: int = 32, need_split: bool = False, on_error: str = "raise") -> Store:
        return obtain(Recipe(roots, Resize(size), FolderNames(), need_split, on_error), cache)

    return call
