"""Sets up the process before training or testing."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from omegaconf import DictConfig

from fakereal.runtime.memory import keep_freed_memory

LIGHTNING = ("lightning", "lightning.pytorch", "lightning.fabric")  # loggers
QUIET = (
    ".*does not have many workers.*",  # our loader needs none: a batch is one gather
    ".*is smaller than the logging interval.*",  # a short epoch still logs its own figures
    ".*Checkpoint directory .* exists and is not empty.*",  # a run that goes on in its own directory
    ".*`srun` command is available.*",  # on a node from which sweeps are launched
    ".*train/images_per_second.*sync_dist.*",  # one rank's clock, times the number of ranks
    ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 against torch 2.15
)


def prepare(cfg: DictConfig) -> None:
    """Threads, memory, matrix precision, and Lightning's own log lines, of which only warnings are wanted."""
    keep_freed_memory()
    # What trainer.deterministic asks of cuBLAS, which looks once a process: a job before may have had no need of it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
    spare_gpu_search()
    for name in LIGHTNING:
        logger = logging.getLogger(name)
        logger.handlers.clear()  # the root logger prints each line already
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells when it has looked for fonts
    for message in QUIET:
        warnings.filterwarnings("ignore", message)


@contextmanager
def lightning_quiet() -> Iterator[None]:
    """Lightning tells of warnings alone, in a process whose log is not ours."""
    loggers = [logging.getLogger(name) for name in LIGHTNING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def spare_gpu_search() -> None:
    """Where there is no GPU, takes back a setting of Lightning's, by which torch looks for NVIDIA's library in vain.

    It does so whenever it is asked for a GPU, and Adam asks at each step: 75 us.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
