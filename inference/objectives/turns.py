"""Turns: which of an objective's terms each scene works on, where chance is to choose one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scene.views import Views

Subset = tuple[str, ...]
"""Views that a posterior is given."""

Turns = Literal["all", "step", "scene"]
"""Every term works on every scene; or one is drawn for a step; or one for each scene."""


@dataclass(frozen=True)
class Share:
    """The scenes of a batch that one term works on.

    Attributes:
        rows: Which they are, ``(N,)`` int64.
        counts: What each counts in the term's mean, ``(N,)``: of how many terms it drew this one.
    """

    rows: Tensor
    counts: Tensor


def deal(views: Views, sets: Sequence[Subset]) -> list[Share]:
    """Draw for each scene one of the sets of views that it has: as evenly as can be.

    Returns:
        A share for each set; a scene that has none of them is in no share.

    >>> two = Views({"image": torch.zeros(2, 3, 16, 16), "mask": torch.zeros(2, 16, 16)})
    >>> [len(share.rows) for share in deal(two, [("image",), ("mask",)])]
    [1, 1]
    """
    able = torch.stack([views.having(given) for given in sets], dim=1).cpu()
    drawn = torch.full((len(views),), -1)
    for pattern in able.unique(dim=0):
        choices = pattern.nonzero().squeeze(1)
        if len(choices):
            alike = (able == pattern).all(1).nonzero().squeeze(1)
            turns = torch.randint(len(choices), ()) + torch.arange(len(alike))
            drawn[alike[torch.randperm(len(alike))]] = choices[turns % len(choices)]
    found = [(drawn == place).nonzero().squeeze(1) for place in range(len(sets))]
    counts = able.sum(1).float()
    return [Share(rows.to(views.device), counts[rows].to(views.device)) for rows in found]
