"""Of which images a result is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # it imports torch, of which a report has no need
    from fakereal.data.datamodule import ImageDataModule


class ImageDigests(NamedTuple):
    """Digests of the pixels as they are stored, and of the files that they come from.

    `files` is None in what an earlier version wrote, and stays the same whatever `data.size` the images are stored at.
    """

    stored: str
    files: str | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "ImageDigests":
        """As metrics.json and the ledger name them."""
        return cls(said["data_digest"], _text(said.get("files_digest")))

    @classmethod
    def of_data(cls, data: "ImageDataModule") -> "ImageDigests":
        """Of the images of a data module that is set up."""
        return cls(data.images.digest, data.images.files_digest)

    @classmethod
    def of_provenance(cls, said: Mapping[str, Any]) -> "ImageDigests":
        """As a data module describes them, in provenance.json."""
        return cls(said["digest"], _text(said.get("files")))

    def named(self) -> dict[str, str]:
        """For metrics.json and the ledger."""
        return {"data_digest": self.stored} | ({"files_digest": self.files} if self.files else {})

    def same_as(self, other: "ImageDigests") -> bool:
        """Whether both are the same images with the same labels, at one size or another."""
        return self.stored == other.stored or (self.files is not None and self.files == other.files)


def _text(said: Any) -> str | None:
    return said if isinstance(said, str) else None
