"""Evaluation: every view from every others, by one protocol.

A prediction is the argmax of per-pixel probabilities averaged over seeded draws of z; masks are
scored at the pixels their images were stored with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.metrics import ClassScore, MaskScore, MaskScorer, class_score
from scene.seeds import seeded
from scene.views import VIEWS, Views

from ..build import Assembly
from .predict import able, predict, trained

DRAWS = 8
"""Draws of z that a prediction averages, unless told otherwise."""

MASKS = (("image",), ("image", "classes"), ("mask",), VIEWS)
"""What masks are predicted from."""

CLASSES = (("image",), ("mask",), ("image", "mask"))
"""What classes are predicted from."""


Guess = tuple[list[int], Views, Tensor]
"""The indices of some scenes, their views, and the probabilities predicted for them."""


@dataclass(frozen=True)
class Cell:
    """One direction of inference: a target, predicted given some views.

    Attributes:
        given: The views conditioned on.
        target: ``mask`` or ``classes``.
        trained: Whether a term of the objective trained the posterior given just these views.
        scenes: How many scenes were scored.
        score: The score; None where the model cannot go this way, or no scene could be scored.
        weak: Against how many scenes' pseudo-labels it was scored, for want of the truth.
    """

    given: tuple[str, ...]
    target: str
    trained: bool
    scenes: int
    score: MaskScore | ClassScore | None
    weak: int = 0

    @property
    def source(self) -> str:
        """The views conditioned on, as ``image + classes``."""
        return "all" if len(self.given) == len(VIEWS) else " + ".join(self.given)

    @property
    def title(self) -> str:
        """The direction, as ``image + classes → mask``."""
        return f"{self.source} → {self.target}"

    def to_json(self) -> dict[str, Any]:
        """Give plain data; what is not a number is None."""
        known = asdict(self, dict_factory=_known)
        return {**known, "title": self.title}


def evaluate(
    assembly: Assembly,
    dataset: SceneDataset,
    *,
    draws: int = DRAWS,
    at_mean: bool = False,
    seed: int = 0,
    batch_size: int = 50,
    directions: tuple[tuple[tuple[str, ...], str], ...] | None = None,
    watch: Callable[[str], None] = lambda title: None,
) -> list[Cell]:
    """Score every direction of inference.

    Args:
        assembly: Model and guide.
        dataset: The scenes to score on; those that lack a view a direction needs are left out.
        draws: Draws of z that each prediction averages.
        at_mean: Use the posterior's mean in place of draws.
        seed: Of the draws.
        batch_size: Scenes at once.
        directions: Pairs of views given and target; by default `MASKS` and `CLASSES`.
        watch: Told the title of each direction before it is scored.

    Raises:
        ValueError: If there is no scene, or not one draw.
    """
    if not len(dataset):
        raise ValueError(f"The split {dataset.split!r} of {dataset.name} is empty.")
    if draws < 1:
        raise ValueError(f"A prediction averages 1 draw or more, not {draws}.")
    assembly.model.eval()
    assembly.guide.eval()
    asked = directions or tuple((g, "mask") for g in MASKS) + tuple(
        (g, "classes") for g in CLASSES
    )
    ask = partial(predict, assembly, draws=draws, at_mean=at_mean)
    cells = []
    for given, target in asked:
        cell = Cell(given, target, trained(assembly, given), 0, None)
        if able(assembly, given, target):
            watch(cell.title)
            complete = _complete(dataset, {*given, target}, batch_size, assembly.device)
            guesses = ((i, v, ask(v.only(given), [target]).views[target]) for i, v in complete)
            with seeded(seed, assembly.device):
                if target == "mask":
                    cell = replace(cell, **_masks(dataset, guesses))
                else:
                    cell = replace(cell, **_classes(dataset, guesses, assembly.model.threshold))
        cells.append(cell)
    return cells


def _known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Put None for NaN, which JSON does not know."""
    return {name: None if value != value else value for name, value in pairs}


def _masks(dataset: SceneDataset, guesses: Iterable[Guess]) -> dict[str, Any]:
    scorer, count, weak = MaskScorer(dataset.schema.labels), 0, 0
    for indices, _, guess in guesses:
        for index, probs in zip(indices, guess.cpu(), strict=True):
            scorer.add(*_restored(dataset, index, probs))
        count += len(indices)
        weak += sum("mask" in dataset[index].weak for index in indices if dataset.weak)
    return {"scenes": count, "score": scorer.score() if count else None, "weak": weak}


def _restored(dataset: SceneDataset, index: int, probs: Tensor) -> tuple[Tensor, Tensor]:
    """Put a prediction back to the stored pixels: labels and truth of those it covers."""
    true = dataset.original(index).mask
    assert true is not None
    restored, covered = dataset.restore(probs, index)
    return restored.argmax(0)[covered], true[covered]


def _classes(dataset: SceneDataset, guesses: Iterable[Guess], threshold: float) -> dict[str, Any]:
    probs, true, weak = [], [], 0
    for indices, views, guess in guesses:
        probs.append(guess.cpu())
        true.append(views["classes"].cpu())
        weak += sum("classes" in dataset[index].weak for index in indices if dataset.weak)
    if not true:
        return {}
    score = class_score(dataset.schema.labels, torch.cat(probs), torch.cat(true), threshold)
    return {"scenes": sum(map(len, true)), "score": score, "weak": weak}


def _complete(
    dataset: SceneDataset, needed: Collection[str], batch_size: int, device: torch.device
) -> Iterator[tuple[list[int], Views]]:
    """Give the scenes that have every view needed, with their indices, in batches."""
    for first in range(0, len(dataset), batch_size):
        rows = torch.arange(first, min(len(dataset), first + batch_size))
        views = dataset.views(rows.tolist())
        having = views.having(needed)
        if having.any():
            yield rows[having].tolist(), views.rows(having).to(device)
