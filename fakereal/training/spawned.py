"""Several ranks of one training that are started from within a process: for jobs of a sweep, and for `ddp_spawn`.

Lightning starts the other ranks of `ddp` with the same command line, which in a sweep is the whole sweep again: it
trains ranks with different settings and exits with 0 (tried). Its `ddp_spawn` leaves the trained model in the ranks.
Here each rank is told the settings of its one job, and then trains as ranks do that torchrun starts.
"""

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, open_dict, read_write
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException

from fakereal.config.errors import UserError
from fakereal.config.ranks import from_outside
from fakereal.sweeps.jobs import in_sweep

WITHIN = "_(spawn|fork|notebook)"  # in the names of strategies that start ranks from within a process
FORWARDED = (signal.SIGINT, signal.SIGTERM)


def ranks_to_start(cfg: DictConfig) -> int:
    """How many are to be started here; 0 where Lightning, torchrun or Slurm does, or this process is alone."""
    strategy, several = str(cfg.trainer.strategy), cfg.trainer.devices not in (1, "1") or cfg.trainer.num_nodes > 1
    within = re.search(WITHIN, strategy) is not None
    if from_outside() or not (within or (in_sweep() and (several or strategy not in ("auto", "single_device")))):
        return 0
    if cfg.trainer.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}: the ranks of a sweep's job, and those of ddp_spawn, are "
            "started on this machine alone. Launch them by torchrun or Slurm (hydra/launcher=slurm "
            "hydra.launcher.nodes=2)."
        )
    asked = {key: cfg.trainer[key] for key in ("accelerator", "devices")}
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    count = L.Trainer(**asked, strategy="ddp", **quiet).num_devices
    return count if count > 1 or within else 0


def in_ranks(train: Callable[[DictConfig], dict[str, Any]], cfg: DictConfig, count: int) -> dict[str, Any]:
    """What `train` returns in the first of so many processes; the exception that a rank raises is raised here.

    A signal to stop goes to each rank once, which end as a single process does.
    """
    cfg = cfg.copy()
    with read_write(cfg), open_dict(cfg):
        cfg.trainer.strategy = re.sub(WITHIN, "", str(cfg.trainer.strategy))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answers = multiprocessing.get_context("spawn").SimpleQueue()
    given = (train, cfg, HydraConfig.instance().cfg, count, port, answers)
    context = multiprocessing.start_processes(_rank, given, nprocs=count, join=False, start_method="spawn")
    try:
        with _forwarding(context):
            while not context.join():
                pass
    except (ProcessExitedException, ProcessRaisedException) as error:
        if not answers.empty():
            raise answers.get() from None
        code = getattr(error, "exit_code", 1)
        raise (SystemExit(code) if code > 128 else error) from None
    return answers.get()


def _rank(rank: int, train: Callable, cfg: DictConfig, whole: DictConfig, count: int, port: int, answers: Any) -> None:
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which tells each rank once
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})  # as Lightning's own launcher has it
    setup_globals()
    HydraConfig.instance().set_config(whole)
    if not rank:
        configure_log(whole.hydra.job_logging, whole.hydra.verbose)
    try:
        metrics = train(cfg)
    except Exception as error:
        answers.put(error)
        raise SystemExit(1) from None
    if not rank:
        answers.put(metrics)


@contextmanager
def _forwarding(context: ProcessContext) -> Iterator[None]:
    def forward(number: int, frame: Any) -> None:
        for pid in context.pids():
            os.kill(pid, number)

    if threading.current_thread() is not threading.main_thread():  # where signals cannot be had
        yield
        return
    previous = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
