"""Dilation: finer maps of a convolutional network, with the same weights.

Where a layer would make maps coarser than wanted, its stride becomes 1, and the kernels of all
layers after it are dilated instead, so that they meet the same inputs as before. Every n-th cell
of the finer maps then equals a cell of the coarse ones, unless a layer looks at all cells at once.

Source:
    Chen et al. (2015), Semantic Image Segmentation with Deep Convolutional Nets and Fully
    Connected CRFs, https://arxiv.org/abs/1412.7062, section 3.1 (the hole algorithm)
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROBE = 256
"""Side, in pixels, of the image by which strides are measured."""

Layer = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
"""What has a stride."""

Pair = tuple[int, int]
"""One number for rows and one for columns."""


def dilate(net: nn.Module, stride: int) -> None:
    """Make the maps of a network no coarser than a stride, in place; names of weights stay.

    Args:
        net: Images, ``(B, 3, H, W)``, in; maps, ``(B, C, h, w)``, out.
        stride: Pixels of the image, along each side, that a cell of the maps may cover.

    Raises:
        ValueError: If layers of another kind than convolutions and pools make them coarser.
    """
    inputs, output = _strides(net)
    if max(output) <= stride:
        return
    for layer, before in inputs.items():
        _adapt(net, layer, before, stride)
    if max(_strides(net)[1]) > stride:
        raise ValueError(f"The maps are coarser than {stride} pixels, whatever its convolutions.")


@torch.no_grad()
def _strides(net: nn.Module) -> tuple[dict[Layer, Pair], Pair]:
    """Return the stride of each layer's input, in order of execution, and that of the maps."""
    inputs: dict[Layer, Pair] = {}

    def note(layer: Any, args: tuple[Tensor, ...]) -> None:
        inputs.setdefault(layer, _stride(args[0]))

    hooks = [
        layer.register_forward_pre_hook(note)
        for layer in net.modules()
        if isinstance(layer, Layer)
    ]
    modes = {module: module.training for module in net.modules()}
    try:
        maps = net.eval()(torch.zeros(1, 3, PROBE, PROBE))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return inputs, _stride(maps)


def _stride(maps: Tensor) -> Pair:
    """Return the stride of maps: a power of two, since unpadded layers lose cells at borders."""
    rows, columns = (2 ** max(0, round(math.log2(PROBE / n))) for n in maps.shape[-2:])
    return rows, columns


def _adapt(net: nn.Module, layer: Layer, before: Pair, stride: int) -> None:
    """Change one layer, whose input had the stride ``before`` and now has at most ``stride``."""
    holes = _both(max(1, n // stride) for n in before)
    steps = _both(
        max(1, stride // n) if n * step > stride else step
        for n, step in zip(before, _pair(layer.stride), strict=True)
    )
    kernel = _pair(layer.kernel_size)
    if steps == _pair(layer.stride) and (holes == (1, 1) or kernel == (1, 1)):
        return
    if isinstance(layer, nn.AvgPool2d):
        _replace(net, layer, _AveragePool(kernel, steps, holes, _pair(layer.padding)))
        return
    layer.stride = steps
    layer.dilation = dilation = _times(_pair(layer.dilation), holes)
    if type(layer).__name__.endswith("Same") or isinstance(layer.padding, str):
        return  # timm's layers that pad as their kernel needs
    top, left = padding = _times(_pair(layer.padding), holes)
    bottom, right = (
        max(0, d * (k - 1) + 1 - 2 * p - s)  # or an even kernel would lose a row and a column
        for d, k, p, s in zip(dilation, kernel, padding, steps, strict=True)
    )
    if isinstance(layer, nn.MaxPool2d):  # which refuses more padding than half of its kernel
        layer.padding = 0
        borders, value = (left, right + left, top, bottom + top), -math.inf
    else:
        layer.padding = padding
        borders, value = (0, right, 0, bottom), 0.0
    if any(borders):
        layer.register_forward_pre_hook(partial(_padded, borders=borders, value=value))


def _padded(_: nn.Module, args: tuple[Tensor], borders: tuple[int, ...], value: float) -> Tensor:
    return F.pad(args[0], borders, value=value)


class _AveragePool(nn.Module):
    """Average pooling with a dilated kernel; torch's cannot be dilated. It keeps the size."""

    def __init__(self, kernel: Pair, steps: Pair, holes: Pair, padding: Pair) -> None:
        super().__init__()
        self.kernel, self.steps, self.holes = kernel, steps, holes
        top, left = _times(padding, holes)
        bottom, right = (
            h * (k - 1) - p for h, k, p in zip(holes, kernel, (top, left), strict=True)
        )
        self.borders = (left, right, top, bottom)

    def forward(self, maps: Tensor) -> Tensor:
        mean = self._sum(maps) / self._sum(torch.ones_like(maps[:1, :1]))
        return mean[..., :: self.steps[0], :: self.steps[1]]

    def _sum(self, maps: Tensor) -> Tensor:
        """Add the cells under the kernel; there are fewer at borders."""
        rows, columns = maps.shape[-2:]
        padded = F.pad(maps, self.borders)
        shifted = [
            padded[..., i * self.holes[0] :, j * self.holes[1] :][..., :rows, :columns]
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]
        total: Tensor = sum(shifted[1:], start=shifted[0])
        return total


def _replace(net: nn.Module, layer: nn.Module, other: nn.Module) -> None:
    """Replace a layer without weights wherever the network uses it."""
    places = [name for name, one in net.named_modules(remove_duplicate=False) if one is layer]
    for place in places:
        parent, _, name = place.rpartition(".")
        setattr(net.get_submodule(parent), name, other)


def _pair(number: Any) -> Pair:
    return (number[0], number[-1]) if isinstance(number, tuple) else (number, number)


def _both(numbers: Any) -> Pair:
    rows, columns = numbers
    return rows, columns


def _times(one: Pair, other: Pair) -> Pair:
    return one[0] * other[0], one[1] * other[1]
