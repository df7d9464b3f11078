"""Grad-CAM: where in an image a classifier saw each class, all classes of a batch at once.

The weight of feature map k for class c is the mean over its cells of ∂y_c/∂A_k, y before the
sigmoid; the map of c is ReLU(Σ_k α_k^c A_k). One forward pass finds A; the weights of all C
classes then come from the head alone: in closed form where it is pooling and linear layers, else
by one batched backward pass.

Source:
    Selvaraju et al. (2017), Grad-CAM, https://arxiv.org/abs/1610.02391
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scene.networks.feature_maps import Classifier

from ..settings.cues import LARGEST_SCALE


def guided_cams(model: Classifier, images: Tensor, layer: str | None = None) -> Tensor:
    """Map every class at every value of every image.

    Args:
        model: The classifier; it is looked at in evaluation mode.
        images: ``(B, 3, H, W)`` in [0, 1].
        layer: The layer of the class maps; by default the one usually looked at.

    Returns:
        ``(B, C, 3, H, W)``, of either sign: the guided gradient times the class map.
    """
    maps = resized(cams(model, images, layer), (images.shape[-2], images.shape[-1]))
    return guided_gradients(model, images) * maps[:, :, None]


def guided_gradients(model: Classifier, images: Tensor) -> Tensor:
    """Return the gradient of each class by the image, where ReLUs let only positive ones back.

    Returns:
        ``(B, C, 3, H, W)``.
    """
    with evaluating(model), _only_positive(model), torch.enable_grad():
        seen = images.detach().requires_grad_()
        logits = model(seen)
        gradients = [
            torch.autograd.grad(logits[:, c].sum(), seen, retain_graph=True)[0]
            for c in range(logits.shape[1])
        ]
    return torch.stack(gradients, dim=1)


@contextmanager
def _only_positive(model: nn.Module) -> Iterator[None]:
    """Let every ReLU hand back only what is positive, for a while."""

    def keep(module: nn.Module, into: Any, out: Any) -> Any:
        return tuple(gradient.clamp(min=0) for gradient in into)

    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    hooks = [relu.register_full_backward_hook(keep) for relu in relus]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


Method = Literal["auto", "closed", "batched"]


def cams(
    model: Classifier,
    images: Tensor,
    layer: str | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    method: Method = "auto",
) -> Tensor:
    """Map every class of every image, after the ReLU and before any normalisation.

    Args:
        model: The classifier; it is looked at in evaluation mode.
        images: ``(B, 3, H, W)`` in [0, 1].
        layer: One of the classifier's layers; by default the one usually looked at. Several,
            joined by ``+``, give the mean of their maps, each divided by its maximum.
        scales: Sizes at which images are looked at, as multiples of their own; maps are
            averaged on the grid of the largest.
        flip: Average the maps with those of the mirrored images.
        method: ``closed``, ``batched``, or ``auto``: the former where the head allows.

    Returns:
        ``(B, C, h, w)``, zero or more.

    Raises:
        LookupError: If there is no such layer.
        ValueError: If there is no scale, or no closed form of the head that follows the layer.
    """
    if not scales or not 0 < min(scales) <= max(scales) <= LARGEST_SCALE:
        raise ValueError(
            f"Maps need one scale or more, all above 0 and at most {LARGEST_SCALE}, not "
            f"{tuple(scales)}."
        )
    all_maps: list[Tensor] = []
    if layer and "+" in layer:
        for name in layer.split("+"):
            all_maps.append(normalised(cams(model, images, name, scales, flip, method)))
        return _averaged(sorted(all_maps, key=lambda maps: -maps[0, 0].numel()))
    with evaluating(model):
        for scale in sorted(scales, reverse=True):
            seen = images if scale == 1 else _scaled(images, scale)
            all_maps.append(_maps(model, seen, layer, method))
            if flip:
                all_maps.append(_maps(model, seen.flip(-1), layer, method).flip(-1))
    return _averaged(all_maps)


def class_maps(
    model: Classifier, maps: Tensor, layer: str | None = None, method: Method = "auto"
) -> Tensor:
    """Weigh the maps of a layer, ``(B, K, h, w)``, into one of every class, ``(B, C, h, w)``.

    What `cams` does at one scale; the same maps then give ``model.head`` its logits.
    """
    alpha = weights(model, maps, layer, method)
    return torch.einsum("bck,bkhw->bchw", alpha, maps).relu().float()


def weights(
    model: Classifier, maps: Tensor, layer: str | None = None, method: Method = "auto"
) -> Tensor:
    """Weigh the maps of a layer for every class: α, the mean over cells of ∂y_c/∂A_k.

    Args:
        model: The classifier, in evaluation mode.
        maps: A, ``(B, K, h, w)``, of that layer.
        layer: The layer.
        method: As in `cams`.

    Returns:
        ``(B, C, K)``.
    """
    head = None if len(model.after(layer)) else _layered(model.judge)
    if method == "closed" and head is None:
        raise ValueError(
            f"The layers after {layer or model.layer} are not only pooling and linear, so "
            "Grad-CAM has no closed form; use method='batched'."
        )
    if head is not None and method != "batched":
        return _closed(head, maps)
    return _batched(model, maps, layer)


def normalised(maps: Tensor) -> Tensor:
    """Divide each map ``(..., h, w)`` by its maximum; one that is zero all over stays so.

    >>> normalised(torch.tensor([[[0.0, 2.0]], [[0.0, 0.0]]]))
    tensor([[[0., 1.]],
    <BLANKLINE>
            [[0., 0.]]])
    """
    top = maps.amax((-2, -1), keepdim=True)
    return torch.where(top > 0, maps / torch.where(top > 0, top, 1), 0)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps bilinearly: ``(B, C, h, w)`` to ``(B, C, *size)``."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _averaged(maps_of_scales: Sequence[Tensor]) -> Tensor:
    """Average maps on the grid of the first."""
    grid = maps_of_scales[0].shape[-2:]
    return torch.stack([resized(maps, (grid[0], grid[1])) for maps in maps_of_scales]).mean(0)


def _maps(model: Classifier, images: Tensor, layer: str | None, method: Method) -> Tensor:
    with torch.no_grad():
        maps = model.maps(images, layer)
    return class_maps(model, maps, layer, method)


def _scaled(images: Tensor, scale: float) -> Tensor:
    height, width = (max(1, round(scale * extent)) for extent in images.shape[-2:])
    return F.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=scale < 1
    )


def _batched(model: Classifier, maps: Tensor, layer: str | None) -> Tensor:
    """Weigh by one backward pass through the head, with a leading dimension of classes."""
    with torch.enable_grad():
        seen = maps.detach().requires_grad_()
        logits = model.head(seen, layer)
        count = logits.shape[-1]
        each = torch.eye(count, dtype=logits.dtype, device=maps.device)
        each = each[:, None].expand(count, len(maps), count)  # class c of every image at once
        (gradients,) = torch.autograd.grad(logits, seen, each, is_grads_batched=True)
    return gradients.mean((-2, -1)).transpose(0, 1)


@dataclass(frozen=True)
class _Layered:
    """A head that is pooling, then linear layers, some with a ReLU behind them."""

    pools: tuple[nn.Module, ...]
    linear: tuple[nn.Linear, ...]
    rectified: tuple[bool, ...]


def _layered(judge: nn.Sequential) -> _Layered | None:
    """Read a head in evaluation mode as such, or as none."""
    pools: list[nn.Module] = []
    linear: list[nn.Linear] = []
    rectified: list[bool] = []
    for layer in judge:
        if isinstance(layer, nn.Linear):
            linear.append(layer)
            rectified.append(False)
        elif isinstance(layer, nn.ReLU) and linear:
            rectified[-1] = True
        elif isinstance(layer, nn.MaxPool2d | nn.AdaptiveAvgPool2d) and not linear:
            pools.append(layer)
        elif not isinstance(layer, nn.Flatten | nn.Dropout):
            return None
    plain = bool(linear) and not rectified[-1]
    return _Layered(tuple(pools), tuple(linear), tuple(rectified)) if plain else None


@torch.no_grad()
def _closed(head: _Layered, maps: Tensor) -> Tensor:
    """Weigh by following the chain rule through pooling and linear layers by hand.

    Either pooling hands all of the gradient of a pooled cell on to the cells it covers. So the
    sum over cells of ∂y/∂A_k is that of ∂y/∂(pooled A_k), for which the first linear layer's
    weights summed over pooled cells suffice.
    """
    hidden = maps
    for pool in head.pools:
        hidden = pool(hidden)
    hidden, gates = hidden.flatten(1), []
    for layer, rectified in zip(head.linear[:-1], head.rectified, strict=False):
        hidden = layer(hidden)
        gates.append((hidden > 0).to(hidden.dtype) if rectified else torch.ones_like(hidden))
        hidden = hidden * gates[-1]
    first = head.linear[0].weight
    linear = [first.unflatten(1, (maps.shape[1], -1)).sum(-1)]
    linear += [layer.weight for layer in head.linear[1:]]
    along: Tensor = linear.pop().expand(len(maps), -1, -1)  # (B, C, what the last layer reads)
    while linear:
        along = (along * gates.pop()[:, None]) @ linear.pop()
    return along / maps[0, 0].numel()
