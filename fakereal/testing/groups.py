"""The groups of test images by which a test tables its figures."""

from collections.abc import Sequence

from fakereal.data.datamodule import ImageDataModule


def group_names(data: ImageDataModule, names: Sequence[str], depth: int | None) -> list[str]:
    """Of each image (N,) the group: its folders below those that all share, at most the upper `depth` of them."""
    groups = [data.group_of(name) for name in names]
    folders = {group: group.split("/") for group in groups}
    first, *others = folders.values()
    shared = 0
    while others and all(len(path) > shared + 1 and path[shared] == first[shared] for path in folders.values()):
        shared += 1
    end = None if depth is None else shared + depth
    return ["/".join(folders[group][shared:end]) for group in groups]
