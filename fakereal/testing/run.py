"""One look at a test split: checkpoints and data to figures, tables, plots and a line in the ledger."""

from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.config.schema import check
from fakereal.evaluation.groups import worst
from fakereal.explanation.gallery import Examined, make_gallery, write_gallery
from fakereal.models.distance.from_training import DistanceFromTraining
from fakereal.models.distance.tally import Tally
from fakereal.runs.ledger import check_ledger, record_look
from fakereal.runs.provenance import provenance
from fakereal.runtime.environment import prepare
from fakereal.runtime.files import write_json
from fakereal.runtime.memory import explained_out_of_memory
from fakereal.testing.answers import FarImages, Probabilities, one_device, refuse_no_numbers
from fakereal.testing.files import write_figures, write_predictions, write_tables
from fakereal.testing.images import opened
from fakereal.testing.result import result_of
from fakereal.testing.terminal import print_look, print_result
from fakereal.testing.trained_on import rows_of_training, warn_of_other_images


def test(cfg: DictConfig) -> dict[str, Any]:
    """Tests `cfg.ckpt_path`; leaves metrics.json, predictions.csv, figures, gallery/ and the ledger entry."""
    check(cfg)
    check_ledger(cfg.ledger)
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    members, data = opened(cfg)
    data.need_both = False  # of one class there are fewer figures
    collected, distance = Probabilities(), DistanceFromTraining(members)
    far = Tally(distance)
    with distance.watching() as watch:
        trainer = one_device(cfg.trainer, collected, FarImages(watch, far))
        for member in members:
            with explained_out_of_memory(data.batch_size, member.classifier.hparams.image_size):
                trainer.test(member.classifier, datamodule=data, verbose=False)
    trained = rows_of_training(data, members)
    warn_of_other_images(cfg.data, data, members, trained)
    probabilities = np.stack(collected.members)
    refuse_no_numbers(probabilities, cfg.ckpt_path)
    if distance.reference:
        far.add_sizes(distance.far_sizes(*data.file_sizes("test")))

    result = result_of(members, data, probabilities, trained, far, cfg.group_depth)
    entry, look = record_look(Path(cfg.ledger), result.metrics, out)
    write_predictions(out / "predictions.csv", result)
    write_tables(result, out)
    classifiers, shown = [member.classifier for member in members], [row["group"] for row in worst(result.groups)]
    examined = Examined(classifiers, result.evaluation, data.splits["test"], result.group_of, shown)
    sheets = make_gallery(examined, cfg.gallery, trainer.strategy.root_device)
    write_gallery(out / "gallery", sheets, examined)
    write_figures(result, sheets, out)
    write_json(out / "provenance.json", provenance(trainer, data))
    write_json(out / "metrics.json", result.metrics | {"look": look})
    whose = "as the checkpoint says" if len(members) == 1 else "the mean of the checkpoints'"
    print_result(result, "given" if cfg.threshold else whose)
    print_look(look, entry["data_digest"], out)
    far.tell()
    return result.metrics
