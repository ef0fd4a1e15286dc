"""Sets up the process before training or testing, and refuses what cannot go well."""

import logging
import os
import warnings

import torch
from lightning.pytorch.strategies import SingleDeviceStrategy, Strategy
from omegaconf import DictConfig, OmegaConf

from fakereal.config.errors import UserError
from fakereal.training.memory import keep_freed_memory

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
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
    spare_gpu_search()
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # the root logger prints each line already
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells when it has looked for fonts
    for message in QUIET:
        warnings.filterwarnings("ignore", message)


def spare_gpu_search() -> None:
    """Where there is no GPU, takes back a setting of Lightning's, by which torch looks for NVIDIA's library in vain.

    It does so whenever it is asked for a GPU, and Adam asks at each step: 75 us.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def refuse_clipped_fused(cfg: DictConfig) -> None:
    """Under autocast Lightning raises at the first step; in fp32 it clips for fused optimizers too."""
    precision = str(cfg.trainer.precision)
    mixed = "mixed" in precision or precision in ("16", "bf16")
    if cfg.optimizer.get("fused") and cfg.trainer.gradient_clip_val and mixed:
        raise UserError(
            f"optimizer.fused=true: under trainer.precision={cfg.trainer.precision} gradients cannot be clipped "
            f"(trainer.gradient_clip_val={cfg.trainer.gradient_clip_val}). Leave optimizer.fused away, or clip nothing."
        )


def on_several_devices(cfg: DictConfig) -> bool:
    """Whether the training may have more than one rank; `auto` counts as several, `[3]` is one."""
    devices = cfg.trainer.devices
    one = len(devices) == 1 if OmegaConf.is_list(devices) else devices in (1, "1")
    return not one or cfg.trainer.num_nodes > 1


def refuse_thawing_in_ddp(freeze: object, strategy: Strategy) -> None:
    """DDP looks at the start which parameters have a gradient, also where it has one rank."""
    if isinstance(freeze, int) and not isinstance(strategy, SingleDeviceStrategy):
        raise UserError(
            f"model.freeze={freeze} (an epoch count) works on one device only (trainer.devices=1 "
            "trainer.strategy=auto): DDP fixes at the start which weights it averages. Or train with "
            "model.freeze=backbone first, then go on with init_from=CKPT."
        )
