"""Answers about image files with what a person needs to weigh them."""

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning import Fabric
from PIL import ExifTags, Image

from fakereal.data.store.decode import Decoded, Facts, decode
from fakereal.data.store.entries import Entry
from fakereal.data.store.rgb import BadImage, failing_as_bad_image, header, open_image
from fakereal.explanation.evidence import MeanMap
from fakereal.explanation.layers import NoMap
from fakereal.explanation.overlay import at_own_size, overlay, thumbnail
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import Ensemble, resize_of
from fakereal.models.far import eager_head_inputs
from fakereal.models.reference import pixel_statistics, unit
from fakereal.prediction.answers import Answer
from fakereal.prediction.distance import WORDS
from fakereal.prediction.question import Batch, answer
from fakereal.serving.limits import Limits

# In what an image lies far from those of training, for people; for programs, as `predict` has it, they are WORDS.
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
        self.members, self.limits, self.lock = members, limits, lock
        self.resize = resize_of(members[0])
        self.network, self.device = fabric.setup_module(Ensemble(members)), fabric.device
        self.maps = MeanMap([member.classifier for member in members], layer)
        self.knowing = next((member for member in members if member.reference is not None), None)

    @property
    def threshold(self) -> float:
        return self.network.threshold

    @property
    def calibrated(self) -> bool:
        """Whether the probabilities of all that answer were."""
        return all(member.calibrated for member in self.members)

    def __call__(self, files: Sequence[tuple[str, bytes]], pictures: bool = False) -> list[Judged]:
        """One for each of the files (name, bytes), with its pictures where wanted."""
        read = [self._read(data) for _, data in files]
        named = [(Entry(name, 0, 0, b"", 0), image) for (name, _), (image, _) in zip(files, read, strict=True)]
        batch = Batch.of(named)
        reference = self.knowing.reference if self.knowing else None
        measured = reference is not None and reference.known
        with self.lock, eager_head_inputs(self.knowing.classifier) if measured else nullcontext() as inputs:
            answers = answer(self.network, self.device, batch)
            features = inputs.take() if inputs else None
        judged = [Judged(said, notes) for said, (_, notes) in zip(answers, read, strict=True)]
        good = [number for number, (image, _) in enumerate(read) if isinstance(image, Decoded)]
        facts = [read[number][0].facts for number in good]
        odd = self._far(facts, batch.pixels, features)
        usual = reference.usual_sizes() if odd else ""
        for place, number in enumerate(good):
            by = {name for name, mask in odd.items() if mask[place]}
            judged[number].far = [said.format(usual=usual) for name, said in FAR.items() if name in by]
            if odd:
                judged[number].answer = answers[number]._replace(far=WORDS["size" in by, bool(by - {"size"})])
        if pictures:
            for number in good:
                if not answers[number].error:
                    self._picture(judged[number], files[number][1], read[number][0])
        return judged

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
            return decode(data, self.resize), notes
        except BadImage as error:
            return error.with_traceback(None), []

    def _far(self, facts: list[Facts], pixels: torch.Tensor, features: torch.Tensor | None) -> dict[str, np.ndarray]:
        """Of what is known: which of the images that could be read (N,) lie far from those of training by it."""
        reference = self.knowing.reference if self.knowing and facts else None
        if reference is None:
            return {}
        sizes = np.array([(fact.width, fact.height) for fact in facts]).T
        odd = {"size": reference.far_sizes(*sizes)}
        if features is not None:
            odd["features"] = reference.features.far(unit(features)).numpy()
            odd["pixels"] = reference.pixels.far(pixel_statistics(pixels)).numpy()
        return odd

    def _picture(self, judged: Judged, data: bytes, image: Decoded) -> None:
        own = open_image(data)[1]
        size = own.size
        own.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        judged.seen, judged.own = thumbnail(image.pixels, SIDE), thumbnail(np.asarray(own), SIDE)
        pixels = torch.from_numpy(np.stack([image.pixels])).permute(0, 3, 1, 2).to(self.device)
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
        whole = size == (width, height) and self.resize.size == width == height
        judged.map = overlay(judged.own, heat if whole else at_own_size(heat, self.resize, width, height))


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
