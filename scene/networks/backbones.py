"""Backbones: torchvision's networks with their weights, and state dicts from files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import nn

Weights = str
"""``none``, ``imagenet``, or the path of a state dict in safetensors or torch's format."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's channel means and standard deviations, by which torchvision's networks expect images
to be standardised."""


def require_small(weights: Weights, tuned_stages: int | None = None) -> None:
    """Refuse what a backbone that is called ``small`` cannot have.

    Raises:
        ValueError: If weights are named, or a number of stages that learn.
    """
    if weights != "none":
        raise ValueError("The small backbone is always trained from scratch: --weights none.")
    if tuned_stages is not None:
        raise ValueError("The small backbone learns as a whole; leave --tuned-stages out.")


def require_size_for(name: str, size: tuple[int, int]) -> None:
    """Refuse images too small for a network that halves the resolution five times.

    Raises:
        ValueError: If they are less than 32 pixels high or wide.
    """
    if min(size) < 32:
        raise ValueError(f"{name} needs images of 32×32 or more, not {size[0]}×{size[1]}.")


def pretrained(name: str, weights: Weights = "none") -> Any:
    """Make one of torchvision's networks, and load its weights.

    Args:
        name: A network of `torchvision.models`, such as ``vgg16`` or ``resnet50``.
        weights: ``none``, ``imagenet``, or the path of a state dict in safetensors or torch's
            format.

    Raises:
        LookupError: If there are no such weights.
        ValueError: If they are not of this network.
    """
    from torchvision import models

    make = getattr(models, name)
    if weights == "imagenet":
        known = models.get_model_weights(name)
        try:
            return make(weights=known["IMAGENET1K_V1" if name in FIRST else "DEFAULT"])
        except (OSError, RuntimeError) as error:  # the latter where the file is not the right one
            raise LookupError(
                f"ImageNet weights of {name} could not be downloaded ({error}); "
                "give --weights none, or the path of a state dict."
            ) from error
    net = make(weights=None, **({"init_weights": True} if name in _ASKING else {}))
    if weights != "none":
        load_weights(net, name, Path(weights))
    return net


FIRST = ("vgg16", "resnet50")
"""Networks whose ImageNet weights are the first that torchvision had; others take its latest."""

_ASKING = ("googlenet", "inception_v3")
"""Networks that warn unless they are told how to begin."""


def load_weights(net: nn.Module, name: str, path: Path) -> None:
    """Load a state dict in safetensors or torch's format; no code in it is run.

    Args:
        net: The network.
        name: What it is called in messages.
        path: The file.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it does not hold the weights of this network.
    """
    if not path.is_file():
        raise LookupError(f"There are no weights at {path}; name none, imagenet or a file.")
    try:
        net.load_state_dict(_state(path))
    except (RuntimeError, TypeError, ValueError) as error:
        last = str(error).splitlines()[-1]  # the first only says that there are some
        reason = textwrap.shorten(last, 300, placeholder=" and more.")
        raise ValueError(f"{path} does not hold the weights of {name}: {reason}") from error


def _state(path: Path) -> Any:
    """Read a state dict in safetensors or torch's format; no code in it is run."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as damaged:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # whatever a file that is neither happens to spell
            raise ValueError(f"it is no state dict, or damaged: {damaged}.") from damaged
