"""Answers in Python, as `python -m fakereal.predict` gives them in a shell."""

import functools
import os
from collections.abc import Iterable, Sequence
from io import IOBase
from os import PathLike
from typing import get_args

import numpy as np
import torch
from lightning import Fabric
from PIL import Image

from fakereal.config.keys import Precision
from fakereal.data.store.decode import BadImage, Decoded, Facts, decode
from fakereal.data.store.entries import Entry
from fakereal.data.store.rgb import failing_as_bad_image, to_rgb
from fakereal.models.ensemble import load_members
from fakereal.prediction.answers import Answer
from fakereal.prediction.batch import batches
from fakereal.prediction.predictor import Predictor
from fakereal.runtime.environment import lightning_quiet
from fakereal.runtime.errors import UserError
from fakereal.runtime.hardware import native_precision

Picture = str | PathLike | bytes | IOBase | Image.Image | np.ndarray


class Detector:
    """Trained classifiers to ask about images; of several checkpoints the mean probability is the answer.

    Args:
        ckpt_path: a checkpoint of `fakereal.train` or an export in `format=safetensors`, or several.
        accelerator: of Lightning, such as `cpu` or `gpu`; `auto`: the fastest there is.
        precision: of Lightning; None: bf16 where the hardware computes in it, as `fakereal.predict`.
        tta: `none` or `flip`; None: as the checkpoints say.
        threshold: the probability from which an image is called FAKE; None: as the checkpoints say.
        threads: of torch on the CPU, in the whole process; None: as they are. One is fastest for single small images,
            and beside other work.

    Attributes:
        threshold: the probability from which an image is called FAKE; may be set.
        members: each checkpoint with its classifier, a LightningModule, and what it says of itself.

    Raises:
        UserError: a checkpoint cannot be read, or several cannot answer together. It is a ValueError.
    """

    def __init__(
        self,
        ckpt_path: str | PathLike | Sequence[str | PathLike],
        *,
        accelerator: str = "auto",
        precision: str | None = None,
        tta: str | None = None,
        threshold: float | None = None,
        threads: int | None = None,
    ):
        if tta not in (None, "none", "flip"):
            raise UserError(f"tta={tta!r}: none or flip.")
        if threshold is not None:
            _check_threshold(threshold)
        if threads is not None:
            torch.set_num_threads(threads)
        _one_thread_after_fork()
        if precision not in (None, *get_args(Precision)):
            raise UserError(f"precision={precision!r}: one of {', '.join(map(repr, get_args(Precision)))}.")
        if ckpt_path is None or ckpt_path == "":
            raise UserError(f"ckpt_path={ckpt_path!r}: give the path of a checkpoint, or several.")
        several = [ckpt_path] if isinstance(ckpt_path, str | PathLike) else ckpt_path
        self.members = load_members([str(path) for path in several], tta=tta, threshold=threshold)
        with lightning_quiet():  # it tells of the precision
            fabric = Fabric(accelerator=accelerator, devices=1, precision=precision or native_precision(accelerator))
        self.predictor, self.batch_size = Predictor(self.members, fabric), self.members[0].data["batch_size"]

    @property
    def threshold(self) -> float:
        return self.predictor.threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        _check_threshold(value)
        self.predictor.network.threshold = value

    def predict(self, images: Picture | Iterable[Picture]) -> list[Answer]:
        """For each image `path`, `prob_fake` (calibrated), `prediction`, "REAL" or "FAKE", or else `error`.

        `far` says in what it lies far from the images of training, of "size" and "content"; None where no checkpoint
        knows these, or validation had fewer than 200.

        An image is a path, the bytes of a file or the open file, a PIL image, or an array uint8 of RGB (H, W, 3), grey
        (H, W) or RGBA (H, W, 4); `path` is the path, or the image's place among them. TypeError for what is none of
        these.
        """
        given = [images] if isinstance(images, Picture) or hasattr(images, "read") else images
        read = ((Entry(_name(image, place), 0, 0, b"", 0), self._read(image)) for place, image in enumerate(given))
        return [said for found in self.predictor.measured(batches(read, self.batch_size)) for said in found.answers]

    def _read(self, image: Picture) -> Decoded | BadImage:
        try:
            if hasattr(image, "read"):
                image = image.read()
            if isinstance(image, str | PathLike | bytes):
                return decode(image, self.predictor.resize)
            image = _as_image(image)
            with failing_as_bad_image():
                rgb = to_rgb(image)
                facts = Facts(rgb.width, rgb.height, rgb.mode, "", -1, (), 0)
                return Decoded(np.asarray(self.predictor.resize(rgb)), facts, 0, b"", b"")
        except BadImage as error:
            return error.with_traceback(None)


def _check_threshold(value: float) -> None:
    if not 0 < value < 1:
        raise UserError(f"threshold={value!r}: a probability between 0 and 1.")


@functools.cache
def _one_thread_after_fork() -> None:
    """Of torch's threads none is in a forked process, which would wait for them for ever."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def _name(image: Picture, place: int) -> str:
    return str(image) if isinstance(image, str | PathLike) else str(place)


def _as_image(image: object) -> Image.Image:
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise BadImage("empty image")
        return image
    if (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and (image.ndim == 2 or image.shape[2:] in ((3,), (4,)))
    ):
        return _as_image(Image.fromarray(image))
    said = f"{image.dtype} {tuple(image.shape)}" if hasattr(image, "shape") else type(image).__name__
    raise TypeError(
        f"an image is a path, bytes, an open file, a PIL image or an array (H, W, 3) uint8, got {said}. Of a tensor "
        "(3, H, W): tensor.permute(1, 2, 0).numpy(); of a batch: a list of its images."
    )
