"""The vocabulary of a dataset: names, ids and colours of its labels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .registry import unknown

VOID = 255
"""The label of a pixel whose class is unknown; it is never scored."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Labels:
    """The labels of a mask, in the order of their ids.

    There is a background only if a label has that name, see `is_background`. The class vector of
    a scene has an entry for every label but background, in the order of `classes`.

    Args:
        names: One name per label id, from 0.
        colours: One RGB colour per label, each part from 0 to 255; empty = the VOC colour map.

    Raises:
        ValueError: If there are no labels, more than 255, or two of the same name; or if colours
            are invalid or not one per label.

    >>> Labels(("background", "cat", "dog")).classes
    ('cat', 'dog')
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.names) <= VOID:
            raise ValueError(f"A dataset has 1 to {VOID} labels, not {len(self.names)}.")
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise ValueError(f"The label {twice[0]!r} is listed twice; names must differ.")
        if not self.colours:
            object.__setattr__(self, "colours", voc_colours(len(self.names)))
        if len(self.colours) != len(self.names):
            raise ValueError(
                f"{len(self.names)} labels have as many colours, not {len(self.colours)}."
            )
        for name, colour in zip(self.names, self.colours, strict=True):
            if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
                raise ValueError(
                    f"The label {name!r} cannot have the colour {colour}; give red, green and "
                    "blue, each from 0 to 255."
                )

    @property
    def background(self) -> int | None:
        """The id of the first label that is background, if there is one."""
        return next((i for i, name in enumerate(self.names) if is_background(name)), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the entries of a class vector: every label but background."""
        return tuple(self.names[i] for i in self.ids)

    @property
    def ids(self) -> tuple[int, ...]:
        """The label id of each entry of the class vector."""
        background = self.background
        return tuple(i for i in range(len(self.names)) if i != background)

    def vector(self, masks: Tensor, least: float = 0.0) -> Tensor:
        """Return the class vector of each mask.

        Args:
            masks: Label ids, ``(..., H, W)``, integer; 255 is void.
            least: The smallest share of the pixels that counts; 0 = one pixel.

        Returns:
            ``(..., C)`` floats, 1 where the class has that many pixels.

        >>> Labels(("background", "cat", "dog")).vector(torch.tensor([[0, 2], [255, 2]]))
        tensor([0., 1.])
        """
        pixels = masks.flatten(-2)
        fewest = max(1, math.ceil(least * pixels.shape[-1] - 1e-6))  # 0.07 × 100 is above 7
        owned = torch.stack([(pixels == i).sum(-1) for i in self.ids], dim=-1)
        return (owned >= fewest).float()

    def require(self, other: Labels, dataset: str) -> None:
        """Refuse the labels of a dataset that are not these, in this order; colours may differ.

        Raises:
            ValueError: If they are not.
        """
        if self.names != other.names:
            raise ValueError(
                f"This model was trained on other labels than those of {dataset}; give it data "
                "with its own labels, in the same order."
            )

    def encode(self, classes: Iterable[str]) -> Tensor:
        """Return the class vector of class names.

        Returns:
            ``(C,)`` floats, 1 for each class named.

        Raises:
            LookupError: If a name is not a class; the message suggests the nearest.
        """
        vector = torch.zeros(len(self.classes))
        for name in classes:
            if name not in self.classes:
                raise LookupError(unknown(name, self.classes, "class") + ".")
            vector[self.classes.index(name)] = 1.0
        return vector

    def decode(self, vector: Tensor) -> tuple[str, ...]:
        """Return the names of the classes whose entry of ``vector`` ``(C,)`` is at least 0.5."""
        return tuple(n for n, p in zip(self.classes, vector.tolist(), strict=True) if p >= 0.5)

    @property
    def palette(self) -> np.ndarray:
        """The 256 RGB colours, ``(256, 3)`` uint8, of a palette PNG with these labels."""
        table = np.array(voc_colours(256), dtype=np.uint8)
        table[: len(self.colours)] = np.array(self.colours, dtype=np.uint8)
        return table


def is_background(name: str) -> bool:
    """Return whether a label's name is background, in any case and with any underscores.

    >>> [is_background(name) for name in ("background", "_background_", "BACKGROUND", "ground")]
    [True, True, True, False]
    """
    return name.strip("_ ").lower() == "background"


def voc_colours(count: int) -> tuple[Colour, ...]:
    """Return the first ``count`` colours of PASCAL VOC's colour map.

    Source:
        The VOC 2012 development kit, ``VOClabelcolormap``: bits of the id, spread over RGB.

    >>> voc_colours(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    """
    colours = []
    for label in range(count):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= ((label >> (3 * bit + channel)) & 1) << (7 - bit)
        colours.append((rgb[0], rgb[1], rgb[2]))
    return tuple(colours)
