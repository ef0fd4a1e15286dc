"""AlexNet, with the layout, parameter names and weights of torchvision."""

from typing import Any

import torchvision
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torchvision.models import AlexNet_Weights

from fakereal.models.backbones.layers import GridPool, check_image_size

default_cfgs = generate_default_cfgs(
    {
        "alexnet.tv_in1k": {
            "url": AlexNet_Weights.IMAGENET1K_V1.url,
            "input_size": (3, 224, 224),
            "min_input_size": (3, 63, 63),
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "interpolation": "bilinear",
            "first_conv": "features.0",
            "classifier": "classifier.6",
            "license": "bsd-3-clause",
        }
    }
)


class AlexNet(torchvision.models.AlexNet):
    """AlexNet in the single-tower layout of Krizhevsky: One weird trick, arXiv 1404.5997, 2014.

    The network of Krizhevsky, Sutskever, Hinton 2012 without local response normalisation. It takes images
    (B, C, H, W) of any size from 63 px, where the last map is 1 x 1; the fully connected layers see the map
    pooled to 6 x 6. Dropout acts before both hidden layers, as in torchvision, where its rate is 0.5.
    """

    min_size = 63
    num_features = 256
    head_hidden_size = 4096

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.0) -> None:
        super().__init__(num_classes=1, dropout=drop_rate)
        self.in_chans = in_chans
        if in_chans != 3:
            self.features[0] = nn.Conv2d(in_chans, 64, kernel_size=11, stride=4, padding=2)
        self.avgpool = GridPool(6)
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        return self.classifier[6]

    def reset_classifier(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.classifier[6] = nn.Linear(self.head_hidden_size, num_classes) if num_classes > 0 else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps (B, 256, 6, 6) of images (B, C, 224, 224); UserError below 63 px."""
        check_image_size(self, *x.shape[-2:])
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (B, num_classes) of the maps, or with `pre_logits` the 4096 activations before them."""
        x = self.classifier[:6](self.avgpool(x).flatten(1))
        return x if pre_logits else self.classifier[6](x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


@register_model
def alexnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """AlexNet, 57.0 M parameters with one logit; its weights are torchvision's (ImageNet-1k, 56.5% top-1)."""
    return build_model_with_cfg(AlexNet, "alexnet", pretrained, **kwargs)
