"""Logistic regression on a few features: the classifiers that a network has to beat."""

from collections.abc import Callable

import numpy as np

Classifier = Callable[[np.ndarray], np.ndarray]


def fit_logistic(features: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Classifier:
    """A function from features (M, F) to the log-odds (M,) of label 1, fitted to (N, F) and labels (N,) of 0 and 1.

    Features are standardised; constant ones are left out. `penalty` / 2 is the weight of the squared standardised
    coefficients, the log-likelihood being a sum over images (as scikit-learn's C = 1). Fitted by L-BFGS.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    features = np.asarray(features, dtype=np.float64)
    mean, std = features.mean(0), features.std(0)
    used = std > 1e-9
    design = (features[:, used] - mean[used]) / std[used]
    target = np.asarray(labels, dtype=np.float64)
    count = len(target)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights = parameters[1:]
        logits = design @ weights + parameters[0]
        error = (expit(logits) - target) / count
        value = (np.logaddexp(0, logits) - target * logits).mean() + penalty / 2 / count * weights @ weights
        return value, np.concatenate([[error.sum()], error @ design + penalty / count * weights])

    found = minimize(loss, np.zeros(1 + used.sum()), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    bias, weights = found.x[0], found.x[1:]

    def log_odds(new: np.ndarray) -> np.ndarray:
        return (np.asarray(new, dtype=np.float64)[:, used] - mean[used]) / std[used] @ weights + bias

    return log_odds
