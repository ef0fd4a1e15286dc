"""Several ranks of one training that are started from within a process: for jobs of a sweep, and for `ddp_spawn`.

Lightning starts the other ranks of `ddp` with the same command line, which in a sweep is the whole sweep again: it
trains ranks with different settings and exits with 0 (tried). Its `ddp_spawn` leaves the trained model in the ranks.
Here each rank is told the settings of its one job, and then trains as ranks do that torchrun starts.
"""

import os
import pickle
import re
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from hydra.errors import HydraException
from lightning.fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from omegaconf import DictConfig, open_dict, read_write
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException

from fakereal.config.ranks import from_outside
from fakereal.runs.outcome import PRUNED
from fakereal.runtime.errors import UserError
from fakereal.sweeps.jobs import in_sweep
from fakereal.training.refusals import on_several_devices

WITHIN = "_(spawn|fork|notebook)"  # in the names of strategies that start ranks from within a process
STOPPING = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 60.0  # seconds in which ranks that are told to stop may write their checkpoint


def ranks_to_start(cfg: DictConfig) -> int:
    """How many are to be started here; 0 where Lightning, torchrun or Slurm does, or this process is alone."""
    strategy = str(cfg.trainer.strategy)
    within = re.search(WITHIN, strategy) is not None
    several = on_several_devices(cfg) or strategy not in ("auto", "single_device")
    if from_outside() or not (within or (in_sweep() and several)):
        return 0
    if cfg.trainer.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}: the ranks of a sweep's job, and those of ddp_spawn, are "
            "started on this machine alone. Launch them with torchrun or Slurm (hydra/launcher=slurm "
            "hydra.launcher.nodes=2)."
        )
    asked = {key: cfg.trainer[key] for key in ("accelerator", "devices")}
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    # Not Slurm's environment, which Lightning would see in any job of Slurm.
    count = L.Trainer(**asked, strategy="ddp", plugins=[LightningEnvironment()], **quiet).num_devices
    return count if count > 1 or within else 0


def in_ranks(train: Callable[[DictConfig], dict[str, Any]], cfg: DictConfig, count: int) -> dict[str, Any]:
    """What `train` returns in the first of so many processes; the exception that a rank raises is raised here.

    A signal to stop goes to each rank, which writes its checkpoint and ends; then SystemExit, as of a single process.
    """
    cfg = cfg.copy()
    if isinstance(cfg.trainer.strategy, str):
        with read_write(cfg), open_dict(cfg):
            cfg.trainer.strategy = re.sub(WITHIN, "", cfg.trainer.strategy)
    port = find_free_network_port()
    with tempfile.TemporaryDirectory(prefix="fakereal-ranks-") as folder:
        given = (train, cfg, HydraConfig.instance().cfg, count, port, folder)
        context = multiprocessing.start_processes(_rank, given, nprocs=count, join=False, start_method="spawn")
        with _stopping(context) as received:
            try:
                while not context.join():
                    pass
            except (ProcessExitedException, ProcessRaisedException):
                if not received:
                    answers = sorted(Path(folder).glob("*.error"))
                    if not answers:
                        raise
                    raise pickle.loads(answers[0].read_bytes()) from None
        if received:
            raise SystemExit(128 + received[0])
        return pickle.loads(Path(folder, "0.metrics").read_bytes())


def _rank(rank: int, train: Callable, cfg: DictConfig, whole: DictConfig, count: int, port: int, folder: str) -> None:
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # from here on Ctrl-C reaches the parent alone, which tells each rank once
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})  # as Lightning's own launcher has it
    os.environ.pop("SLURM_NTASKS", None)  # by which Lightning would take it for a task that Slurm started
    setup_globals()
    HydraConfig.instance().set_config(whole)
    if not rank:
        configure_log(whole.hydra.job_logging, whole.hydra.verbose)
    try:
        metrics = train(cfg)
    except Exception as error:
        if not isinstance(error, HydraException) and type(error).__name__ != PRUNED:
            traceback.print_exc()  # it does not travel with the exception
        Path(folder, f"{rank}.error").write_bytes(_pickled(error))
        raise SystemExit(1) from None
    if not rank:
        Path(folder, "0.metrics").write_bytes(pickle.dumps(metrics))


def _pickled(error: Exception) -> bytes:
    try:
        pickle.loads(data := pickle.dumps(error))
        return data
    except Exception:  # some can be written and not read again
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


@contextmanager
def _stopping(context: ProcessContext) -> Iterator[list[int]]:
    """Tells the ranks to stop where this process is told so: the signals that came. No rank outlives the block."""
    received: list[int] = []

    def stop(number: int) -> None:
        for process in context.processes:
            if process.is_alive():
                os.kill(process.pid, number)

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        # On Windows Ctrl-C reaches the ranks by itself, and to send it would end them at once.
        if not (sys.platform == "win32" and number == signal.SIGINT):
            stop(number)

    def give_back(number: int, frame: Any) -> None:
        stop(signal.SIGTERM)
        for process in context.processes:
            process.join(PATIENCE)
        previous[number](number, frame)  # the scheduler's, which begins the job again

    handlers = dict.fromkeys(STOPPING, forward)
    if hasattr(signal, "SIGUSR2") and callable(signal.getsignal(signal.SIGUSR2)):
        handlers[signal.SIGUSR2] = give_back
    if threading.current_thread() is not threading.main_thread():  # where signals cannot be had
        handlers = {}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield received
    finally:
        for process in context.processes:
            if not received and process.is_alive():
                process.terminate()
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
        for number, handler in previous.items():
            signal.signal(number, handler)
