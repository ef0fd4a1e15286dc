"""LeNet-5."""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from fakereal.models.backbones.layers import GridPool, check_image_size

default_cfgs = generate_default_cfgs(
    {
        "lenet5": {
            "input_size": (3, 32, 32),
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "features.0",
            "classifier": "fc",
        }
    }
)


class LeNet5(nn.Module):
    """LeNet-5 in its modern form: 6 and 16 filters of 5 x 5 with ReLU, max-pooled, then 120 and 84 units.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998 (with scaled
    tanh, trainable pooling and a sparse second layer). Images (B, C, H, W) of 32 px give the 5 x 5 map that
    the first fully connected layer sees; maps of other sizes are average-pooled to it, so the weights fit
    every size from 16 px. Layers start as PyTorch's default has it.
    """

    min_size = 16
    num_features = 16
    head_hidden_size = 84

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.features = nn.Sequential(
            # ReLU after the maximum, not before: the same values and gradients, of a quarter of the numbers.
            nn.Conv2d(in_chans, 6, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        )
        self.hidden = nn.Sequential(
            GridPool(5),
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
        )
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.fc = nn.Linear(self.head_hidden_size, num_classes) if num_classes > 0 else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps (B, 16, 5, 5) of images (B, C, 32, 32); UserError below 16 px."""
        check_image_size(self, *x.shape[-2:])
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (B, num_classes) of the maps, or with `pre_logits` the 84 activations before them."""
        x = self.drop(self.hidden(x))
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


@register_model
def lenet5(pretrained: bool = False, **kwargs: Any) -> LeNet5:
    """LeNet-5, 61,241 parameters with one logit; there are no pretrained weights."""
    return build_model_with_cfg(LeNet5, "lenet5", pretrained, **kwargs)
