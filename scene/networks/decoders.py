"""Decoders: networks from z, which may have a grid, to an image, a mask or a class vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import STRIDE, Norm, channels_last, coarsest_grid, convolution_block

_ONE = math.log(math.e - 1)
"""What softplus makes 1 of."""


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


class ClassesOfMask(nn.Module):
    """Decode the logits of a mask as the log odds of each class: those that the mask shows.

    The log odds of a class are its label's logit less the largest of the other labels', at the
    pixel where that is most, times a learned positive factor. So a class is more probable than not
    exactly if it is the most probable label of some pixel.

    Args:
        ids: The label id of each class.

    Shape:
        ``(..., labels, H, W)`` to ``(..., classes)``.

    Source:
        The maximum over pixels: Pinheiro & Collobert (2015), From Image-level to Pixel-level
        Labeling with Convolutional Networks, section 3, https://arxiv.org/abs/1411.6228
    """

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__()
        self.ids = tuple(ids)
        self.raw_factor = nn.Parameter(torch.full((len(self.ids),), _ONE))

    def forward(self, logits: Tensor) -> Tensor:
        """Return the log odds of each class, float32."""
        flat = logits.flatten(-2).float()  # (..., labels, pixels)
        with torch.no_grad():
            best = self._margins(flat).argmax(-1)  # (..., classes)
        each = best.unsqueeze(-2).expand(*flat.shape[:-1], len(self.ids))
        at_best = flat.gather(-1, each)  # (..., labels, classes)
        own = torch.stack([at_best[..., i, c] for c, i in enumerate(self.ids)], dim=-1)
        mine = F.one_hot(torch.tensor(self.ids), flat.shape[-2]).T.bool().to(flat.device)
        others = at_best.masked_fill(mine, -torch.inf).amax(-2)
        return (own - others) * F.softplus(self.raw_factor)

    def _margins(self, flat: Tensor) -> Tensor:
        """Return each class's logit less the largest other one: ``(..., classes, pixels)``."""
        first, winner = flat.max(-2, keepdim=True)
        second = flat.scatter(-2, winner, -torch.inf).amax(-2, keepdim=True)
        ids = torch.tensor(self.ids, device=flat.device)[:, None]
        return flat[..., self.ids, :] - torch.where(winner == ids, second, first)


class ClassDecoder(nn.Module):
    """Decode a vector as the log odds of each class, by two layers.

    Args:
        inputs: Length of the vector.
        hidden: Length of the hidden layer.
        classes: Number of classes.
        grid_channels: Channels of a grid, whose maxima over cells are a further input; 0 = there
            is no grid.

    Shape:
        ``(..., inputs)``, and ``(..., grid_channels, rows, columns)``, to ``(..., classes)``.
    """

    def __init__(self, inputs: int, hidden: int, classes: int, grid_channels: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs + (hidden if grid_channels else 0), hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        self.grid_input = nn.Conv2d(grid_channels, hidden, 3, padding=1) if grid_channels else None

    def forward(self, vector: Tensor, grid: Tensor | None = None) -> Tensor:
        """Return the log odds of each class, float32."""
        if self.grid_input is not None and grid is not None:
            maxima = self.grid_input(grid.reshape(-1, *grid.shape[-3:])).amax((-2, -1))
            vector = torch.cat([vector, maxima.reshape(*vector.shape[:-1], -1)], dim=-1)
        logits: Tensor = self.layers(vector)
        return logits.float()
