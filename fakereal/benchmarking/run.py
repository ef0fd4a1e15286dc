"""One benchmark, from a config to its table."""

import logging
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.decoding import decoding, first_epoch
from fakereal.benchmarking.figures.memory import memory
from fakereal.benchmarking.figures.predicting import predicting
from fakereal.benchmarking.figures.starting import starting
from fakereal.benchmarking.figures.sweeping import sweeping
from fakereal.benchmarking.figures.training import on_gpu, steps, training
from fakereal.benchmarking.figures.whole_path import whole_path
from fakereal.benchmarking.table import printed, write
from fakereal.config.argv import choices_of
from fakereal.config.schema import check
from fakereal.presentation.terminal import result_console
from fakereal.runs.provenance import PACKAGES
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError
from fakereal.runtime.hardware import hardware

log = logging.getLogger(__name__)
LONG = {"whole_path"}  # not among `all`: trains to the end
FEWEST_OF_GPU = 100  # batches an epoch, whose end costs as much as several steps of a fast device


def benchmark(cfg: DictConfig) -> list[Row]:
    """Measures what `cfg.figures` names; leaves benchmark.csv, benchmark.md and benchmark.json.

    What was measured is written after each row: a benchmark that is broken off keeps it.
    """
    check(cfg)
    if cfg.root and not Path(os.path.expanduser(cfg.root)).exists():
        raise UserError(f"root={cfg.root} does not exist. Give a folder or archive of images, or leave it out.")
    known = choices_of("model")
    if unknown := [name for name in cfg.networks if name not in known]:
        raise UserError(f"networks: there is no model named {', '.join(unknown)}. Choose from: {', '.join(known)}.")
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    machine = hardware() | {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fakereal-benchmark-") as folder:
        words = [f"threads={cfg.threads or 'null'}", f"trainer.accelerator={cfg.accelerator}"]
        bench = Bench(Path(folder), cfg.repeats, words)
        for name, figure in figures(cfg, bench).items():
            log.info("Measuring %s", name)
            for row in figure():
                rows.append(row)
                write(rows, machine, out)
    printed(rows, result_console())
    log.info("Table: %s", out / "benchmark.md")
    return rows


def figures(cfg: DictConfig, bench: Bench) -> dict[str, Callable[[], Iterator[Row]]]:
    """What was asked for, by name, in this order."""
    batch, source = cfg.batch_size, cfg.root and os.path.abspath(os.path.expanduser(cfg.root))
    least = FEWEST_OF_GPU * batch if on_gpu(cfg.accelerator) else 0
    epochs = {name: max(least, cfg.epoch_images.get(name, cfg.epoch_images.other)) for name in cfg.networks}
    every = {
        "start": lambda: starting(bench),
        "decode": lambda: decoding(bench, source),
        "first_epoch": lambda: first_epoch(bench, batch),
        "memory": lambda: memory(bench, source, batch),
        "sweep": lambda: sweeping(bench, batch, cfg.launchers),
        "predict": lambda: predicting(bench, batch),
        "training": lambda: training(bench, epochs, list(cfg.peers), batch, list(cfg.overrides)),
        "steps": lambda: steps(bench, epochs, batch, list(cfg.overrides)),
        "whole_path": lambda: whole_path(bench, source),
    }
    asked = [cfg.figures] if isinstance(cfg.figures, str) else cfg.figures
    return {name: every[name] for name in every if name in asked or ("all" in asked and name not in LONG)}
