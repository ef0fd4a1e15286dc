"""Which parts of an image spoke for an answer: Grad-CAM, and of transformers with a class token their attention."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fakereal.explanation.layers import NoMap, cells, hooked, instead
from fakereal.explanation.rollout import attentions, relevance
from fakereal.models.classifier import Classifier


class EvidenceMap:
    """Maps of the evidence for FAKE or for REAL, at a layer.

    Of maps it is Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): the positive part of the layer's channels, each
    weighed by the mean gradient of the logit (for REAL of its negative) over the cells. Of a transformer's tokens,
    where no channel means the same everywhere, each cell has its own gradients (Draelos & Carin 2020, arXiv
    2011.08891). Of a transformer that answers from a class token it is the relevance of its attention (`rollout.py`).
    With `tta: flip` it is the map of the mean logit of image and mirror.

    `layer`: a module of the backbone by name; None: the last map, which is what timm's `forward_features` gives,
    or all attention.
    """

    def __init__(self, classifier: Classifier, layer: str | None = None):
        self.classifier, self.layer = classifier, layer
        self.attends = layer is None and bool(attentions(classifier.backbone))

    def __call__(self, images: Tensor, fake: Tensor) -> Tensor:
        """Maps (B, H, W) float32, from 0 to their maximum of 1, of uint8 images (B, 3, H, W).

        `fake` (B,) bool: whether a map is of the evidence for FAKE, else for REAL. A map is 0 throughout where
        nothing spoke for that class.

        Raises:
            NoMap: the layer has none, or one of a single cell; names the layer to use instead.
        """
        with torch.inference_mode(False), torch.enable_grad():
            maps = self._raw(images, fake)
            if self.classifier.hparams.tta == "flip":
                maps = maps + self._raw(images.flip(-1), fake).flip(-1)
        return scaled(maps)

    def _raw(self, images: Tensor, fake: Tensor) -> Tensor:
        sign = torch.where(fake.to(images.device), 1.0, -1.0)
        if self.attends:
            tokens = relevance(self.classifier.backbone, self.classifier.prepared(images), sign)
            self._check(tokens, images)
            maps = cells(self.classifier.backbone, tokens)[..., 0]
        else:
            maps = self._grad_cam(images, sign)
        size = images.shape[-2:]
        return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]

    def _grad_cam(self, images: Tensor, sign: Tensor) -> Tensor:
        """Maps (B, h, w) of the layer's own cells."""
        backbone = self.classifier.backbone
        activations, logits = self._of_layer(images) if self.layer else self._of_last_map(images)
        self._check(activations, images)
        (gradients,) = torch.autograd.grad((sign * logits).sum(), activations)
        held, weights = (cells(backbone, values).float() for values in (activations.detach(), gradients))
        if activations.ndim == 4:
            weights = weights.mean((1, 2), keepdim=True)
        elif not weights.any():
            better = "leave layer out" if attentions(backbone) else "name an earlier layer"
            raise NoMap(f"{self._where()}: the answer does not depend on the patches there: {better}.")
        return (held * weights).sum(-1).clamp(min=0)

    def _of_last_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The activations, as a leaf of the graph of the logits (B,)."""
        backbone = self.classifier.backbone
        with torch.no_grad():
            output = backbone.forward_features(self.classifier.prepared(images))
        if cells(backbone, output) is None:
            raise NoMap(f"{self._where()} of this network gives no map: {instead(self.classifier, images)}")
        activations = output.detach().requires_grad_()
        return activations, backbone.forward_head(activations.clone()).squeeze(1)  # a head may work in place

    def _of_layer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        backbone, kept = self.classifier.backbone, []

        def cut(name: str, output: object) -> Tensor | None:
            if cells(backbone, output) is None:
                return None
            kept.append(output.detach().requires_grad_())
            return kept[-1].clone()

        module = dict(backbone.named_modules()).get(self.layer)
        if module is None:
            raise NoMap(f"{self._where()}: the network has no layer with that name: {instead(self.classifier, images)}")
        with hooked({self.layer: module}, cut):
            logits = self.classifier(images)
        if not kept:
            raise NoMap(f"{self._where()} has no map: {instead(self.classifier, images)}")
        return kept[-1], logits

    def _check(self, activations: Tensor, images: Tensor) -> None:
        height, width = cells(self.classifier.backbone, activations).shape[1:3]
        if height * width == 1:
            raise NoMap(
                f"{self._where()} is a map of 1 x 1 cells for images of {images.shape[-2]} x {images.shape[-1]} "
                f"pixels, which cannot tell places apart: {instead(self.classifier, images)}"
            )

    def _where(self) -> str:
        return f"layer={self.layer}" if self.layer else "The last layer"


class MeanMap:
    """The map of an ensemble: the mean of its members' maps, scaled to a maximum of 1."""

    def __init__(self, classifiers: Sequence[Classifier], layer: str | None = None):
        self.members = [EvidenceMap(classifier, layer) for classifier in classifiers]

    def __call__(self, images: Tensor, fake: Tensor) -> Tensor:
        return scaled(torch.stack([member(images, fake) for member in self.members]).mean(0))


def scaled(maps: Tensor) -> Tensor:
    """Maps (B, H, W) of values from 0 on, each divided by its maximum; one that is 0 throughout stays so."""
    highest = maps.amax((1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, 0.0)
