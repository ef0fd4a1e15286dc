"""A Gaussian with Mahalanobis' distance, and the distance that almost all images keep to."""

from dataclasses import dataclass

import torch
from torch import Tensor

FOLDS = 5
PERCENTILE = 0.99  # of validation, beyond which an image is far


@dataclass
class Gaussian:
    """Mean and scale (D,), variances (K,) along directions (D, K) of the scaled values, `rest` along all others.

    `cut`: the distance that all but 1% of validation images keep to.
    """

    mean: Tensor
    scale: Tensor
    directions: Tensor
    variances: Tensor
    rest: float
    cut: float = 0.0

    def distance(self, values: Tensor) -> Tensor:
        """Squared Mahalanobis distance (N,) of values (N, D)."""
        scaled = (values - self.mean) / self.scale
        along = scaled @ self.directions
        across = (scaled.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return (along.square() / self.variances).sum(1) + across / self.rest

    def far(self, values: Tensor) -> Tensor:
        """Which (N,) of values (N, D) lie beyond the cut."""
        return self.distance(values) > self.cut


def fit_gaussian(values: Tensor, directions: int) -> Gaussian:
    """To values (N, D); the cut is the percentile of distances that other images' fit gives (5 folds)."""
    fold = torch.arange(len(values)) % FOLDS  # neighbours are of one class: all folds hold both
    held_out = torch.empty(len(values))
    for number in range(FOLDS):
        held_out[fold == number] = _fit(values[fold != number], directions).distance(values[fold == number])
    whole = _fit(values, directions)
    whole.cut = float(torch.quantile(held_out, PERCENTILE))
    return whole


def _fit(values: Tensor, directions: int) -> Gaussian:
    mean, scale = values.mean(0), values.std(0)
    scale = scale.clamp(min=max(0.01 * float(scale.mean()), 1e-6))  # of features that never or hardly vary
    scaled = (values - mean) / scale
    count = min(directions, values.shape[1] - 1, len(values) // 20)
    with torch.random.fork_rng(devices=[]):  # the search starts at random; training goes on undisturbed
        torch.manual_seed(0)
        _, singular, along = torch.pca_lowrank(scaled, max(count, 1), center=False, niter=4)
    variances, along = singular[:count].square() / len(values), along[:, :count]
    rest = float((scaled.square().mean(0).sum() - variances.sum()) / (values.shape[1] - count))
    return Gaussian(mean, scale, along, variances.clamp(min=1e-6), max(rest, 1e-6))
