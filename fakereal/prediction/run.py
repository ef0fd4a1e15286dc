"""One prediction: checkpoints and images to lines and predictions.csv."""

import logging
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal import REVIEW
from fakereal.data.store.ahead import ahead_of
from fakereal.data.store.parallel import decode_all
from fakereal.models.distance.tally import Tally
from fakereal.prediction.batch import batches
from fakereal.prediction.images import Images
from fakereal.prediction.predictions import PredictionsFile
from fakereal.prediction.question import ALONE, ask
from fakereal.prediction.shown import Shown
from fakereal.runtime.errors import UserError
from fakereal.runtime.memory import explained_out_of_memory
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)


def predict(cfg: DictConfig) -> None:
    """Answers about `cfg.images`; leaves predictions.csv.

    Raises:
        UserError: also at the end, when some of the files could not be read.
    """
    asked = ask(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    predictor = asked.predictor
    far = Tally(predictor.distance)
    try:
        with (
            terminated(),
            explained_out_of_memory(asked.batch_size, predictor.members[0].classifier.hparams.image_size),
            PredictionsFile(out, asked.said(cfg.trainer.precision), asked.batch_size) as predictions,
            closing(decode_all(predictions.left(asked.images), predictor.resize, ALONE)) as decoded,
            closing(ahead_of(batches(decoded, asked.batch_size))) as ready,
            Shown(asked.images.total, cfg.json, done=predictions.kept) as shown,
        ):
            for answers, distances in predictor.measured(ready):
                if distances:
                    far.add_sizes(distances.size)
                    far.add(distances.content)
                predictions.write(answers)
                shown.show(answers)
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # 128 + SIGINT, as shells have it
    summarize(predictions, asked.images, predictor.threshold, cfg.trainer.precision)
    far.tell()
    if not far.clearly:  # whose warning ends so
        log.info(REVIEW)
    if bad := predictions.counts[""]:
        total = predictions.counts.total()
        raise UserError(f"{asked.images.named}: {bad:,} of {total:,} files have no prediction; their rows say why.")


@contextmanager
def terminated() -> Iterator[None]:
    """Within it SIGTERM, which containers and schedulers send, ends the command as Ctrl-C does, with a last word."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summarize(predictions: PredictionsFile, images: Images, threshold: float, precision: str | int) -> None:
    """Counts and where the rows are, to the log."""
    counts = predictions.counts
    log.info("%s FAKE, %s REAL, %s not predicted (the figure is the probability of FAKE, in %s; FAKE from %.4g up)",
             f"{counts['FAKE']:,}", f"{counts['REAL']:,}", f"{counts['']:,}", precision, threshold)  # fmt: skip
    if images.ignored:
        endings = ", ".join(f"{printable(ending)} ({count:,})" for ending, count in images.ignored.most_common(10))
        log.info("Left out, without an image extension: %s", endings)
    log.info("Predictions: %s", predictions.path)
