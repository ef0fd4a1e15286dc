"""What the images of training were like, kept in the checkpoint: so that a test can say how far others lie from them.

Two views, each a Gaussian with Mahalanobis' distance (Lee et al. 2018), fitted on validation. Features: what the last
layer is given, scaled to unit length (Mueller & Hein 2025: 18% of synthetic images then lie far for CIFAKE's CNN,
instead of 0.5%). Pixels: colours and power spectrum, which show blur and resizing where features do not (35% of
blurred images instead of 2%) and for weak networks too. Of 2,000 test images of CIFAKE itself 1.5% lie far.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fakereal.data.pixel_statistics import colour_moments, power_spectrum, to_grey
from fakereal.data.store.decode import Resize
from fakereal.models.distance.gaussian import Gaussian, fit_gaussian

DIRECTIONS = 32  # of features: 64 or all separate no better, and 2,048 features stay 0.3 MB
LIMIT = 4000  # validation images that are enough
FEWEST = 200  # validation images, below which their 99th percentile is that of one or two
LARGEST = 256  # pixels a side that a spectrum is made of: the middle of larger images
SIDE_FACTOR, ASPECT_FACTOR = 2.0, 1.5  # beyond the extremes of training, where other resizing leaves other traces
QUANTILES = (0.005, 0.5, 0.995)


def unit(features: Tensor) -> Tensor:
    """Features (N, D) scaled to length 1, in float32."""
    return torch.nn.functional.normalize(features.float().cpu())


def pixel_statistics(images: Tensor) -> Tensor:
    """Mean and spread of each colour and the power spectrum, (B, 6 + S // 2), of uint8 images (B, 3, S, S)."""
    size = images.shape[-1]
    start = max(0, size - LARGEST) // 2
    middle = images[..., start : start + LARGEST, start : start + LARGEST].permute(0, 2, 3, 1).cpu().numpy()
    return torch.from_numpy(np.concatenate([*colour_moments(middle), power_spectrum(to_grey(middle))], axis=1))


@dataclass
class Reference:
    """`sides` (of a square of the same area) and `aspects` (long by short side) of the files of train, at QUANTILES."""

    sides: list[float]
    aspects: list[float]
    features: Gaussian | None
    pixels: Gaussian | None

    @property
    def known(self) -> bool:
        """Whether there were images enough to fit distances to."""
        return self.features is not None

    def far_sizes(self, width: np.ndarray, height: np.ndarray, resize: Resize) -> np.ndarray:
        """Which files (N,) are much smaller, larger or longer than those of training, or alone are enlarged."""
        width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
        side, aspect = np.sqrt(width * height), np.maximum(width, height) / np.minimum(width, height)
        odd = (side < self.sides[0] / SIDE_FACTOR) | (side > self.sides[-1] * SIDE_FACTOR)
        odd |= aspect > self.aspects[-1] * ASPECT_FACTOR
        if resize.aspect == "native" and self.sides[0] >= resize.size:  # which leaves others as they are
            odd |= resize.enlarges(width, height)
        return odd

    def usual_sizes(self) -> str:
        """Sizes and shapes of the files of training, in words."""
        low, _, high = self.sides
        sides = f"{low:,.0f} px a side"
        if round(low) != round(high):
            sides = f"{low:,.0f} to {high:,.0f} px a side, as the root of the area"
        longest = self.aspects[-1]
        shape = f"up to {longest:.2f} times as long as wide" if longest > 1.005 else "square"
        return f"{sides}, {shape}"

    def plain(self) -> dict[str, Any]:
        """Plain values and tensors, as a checkpoint has them."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Reference":
        """The other way round; any of several exceptions where it was altered."""
        gaussians = {name: plain[name] and Gaussian(**plain[name]) for name in ("features", "pixels")}
        sizes = (list(map(float, plain[name])) for name in ("sides", "aspects"))
        return cls(*sizes, **gaussians)


def fit_reference(width: np.ndarray, height: np.ndarray, features: Tensor, pixels: Tensor) -> Reference:
    """From sizes (N,) of the train files, and features (M, D) and pixel statistics (M, P) of validation images."""
    width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
    aspects = np.maximum(width, height) / np.minimum(width, height)
    sizes = [np.quantile(values, QUANTILES).tolist() for values in (np.sqrt(width * height), aspects)]
    if len(features) < FEWEST or not torch.isfinite(features).all():
        return Reference(*sizes, None, None)
    return Reference(*sizes, fit_gaussian(unit(features), DIRECTIONS), fit_gaussian(pixels, 0))
