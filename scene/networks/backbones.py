"""Backbones: encoders of images for the cVAE, and torchvision's networks with their weights."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import unknown
from ..views import Schema
from .encoders import Encoder

Weights = str
"""``none``, ``imagenet``, or the path of a state dict in safetensors or torch's format."""

BACKBONES = ("small", "vgg16")
"""Backbones of the cVAE, by name."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's channel means and standard deviations, by which torchvision's networks expect images
to be standardised."""


class Vgg16(nn.Module):
    """The convolutions of VGG-16, average-pooled to at most 7×7 cells and flattened.

    Args:
        size: Height and width of the images in pixels.
        weights: ``none``, ``imagenet`` or a path.

    Attributes:
        features: Length of the feature vector.

    Raises:
        ValueError: If the images are too small, or the weights are not of this network.
        LookupError: If there are no such weights.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to ``(B, features)``.

    Source:
        Simonyan & Zisserman (2015), Very Deep Convolutional Networks, configuration D.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: tuple[int, int], weights: Weights = "none") -> None:
        super().__init__()
        require_size_for("vgg16", size)
        self.convolutions = pretrained("vgg16", weights).features
        self.cells = (min(size[0] // 32, 7), min(size[1] // 32, 7))
        self.features = 512 * self.cells[0] * self.cells[1]
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the feature vectors of images, float32."""
        maps = self.convolutions((image - self.mean) / self.deviation)
        return F.adaptive_avg_pool2d(maps, self.cells).flatten(1).float()


def make_backbone(
    name: str, schema: Schema, width: int, weights: Weights = "none"
) -> Encoder | Vgg16:
    """Make the backbone called ``name``; its ``features`` is the length of its output.

    Args:
        name: One of `BACKBONES`.
        schema: Labels and image size.
        width: Channels of the first convolution of ``small``.
        weights: ``none``, ``imagenet`` or a path.

    Raises:
        LookupError: If there is no such backbone, or there are no such weights.
        ValueError: If weights are named for ``small``.
    """
    if name == "small":
        if weights != "none":
            raise ValueError("The small backbone is always trained from scratch: --weights none.")
        return Encoder(3, schema.size, width)
    if name == "vgg16":
        return Vgg16(schema.size, weights)
    raise LookupError(unknown(name, BACKBONES, "backbone") + ".")


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
        try:
            return make(weights=models.get_model_weights(name)["IMAGENET1K_V1"])
        except (OSError, RuntimeError) as error:  # the latter where the file is not the right one
            raise LookupError(
                f"ImageNet weights of {name} could not be downloaded ({error}); "
                "give --weights none, or the path of a state dict."
            ) from error
    net = make(weights=None)
    if weights != "none":
        load_weights(net, name, Path(weights))
    return net


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
