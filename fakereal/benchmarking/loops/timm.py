"""The way of timm's training script: its dataset, loader, augmentation, optimizer factory, loss and meters.

It follows `train_one_epoch` of train.py in timm's repository (Apache-2.0), with --amp --amp-dtype bfloat16 and
--channels-last where `fakereal.train` uses them.
"""

from contextlib import nullcontext
from pathlib import Path

import torch
from omegaconf import DictConfig
from timm.data import create_dataset, create_loader
from timm.loss import BinaryCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter

from fakereal.benchmarking.laps import Lap
from fakereal.benchmarking.loops.task import Task, batches_to_try, begin, best_workers, network_of
from fakereal.runtime.environment import spare_gpu_search

LOG_INTERVAL = 50


def loader_of(task: Task, cfg: DictConfig, device: torch.device, workers: int):
    """timm's loader over the train split, which normalises on the device, as the script has it by default.

    Its crop (`rkrc`) resizes at random too, and is more work than ours.
    """
    side = cfg.model.image_size
    augment = {"hflip": 0.5, "train_crop_mode": "rkrc"} if task.augment else {"no_aug": True}
    return create_loader(
        create_dataset("", root=str(Path(task.tree, "train")), is_training=True),
        input_size=(3, side, side),
        batch_size=cfg.data.batch_size,
        is_training=True,
        color_jitter=0,
        interpolation="bilinear",
        num_workers=workers,
        pin_memory=device.type == "cuda",
        device=device,
        persistent_workers=workers > 0,
        **augment,
    )


class Training:
    """The network, its optimizer, and an epoch of training."""

    def __init__(self, cfg: DictConfig, device: torch.device):
        self.device = device
        self.network = network_of(cfg).to(device)
        if cfg.model.compile:
            self.network.compile()
        kind = cfg.optimizer._target_.rpartition(".")[2].lower()
        self.optimizer = create_optimizer_v2(
            self.network, opt=kind, lr=cfg.optimizer.lr, weight_decay=cfg.optimizer.weight_decay
        )
        self.loss = BinaryCrossEntropy()
        bf16 = str(cfg.trainer.precision) == "bf16-mixed"
        self.autocast = (lambda: torch.autocast(device.type, torch.bfloat16)) if bf16 else nullcontext
        self.losses = AverageMeter()

    def epoch(self, loader, batches: int | None = None) -> int:
        """Trains on all batches, or the first so many; returns the number of images."""
        self.network.train()
        seen = 0
        for index, (images, labels) in enumerate(loader):
            images = images.to(self.device).contiguous(memory_format=torch.channels_last)
            labels = labels.to(self.device)
            with self.autocast():
                loss = self.loss(self.network(images), labels[:, None].float())
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            seen += len(images)
            if index % LOG_INTERVAL == 0:
                self.losses.update(loss.item(), len(images))
            if batches and index + 1 >= batches:
                break
        return seen


def main() -> None:
    """Tries numbers of workers, then runs laps until nobody asks any more."""
    task, cfg, device = begin()
    torch.backends.cudnn.benchmark = True
    spare_gpu_search()  # as without Lightning, which `begin` imports
    training = Training(cfg, device)
    tried = batches_to_try(task, cfg.data.batch_size)

    def try_out(workers: int):
        loader = loader_of(task, cfg, device, workers)
        for _ in loader:
            pass
        return lambda: training.epoch(loader, tried)

    loader, lap = loader_of(task, cfg, device, best_workers(task, try_out)), Lap()
    while True:
        lap.wait()
        lap.done(training.epoch(loader), device)


if __name__ == "__main__":
    main()
