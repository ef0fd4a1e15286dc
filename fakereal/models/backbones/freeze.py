"""Freezing all of a timm network but its classifier."""

from torch import nn

from fakereal.models.backbones.layers import classifiers


def set_frozen(backbone: nn.Module, frozen: bool) -> None:
    """Let only the classifier of a timm network train (`frozen`), or all of it.

    The modules' modes are left to `eval_frozen_modules`. Frozen parameters have no gradient, so an optimizer
    that holds all parameters skips them, weight decay included.
    """
    backbone.requires_grad_(not frozen)
    for head in classifiers(backbone):
        head.requires_grad_(True)


def eval_frozen_modules(backbone: nn.Module) -> None:
    """Put every module all of whose parameters are frozen into eval mode; to be called after each `train()`.

    Without it the running statistics of frozen batch norms would drift, and drop-path would disturb features
    that cannot adapt. Dropout before the classifier stays active; a network that trains as a whole is left as
    it is.
    """
    for module in backbone.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
