"""Averages over weights, and over the batches of all ranks, where Lightning's own would be slow or wrong."""

from itertools import chain
from typing import Annotated, Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.plugins import LayerSync
from pydantic import Field
from timm.layers import convert_sync_batchnorm
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class EMA(EMAWeightAveraging):
    """An exponential moving average of the weights is validated and saved instead of them.

    After n updates the average counts (1 + n) / (10 + n), as in TensorFlow's ExponentialMovingAverage with num_updates,
    until that reaches `decay`: else the weights that a short training begins with would outweigh all later ones.

    Lightning's lies where the model was built, on the CPU: every step would copy all weights of a GPU there, tensor by
    tensor, and average them there.
    """

    def __init__(
        self,
        decay: Annotated[float, Field(gt=0, lt=1)] = 0.999,
        update_every_n_steps: Annotated[int, Field(ge=1)] = 1,
        update_starting_at_step: int | None = None,
        update_starting_at_epoch: int | None = None,
    ):
        super().__init__(
            decay=decay,
            update_every_n_steps=update_every_n_steps,
            update_starting_at_step=update_starting_at_step,
            update_starting_at_epoch=update_starting_at_epoch,
        )
        self.decay = decay

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            self._average_model = _Average(pl_module, self.decay)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._average_model.module.to(pl_module.device)
        self._follow(pl_module)  # the figures of normalization=dataset were not there yet

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *args)
        self._follow(pl_module)

    def _follow(self, pl_module: L.LightningModule) -> None:
        """Before the first update the average is the weights: what is validated and saved was trained."""
        if not self._average_model.n_averaged:
            self._average_model.become(pl_module)


class _Average(AveragedModel):
    """All weights in one pass, and without a wait for the device: the count of updates stays on the CPU."""

    def __init__(self, model: nn.Module, decay: float):
        super().__init__(model, use_buffers=True)
        self.decay = decay

    def _pairs(self, model: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
        ours, theirs = ([*chain(one.parameters(), one.buffers())] for one in (self.module, model))
        return [*zip(ours, theirs, strict=True)]

    @torch.no_grad()
    def become(self, model: nn.Module) -> None:
        """Takes all weights over."""
        for our, their in self._pairs(model):
            our.copy_(their)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        if self.n_averaged == 0:
            self.become(model)
        else:
            pairs = self._pairs(model)
            done = int(self.n_averaged)
            average = get_ema_multi_avg_fn(min(self.decay, (1 + done) / (10 + done)))
            average(*zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True), done)
            for our, their in pairs:
                if not our.is_floating_point():  # batch norm's count of batches
                    our.copy_(their)
        self.n_averaged += 1


class SyncBatchNorm(LayerSync):
    """Batch norm over the whole global batch, as timm has it.

    torch's own, which Lightning takes, leaves out the activations that are part of timm's batch norms (DenseNet,
    EfficientNet, MobileNet): a network without them would be trained, and tested with them.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        return convert_sync_batchnorm(model)

    def revert(self, model: nn.Module) -> nn.Module:
        """As it is: in evaluation, all that follows, it is a batch norm like any other."""
        return model
