"""Decoders: networks from z, which may have a grid, to an image, a mask or a class vector."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import STRIDE, Norm, channels_last, coarsest_grid, convolution_block

_TINY = 1e-6


class Decoder(nn.Module):
    """Decode a vector as an image: a linear layer to the coarsest grid, then deconvolutions.

    Every deconvolution but the last is followed by batch normalisation, as in
    `scene.networks.encoders.Encoder`. Coarse layers are wide, since a shape is decided there and
    width is cheap there; fine ones are narrow.

    Args:
        inputs: Length of the vector.
        channels: Channels of the image; of a mask, the number of labels.
        size: Height and width of the image in pixels.
        width: Channels before the last deconvolution; they double at each coarser grid.
        grid_channels: Channels of a grid that is joined in halfway; 0 = there is no grid.
        cell: Height and width in pixels of a cell of that grid: 2, 4 or 8.
        hints: Channels of another picture of the same scene, which the last layers see; 0 = none.

    Shape:
        ``(..., inputs)``, and ``(..., grid_channels, rows, columns)``, and ``(..., hints, H, W)``,
        to ``(..., channels, H, W)``.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        size: tuple[int, int],
        width: int,
        grid_channels: int = 0,
        cell: int = 4,
        hints: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.coarse = size, (8 * width, *coarsest_grid(size))
        self.linear = nn.Linear(inputs, math.prod(self.coarse))
        layers: list[nn.Module] = [Norm(8 * width), nn.ReLU()]
        widths = (8 * width, 4 * width, 2 * width, width)
        for inner, outer in pairwise(widths):
            layers += [nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False)]
            layers += [Norm(outer), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 2, stride=2)]
        self.deconvolutions = channels_last(nn.Sequential(*layers))
        halvings = (STRIDE // cell).bit_length() - 1
        self.grid_at = 2 + 3 * halvings  # the layer before which the grid is joined in
        inner = widths[halvings]
        self.grid_input = (
            convolution_block(inner + grid_channels, inner) if grid_channels else None
        )
        self.hint_input = (
            channels_last(
                nn.Sequential(
                    nn.Conv2d(width + 4 * hints, width, 1, bias=False), Norm(width), nn.ReLU()
                )
            )
            if hints
            else None
        )

    def forward(
        self, vector: Tensor, grid: Tensor | None = None, hint: Tensor | None = None
    ) -> Tensor:
        """Return images, or logits of masks, float32."""
        coarse = self.linear(vector).reshape(-1, *self.coarse)
        x, start = coarse.contiguous(memory_format=torch.channels_last), 0
        if self.grid_input is not None and grid is not None:
            x, start = self.deconvolutions[: self.grid_at](x), self.grid_at
            flat = grid.reshape(-1, *grid.shape[-3:])
            x = self.grid_input(torch.cat([x, _padded(flat, x.shape[-2:])], dim=1))
        if self.hint_input is not None and hint is not None:
            x = self.deconvolutions[start:-1](x)
            whole = _padded(hint.reshape(-1, *hint.shape[-3:]), (2 * x.shape[-2], 2 * x.shape[-1]))
            x = self.hint_input(torch.cat([x, F.pixel_unshuffle(whole, 2)], dim=1))
            image: Tensor = self.deconvolutions[-1](x).float()
        else:
            image = self.deconvolutions[start:](x).float()
        image = image[..., : self.size[0], : self.size[1]]
        return image.reshape(*vector.shape[:-1], *image.shape[-3:])


def _padded(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad maps with zeros, below and on the right, to a size."""
    return F.pad(maps, (0, size[1] - maps.shape[-1], 0, size[0] - maps.shape[-2]))


class ClassDecoder(nn.Module):
    """Decode a vector as the log odds of each class, by two layers.

    Args:
        inputs: Length of the vector.
        hidden: Length of the hidden layer.
        classes: Number of classes.
        grid_channels: Channels of a grid, whose maxima over cells are a further input; 0 = there
            is no grid.
        hints: Channels of a picture of the same scene, whose maxima and means over pixels are a
            further input; 0 = none.

    Shape:
        ``(..., inputs)``, and ``(..., grid_channels, rows, columns)``, and ``(..., hints, H, W)``,
        to ``(..., classes)``.
    """

    def __init__(
        self, inputs: int, hidden: int, classes: int, grid_channels: int = 0, hints: int = 0
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs + (hidden if grid_channels else 0) + 2 * hints, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        self.grid_input = nn.Conv2d(grid_channels, hidden, 3, padding=1) if grid_channels else None

    def forward(
        self, vector: Tensor, grid: Tensor | None = None, hint: Tensor | None = None
    ) -> Tensor:
        """Return the log odds of each class, float32."""
        if self.grid_input is not None and grid is not None:
            maxima = self.grid_input(grid.reshape(-1, *grid.shape[-3:])).amax((-2, -1))
            vector = torch.cat([vector, maxima.reshape(*vector.shape[:-1], -1)], dim=-1)
        if hint is not None:
            seen = hint.mean((-2, -1)).clamp(min=_TINY)  # the slope of √ at 0 is no number
            shares = [hint.amax((-2, -1)), seen.sqrt()]
            vector = torch.cat([vector, *shares], dim=-1)
        logits: Tensor = self.layers(vector)
        return logits.float()
