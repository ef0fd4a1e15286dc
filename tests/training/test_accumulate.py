"""Accumulated gradients are those of the mean loss over all images of an optimizer's step."""

import lightning as L
import pytest
import torch
from torch.nn import functional as F

from fakereal.data.synthetic import Synthetic
from fakereal.models.classifier import Classifier

OPTIONS = {
    "accelerator": "cpu", "max_epochs": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
}  # fmt: skip


class Steps(L.Callback):
    """Of each step the positions of its images, its gradient, and the weights that both are of."""

    def __init__(self):
        self.positions, self.steps = [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.positions.append(batch["index"])

    def on_before_optimizer_step(self, trainer, module, optimizer):
        gradients = {name: value.grad.clone() for name, value in module.named_parameters()}
        weights = {name: value.detach().clone() for name, value in module.named_parameters()}
        self.steps.append((torch.cat(self.positions), gradients, weights))
        self.positions = []


# 432 images as batches of 128, 128, 128 and 48: the last step has one batch alone of 48, or two of 128 and 48.
@pytest.mark.parametrize(("accumulate", "images"), [(3, [384, 48]), (2, [256, 176]), (8, [432])])
def test_each_image_counts_the_same(tmp_path, accumulate, images):
    data = Synthetic(count=600, batch_size=128)
    classifier = Classifier("lenet5", optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    steps = Steps()
    trainer = L.Trainer(accumulate_grad_batches=accumulate, callbacks=[steps], default_root_dir=tmp_path, **OPTIONS)
    trainer.fit(classifier, datamodule=data)
    assert [len(positions) for positions, *_ in steps.steps] == images
    split = data.splits["train"]
    for positions, found, weights in steps.steps:
        classifier.load_state_dict(weights, strict=False)
        classifier.zero_grad()
        pixels = torch.from_numpy(split.images.gather(split.rows[positions])).permute(0, 3, 1, 2)
        labels = torch.from_numpy(split.labels[positions])
        F.binary_cross_entropy_with_logits(classifier(pixels), labels).backward()
        for name, value in classifier.named_parameters():
            torch.testing.assert_close(found[name], value.grad, rtol=1e-3, atol=1e-6)


def test_the_loss_that_is_told_is_that_of_images(tmp_path):
    """At a rate of next to nothing the weights stay, and so does the loss, however its images are dealt."""
    told = []
    for batch_size, accumulate in ((432, 1), (128, 3)):
        L.seed_everything(0, verbose=False)
        trainer = L.Trainer(accumulate_grad_batches=accumulate, default_root_dir=tmp_path, **OPTIONS)
        classifier = Classifier("lenet5", optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-12))
        trainer.fit(classifier, datamodule=Synthetic(count=600, batch_size=batch_size))
        told.append(float(trainer.callback_metrics["train/loss"]))
    assert told[0] == pytest.approx(told[1], abs=1e-5)
