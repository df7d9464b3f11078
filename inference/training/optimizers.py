"""Optimizers by name: which parameters learn, and how fast each does compared with the rest."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ..settings.settings import Settings

MOMENTUM, DECAY = 0.9, 5e-4
"""Of SGD; the decay of weights in ``layerwise``."""

PACE = "pace"
"""What a group of parameters calls the multiple of the learning rate at which it learns."""


def optimizer(settings: Settings, module: nn.Module) -> Optimizer:
    """Make the optimizer that the settings name, of all parameters that learn.

    ``layerwise`` is SGD as VGG-like networks are usually tuned: biases learn twice as fast as
    weights and do not decay, and the last layer, which is called ``scores``, ten times as fast as
    the others.
    """
    rate = settings.optimizer.learning_rate
    learning = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if settings.optimizer.name == "layerwise":
        return SGD(_layers(learning), rate, momentum=MOMENTUM)
    if settings.optimizer.name == "sgd":
        return SGD(learning.values(), rate, momentum=MOMENTUM)
    kind = AdamW if settings.optimizer.name == "adamw" else Adam
    return kind(learning.values(), rate, fused=True)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate, of each group of parameters at its own pace."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(PACE, 1.0)


def _layers(learning: dict[str, nn.Parameter]) -> list[dict[str, Any]]:
    """Group parameters by pace and decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learning.items():
        *layers, kind = name.split(".")
        pace = 10.0 if "scores" in layers else 1.0
        key = (2 * pace, 0.0) if kind == "bias" else (pace, DECAY)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": params, PACE: pace, "weight_decay": decay}
        for (pace, decay), params in groups.items()
    ]
