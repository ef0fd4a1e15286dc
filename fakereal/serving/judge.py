"""Answers about image files with what a person needs to weigh them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning import Fabric
from PIL import ExifTags, Image

from fakereal.data.store.decode import Decoded, decode
from fakereal.data.store.entries import Entry
from fakereal.data.store.rgb import BadImage, failing_as_bad_image, header, open_image
from fakereal.explanation.evidence import MeanMap
from fakereal.explanation.layers import NoMap
from fakereal.explanation.overlay import at_own_size, overlay, thumbnail
from fakereal.models.checkpoint import Loaded
from fakereal.prediction.answers import Answer
from fakereal.prediction.batch import Batch
from fakereal.prediction.predictor import Predictor
from fakereal.serving.limits import Limits

# In what an image lies far from those of training, for people; programs get what `predict` writes.
FAR = {
    "size": "its size or shape (training: {usual})",
    "features": "what the network makes of it",
    "pixels": "its colours or sharpness",
}
SIDE = 384  # pixels of a picture's longer side, at most


@dataclass
class Judged:
    """An answer; pictures are uint8 (H, W, 3).

    `notes`: how the file was read, in sentences; `far`: in what it lies far from the images of training. `seen`: what
    the network saw; `own`: the image as it is meant to be seen; `map`: the overlay on it, else `no_map` says why not.
    """

    answer: Answer
    notes: list[str] = field(default_factory=list)
    far: list[str] = field(default_factory=list)
    seen: np.ndarray | None = None
    own: np.ndarray | None = None
    map: np.ndarray | None = None
    no_map: str = ""


class Judge:
    """One checkpoint, or several that answer together.

    `lock`: held while the networks run. Several judges may share a network, and what looks into it (the distance from
    training, maps) hooks into its layers: one thread at a time.
    """

    def __init__(self, members: list[Loaded], fabric: Fabric, limits: Limits, layer: str | None, lock: threading.Lock):
        self.predictor, self.limits, self.lock = Predictor(members, fabric), limits, lock
        self.maps = MeanMap([member.classifier for member in members], layer)

    @property
    def calibrated(self) -> bool:
        """Whether the probabilities of all that answer were."""
        return all(member.calibrated for member in self.predictor.members)

    def __call__(self, files: Sequence[tuple[str, bytes]], pictures: bool = False) -> list[Judged]:
        """One for each of the files (name, bytes), with its pictures where wanted."""
        read = [self._read(data) for _, data in files]
        named = [(Entry(name, 0, 0, b"", 0), image) for (name, _), (image, _) in zip(files, read, strict=True)]
        with self.lock:
            [(answers, distances)] = self.predictor.measured([Batch.of(named)])
        judged = [Judged(said, notes) for said, (_, notes) in zip(answers, read, strict=True)]
        good = [number for number, (image, _) in enumerate(read) if isinstance(image, Decoded)]
        if distances:
            usual = self.predictor.distance.reference.usual_sizes()
            by = distances.by()
            for place, number in enumerate(good):
                judged[number].far = [FAR[name].format(usual=usual) for name, mask in by.items() if mask[place]]
        if pictures:
            for number in good:
                if not answers[number].error:
                    self._picture(judged[number], files[number][1], read[number][0])
        return judged

    def why_no_map(self) -> NoMap | None:
        """Why no image has a map at the layer; None where images may have one."""
        size = self.predictor.resize.size
        black = torch.zeros((1, 3, size, size), dtype=torch.uint8, device=self.predictor.device)
        try:
            with self.lock:
                self.maps(black, torch.tensor([True]))
        except NoMap as error:
            return error
        return None

    def _read(self, data: bytes) -> tuple[Decoded | BadImage, list[str]]:
        try:
            if len(data) > self.limits.max_file_mb * 2**20:
                raise BadImage(f"{len(data) / 2**20:.1f} MiB, more than {self.limits.max_file_mb:g}")
            with failing_as_bad_image():
                said = header(data)
                if said.width * said.height > self.limits.max_pixels:
                    raise BadImage(
                        f"{said.width} x {said.height} is {said.width * said.height / 1e6:,.1f} million pixels, more "
                        f"than {self.limits.max_pixels / 1e6:g} million"
                    )
                notes = reading(said)
            return decode(data, self.predictor.resize), notes
        except BadImage as error:
            return error.with_traceback(None), []

    def _picture(self, judged: Judged, data: bytes, image: Decoded) -> None:
        own = open_image(data)[1]
        size = own.size
        own.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        judged.seen, judged.own = thumbnail(image.pixels, SIDE), thumbnail(np.asarray(own), SIDE)
        pixels = torch.from_numpy(np.stack([image.pixels])).permute(0, 3, 1, 2).to(self.predictor.device)
        fake = torch.tensor([judged.answer.prediction == "FAKE"])
        try:
            with self.lock:
                heat = self.maps(pixels, fake)[0].cpu().numpy()
        except NoMap as error:
            judged.no_map = str(error)
            return
        if not heat.any():
            judged.no_map = f"Nothing in the image speaks for {judged.answer.prediction} in particular."
            return
        height, width = judged.own.shape[:2]
        whole = size == (width, height) and self.predictor.resize.size == width == height
        own = heat if whole else at_own_size(heat, self.predictor.resize, *size, (width, height))
        judged.map = overlay(judged.own, own)


def reading(said: Image.Image) -> list[str]:
    """How a file that is not plain 8-bit RGB is read, a sentence each; by its header, inside `failing_as_bad_image`."""
    notes = []
    if (frames := getattr(said, "n_frames", 1)) > 1 and said.format != "MPO":  # a photo with its preview
        notes.append(f"It has {frames} frames or pages: only the first is judged.")
    if said.mode == "CMYK":
        notes.append("Its colours are CMYK: they were converted to RGB without its colour profile.")
    if said.mode.startswith(("I", "F")) or any("16" in str(tile[3]) for tile in said.tile):
        notes.append("It has more than 8 bits per channel: they were reduced to 8.")
    if said.has_transparency_data:
        notes.append("It is transparent in places: it was placed on white.")
    try:
        if said.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
            notes.append("It was rotated upright, as its EXIF data says.")
    except Exception:  # a damaged EXIF block is nothing that matters here
        pass
    return notes
