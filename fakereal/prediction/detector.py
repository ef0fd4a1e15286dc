"""Answers in Python, as `python -m fakereal.predict` gives them in a shell."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import get_args

import numpy as np
from lightning import Fabric
from PIL import Image

from fakereal.config.keys import Precision
from fakereal.data.store.decode import BadImage, Decoded, Facts, decode
from fakereal.data.store.entries import Entry
from fakereal.data.store.rgb import failing_as_bad_image, to_rgb
from fakereal.models.ensemble import Ensemble, load_members, resize_of
from fakereal.prediction.answers import Answer
from fakereal.prediction.question import answer, batches
from fakereal.runtime.errors import UserError
from fakereal.runtime.hardware import native_precision

Picture = str | PathLike | bytes | Image.Image | np.ndarray


class Detector:
    """Trained classifiers to ask about images; of several checkpoints the mean probability is the answer.

    Args:
        ckpt_path: a checkpoint of `fakereal.train` or an export in `format=safetensors`, or several.
        accelerator: of Lightning, such as `cpu` or `gpu`; `auto`: the fastest there is.
        precision: of Lightning; None: bf16 where the hardware computes in it, as `fakereal.predict`.
        tta: `none` or `flip`; None: as the checkpoints say.

    Attributes:
        threshold: the probability from which an image is called FAKE.
        members: each checkpoint with its classifier, a LightningModule, and what it says of itself.

    Raises:
        UserError: a checkpoint cannot be read, or several cannot answer together.
    """

    def __init__(
        self,
        ckpt_path: str | PathLike | Sequence[str | PathLike],
        *,
        accelerator: str = "auto",
        precision: str | None = None,
        tta: str | None = None,
    ):
        if tta not in (None, "none", "flip"):
            raise UserError(f"tta={tta!r}: none or flip.")
        if precision not in (None, *get_args(Precision)):
            raise UserError(f"precision={precision!r}: one of {', '.join(map(repr, get_args(Precision)))}.")
        several = [ckpt_path] if isinstance(ckpt_path, str | PathLike) else ckpt_path
        self.members = load_members([str(path) for path in several], tta, own_data=False)
        self.resize, self.batch_size = resize_of(self.members[0]), self.members[0].data["batch_size"]
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision or native_precision(accelerator))
        self.network, self.device = fabric.setup_module(Ensemble(self.members)), fabric.device
        self.threshold = self.network.threshold

    def predict(self, images: Picture | Iterable[Picture]) -> list[Answer]:
        """For each image `path`, `prob_fake` (calibrated), `prediction`, "REAL" or "FAKE", or else `error`.

        An image is a path, the bytes of a file, a PIL image, or an array (H, W, 3) uint8 of RGB; `path` is the path, or
        the image's place among them. TypeError for what is none of these.
        """
        given = [images] if isinstance(images, Picture) else images
        read = ((Entry(_name(image, place), 0, 0, b"", 0), self._read(image)) for place, image in enumerate(given))
        return [said for batch in batches(read, self.batch_size) for said in answer(self.network, self.device, batch)]

    def _read(self, image: Picture) -> Decoded | BadImage:
        try:
            if isinstance(image, str | PathLike | bytes):
                return decode(image, self.resize)
            image = _as_image(image)
            with failing_as_bad_image():
                rgb = to_rgb(image)
                facts = Facts(rgb.width, rgb.height, rgb.mode, "", -1, (), 0)
                return Decoded(np.asarray(self.resize(rgb)), facts, 0, b"", b"")
        except BadImage as error:
            return error.with_traceback(None)


def _name(image: Picture, place: int) -> str:
    return str(image) if isinstance(image, str | PathLike) else str(place)


def _as_image(image: object) -> Image.Image:
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise BadImage("empty image")
        return image
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return _as_image(Image.fromarray(image))
    said = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise TypeError(f"an image is a path, bytes, a PIL image or an array (H, W, 3) uint8, got {said}")
