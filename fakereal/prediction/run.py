"""One prediction: checkpoints and images to lines and predictions.csv."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.config.build import build
from fakereal.config.errors import UserError
from fakereal.config.schema import Count, problems, value_problem
from fakereal.data.store.decode import BadImage, Decoded, Resize
from fakereal.data.store.entries import Entry
from fakereal.data.store.parallel import decode_all
from fakereal.evaluation.ensemble import PREPROCESSING, Ensemble, combine, load_members
from fakereal.evaluation.far import REVIEW, Far
from fakereal.prediction.answers import Answer, Predictions
from fakereal.prediction.images import Images
from fakereal.prediction.shown import Shown
from fakereal.training.environment import prepare
from fakereal.training.memory import explained_out_of_memory

log = logging.getLogger(__name__)
ALONE = 0.3  # seconds of decoding after which processes for it are started: they take about as long


def predict(cfg: DictConfig) -> None:
    """Answers about `cfg.images`; leaves predictions.csv.

    Raises:
        UserError: also at the end, when some of the files could not be read.
    """
    # A batch of one is enough here, but not for training, whose range the schema states.
    if found := [*problems(cfg), *value_problem("data.batch_size", cfg.data.batch_size, Count | None)]:
        raise UserError("\n".join(found))
    out = Path(HydraConfig.get().runtime.output_dir)
    images = Images(cfg.images)
    prepare(cfg)
    members = load_members(cfg.ckpt_path, cfg.tta, own_data=False)
    said = members[0].data
    resize = Resize(**{key: said[key] for key in PREPROCESSING})
    batch_size = cfg.data.batch_size or said["batch_size"]
    fabric = build(cfg.trainer, devices=1)
    network = fabric.setup_module(Ensemble(members))
    far = Far(members)
    try:
        with (
            explained_out_of_memory(batch_size, members[0].classifier.hparams.image_size),
            closing(decode_all(images, resize, ALONE)) as decoded,
            Predictions(out) as predictions,
            Shown(images.total, cfg.json) as shown,
        ):
            for batch in batches(decoded, batch_size):
                answers = answer(network, fabric.device, batch)
                look_at(batch, far)
                predictions.write(answers)
                shown.show(answers)
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # 128 + SIGINT, as shells have it
    summarize(predictions, images, network.threshold)
    far.tell()
    if not far.clearly:  # whose warning ends so
        log.info(REVIEW)
    if bad := predictions.counts[""]:
        total = predictions.counts.total()
        raise UserError(f"{images.named}: {bad:,} of {total:,} files have no prediction; their rows say why.")


Batch = list[tuple[Entry, Decoded | BadImage]]


def batches(images: Iterable[tuple[Entry, Decoded | BadImage]], size: int) -> Iterator[Batch]:
    """The images, so many at a time."""
    images = iter(images)
    while batch := list(islice(images, size)):
        yield batch


@torch.inference_mode()
def answer(network: Ensemble, device: torch.device, batch: Batch) -> list[Answer]:
    """An answer for each file of a batch, in its order."""
    good = [image.pixels for _, image in batch if isinstance(image, Decoded)]
    probabilities: Iterator[float] = iter(())
    if good:
        pixels = torch.from_numpy(np.stack(good)).to(device)
        probabilities = iter(combine(network(pixels.permute(0, 3, 1, 2)).cpu().numpy()))
    return [
        Answer(entry.name, error=str(image))
        if isinstance(image, BadImage)
        else Answer.of(entry.name, next(probabilities), network.threshold)
        for entry, image in batch
    ]


def look_at(batch: Batch, far: Far) -> None:
    """Shows `far` the images of a batch that could be read, after the network answered about them."""
    if good := [image for _, image in batch if isinstance(image, Decoded)]:
        far.see(torch.from_numpy(np.stack([image.pixels for image in good])).permute(0, 3, 1, 2))
        far.see_sizes(*np.array([(image.width, image.height) for image in good]).T)


def summarize(predictions: Predictions, images: Images, threshold: float) -> None:
    """Counts and where the rows are, to the log."""
    counts = predictions.counts
    log.info("%s FAKE, %s REAL, %s not predicted (the figure is the probability of FAKE; FAKE from %.4g on)",
             f"{counts['FAKE']:,}", f"{counts['REAL']:,}", f"{counts['']:,}", threshold)  # fmt: skip
    if images.ignored:
        log.info("Left out for want of an image's ending: %s", f"{images.ignored.total():,}")
    log.info("Predictions: %s", predictions.path)
