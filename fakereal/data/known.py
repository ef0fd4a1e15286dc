"""The data sets that a checkpoint may name: what is tested with it finds its data again."""

from omegaconf import DictConfig

from fakereal.data.cifake import Cifake
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.folder import Folder
from fakereal.data.synthetic import Synthetic
from fakereal.runtime.errors import UserError

# A checkpoint names its data by one of these; nothing else that it says is ever looked up.
DATA: dict[str, type[ImageDataModule]] = {cls.__name__: cls for cls in (Cifake, Folder, Synthetic)}


def refuse_taken_name(data: ImageDataModule) -> None:
    """UserError for a class with the name of one of these: its checkpoint would be tested on that one's images."""
    if (name := type(data).__name__) in DATA and not isinstance(data, DATA[name]):
        raise UserError(f"A checkpoint would take this {name} for fakereal's own: give the class another name.")


def refuse_no_images(data: DictConfig) -> None:
    """UserError for the choices that only fill in what a checkpoint says."""
    if "_target_" not in data:
        raise UserError("This choice of data= provides no images. Give data=cifake, data=folder or data=synthetic.")
