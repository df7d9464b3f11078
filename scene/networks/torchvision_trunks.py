"""torchvision's image classifiers in stages, up to their pooling."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import Any, NamedTuple

from torch import nn

from .backbones import DEVIATION, MEAN, Weights, pretrained


class Parts(NamedTuple):
    """A classifier, taken apart.

    Attributes:
        stages: Up to the pooling, by name.
        linear: The linear layer from averaged maps to the network's own classes; None if it does
            more than that to them.
        mean: Channel means of the images that it expects.
        deviation: Their channel standard deviations.
    """

    stages: OrderedDict[str, nn.Module]
    linear: nn.Linear | None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@cache
def torchvision_names() -> frozenset[str]:
    """Return the names of torchvision's image classifiers."""
    from torchvision import models

    return frozenset(models.list_models(module=models))


def torchvision_parts(name: str, weights: Weights = "none") -> Parts:
    """Make one of torchvision's classifiers and take it apart.

    Args:
        name: One of `torchvision_names`.
        weights: ``none``, ``imagenet`` or the path of a state dict.

    Raises:
        LookupError: If there are no such weights.
        ValueError: If they are not of this network.
    """
    model = pretrained(name, weights)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for part, module in model.named_children():
        if part in _ENDS:
            continue
        if part in _BODIES:
            for inner, layer in module.named_children():
                stages[f"{part}{inner}" if inner.isdecimal() else inner] = layer
        else:
            stages[part] = module
    if name.startswith("densenet"):
        stages["relu"] = nn.ReLU()  # a function in its forward
    if name in _HALVES:  # torchvision standardises its images anew, inside
        return Parts(stages, _own_linear(model), (0.5,) * 3, (0.5,) * 3)
    return Parts(stages, _own_linear(model), MEAN, DEVIATION)


_BODIES = ("features", "layers", "trunk_output")
"""Parts whose layers are stages."""

_ENDS = {"avgpool", "permute", "flatten", "dropout", "classifier", "fc", "head", "heads"}
_ENDS |= {"aux1", "aux2", "AuxLogits"}
"""Parts that follow the last maps, or lie beside them."""

_HALVES = ("googlenet", "inception_v3")
"""Networks that learned images with mean and standard deviation 1/2."""


def _own_linear(model: Any) -> nn.Linear | None:
    """Return the one layer after the pooling, if there is but dropout beside it."""
    ends = [getattr(model, part) for part in ("fc", "classifier") if hasattr(model, part)]
    layers = [layer for end in ends for layer in _layers(end)]
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout)]
    return layers[0] if len(layers) == 1 and isinstance(layers[0], nn.Linear) else None


def _layers(end: nn.Module) -> list[nn.Module]:
    return list(end) if isinstance(end, nn.Sequential) else [end]
