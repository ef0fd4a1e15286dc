"""The usual way: torchvision's ImageFolder and DataLoader, a LightningModule, fp32, with workers at their best."""

from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import BinaryAccuracy
from torchvision import transforms
from torchvision.datasets import ImageFolder

from fakereal.benchmarking.epoch_laps import EpochLaps
from fakereal.benchmarking.images import SIDE
from fakereal.benchmarking.loops.task import batches_to_try, begin, best_workers, network_of
from fakereal.config.build import build

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Plain(L.LightningModule):
    """A network with one logit, its loss and accuracy."""

    def __init__(self, cfg: DictConfig):
        super().__init__()
        self.network, self.cfg = network_of(cfg).to(memory_format=torch.contiguous_format), cfg
        if cfg.model.compile:
            self.network.compile()
        self.accuracy = BinaryAccuracy()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.network(images).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, labels.float())
        self.accuracy(logits.detach().sigmoid(), labels)
        self.log("loss", loss)
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        own = {"fused": None} if "fused" in self.cfg.optimizer else {}  # ours; torch's default is none
        return build(self.cfg.optimizer, **own)(self.parameters())


def images_of(tree: str, augment: bool, side: int) -> ImageFolder:
    """The train split, as tensors of that size, normalised by ImageNet's figures."""
    steps = [transforms.RandomCrop(SIDE, 4, padding_mode="reflect"), transforms.RandomHorizontalFlip()]
    last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    if side != SIDE:
        last.insert(0, transforms.Resize(side))
    return ImageFolder(str(Path(tree, "train")), transforms.Compose([*(steps if augment else []), *last]))


def loader_of(images: Dataset, batch: int, workers: int) -> DataLoader:
    """Shuffled batches by so many processes, which stay between epochs."""
    return DataLoader(
        images,
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def fit(module: Plain, loader: DataLoader, accelerator: str, **given: object) -> None:
    """A Trainer without what costs time: no checkpoints, no loggers, no bar."""
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=1,
        precision="32-true",
        benchmark=True,  # as all contenders
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **given,
    )
    trainer.fit(module, loader)


def main() -> None:
    """Tries numbers of workers, then runs laps until nobody asks any more."""
    task, cfg, _ = begin()
    accelerator = cfg.trainer.accelerator
    module, images = Plain(cfg), images_of(task.tree, task.augment, cfg.model.image_size)

    tried = batches_to_try(task, cfg.data.batch_size)

    def try_out(workers: int):
        loader = loader_of(images, cfg.data.batch_size, workers)
        for _ in loader:
            pass
        return lambda: fit(module, loader, accelerator, max_epochs=1, limit_train_batches=tried)

    loader = loader_of(images, cfg.data.batch_size, best_workers(task, try_out))
    fit(module, loader, accelerator, max_epochs=task.laps, callbacks=[EpochLaps(loading=True)])


if __name__ == "__main__":
    main()
