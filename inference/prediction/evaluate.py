"""Evaluation: every view from every others, by one protocol, and log-likelihoods.

A prediction is the argmax of per-pixel probabilities averaged over seeded draws of z; masks are
scored at the pixels their images were stored with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.labels import Labels
from scene.metrics import ClassScore, MaskScore, MaskScorer, class_score
from scene.seeds import seeded
from scene.storage.files import replace_file
from scene.views import VIEWS, Views

from ..build import Assembly
from ..objectives.bounds import iwae
from ..objectives.importance_weights import evidence
from .predict import DRAWS as DRAWS
from .predict import able, predict, trained

_TOGETHER = 512  # decoded scenes at once


def log_likelihood(assembly: Assembly, views: Views, particles: int = 64) -> Tensor:
    """Estimate log p(views), or log p(views | conditions), of each scene.

    The estimate is the importance-weighted bound with draws from q(z | views): never above the
    truth on average, and exact as K grows. A model without z needs no draws: it is exact. A view
    that a scene lacks is integrated out.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: B scenes; what the model explains of them is scored.
        particles: K, the draws for each scene.

    Returns:
        ``(B,)`` in nats, on the CPU.

    Raises:
        ValueError: If there is no posterior given these views, nothing to score, or no particle.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8.
    """
    if particles < 1:
        raise ValueError(f"An estimate needs 1 particle or more, not {particles}.")
    model = assembly.model
    if missing := [name for name in model.conditions if name not in views]:
        raise ValueError(f"This model conditions on the {missing[0]}; add it to the views.")
    if not set(views.names) & set(model.views):
        raise ValueError(
            f"This model explains {', '.join(model.views)}, but none of them is among the views."
        )
    draws = particles if model.latent else 1
    seen = _read(assembly, views)
    step = max(1, _TOGETHER // draws)
    parts = []
    with torch.no_grad():
        for rows in torch.arange(len(views)).split(step):
            part = views.rows(rows.to(views.device)).to(assembly.device)
            guide = partial(_draw, assembly, part, part.only(seen))
            weights = evidence(partial(model, part), guide, particles=draws).log_weights()
            parts.append(iwae(weights).cpu())
    return torch.cat(parts)


def _read(assembly: Assembly, views: Views) -> tuple[str, ...]:
    """Choose the views that q reads: all that the guide can."""
    guide, conditions = assembly.guide, assembly.model.conditions
    if not assembly.model.latent or not set(views.names) - set(conditions):
        return views.names
    seen = tuple(name for name in views.names if name in guide.views)
    guide.require(seen)
    return seen


def _draw(assembly: Assembly, views: Views, seen: Views) -> Tensor | None:
    """Run the guide; the prior where only the model's conditions are held; nothing without z."""
    if not assembly.model.latent:
        return None
    if set(views.names) - set(assembly.model.conditions):
        z: Tensor = assembly.guide(seen)
        return z
    with pyro.plate("scenes", len(views), dim=-1):
        return pyro.sample("z", assembly.model.prior(views))  # type: ignore[no-any-return]


MASKS = (("image",), ("image", "classes"), ("mask",), VIEWS)
"""What masks are predicted from."""

CLASSES = (("image",), ("mask",), ("image", "mask"))
"""What classes are predicted from."""

EVERY = (*((given, "mask") for given in MASKS), *((given, "classes") for given in CLASSES))
"""Every direction of inference: views given, and target."""

Guess = tuple[list[int], Views, Tensor]
"""The indices of some scenes, their views, and the probabilities predicted for them."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model on one split, by direction of inference.

    Attributes:
        cells: One for each direction, in order.
        data: The name of the dataset.
        split: Its split.
        scenes: Number of scenes of the split.
        labels: The vocabulary.
        draws: Draws of z that each prediction averaged; None = it was taken at the mean.
    """

    cells: tuple[Cell, ...]
    data: str
    split: str
    scenes: int
    labels: Labels
    draws: int | None

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def cell(self, given: str | Collection[str], target: str = "mask") -> Cell:
        """Find the score of one direction, such as ``cell("image")`` or ``cell("all")``.

        Raises:
            LookupError: If it was not scored; the message lists those that were.
        """
        names = {given} if isinstance(given, str) else set(given)
        names = set(VIEWS) if names == {"all"} else names
        for cell in self.cells:
            if set(cell.given) == names and cell.target == target:
                return cell
        listed = "; ".join(cell.title for cell in self.cells)
        raise LookupError(f"{' + '.join(sorted(names))} → {target} was not scored; {listed} were.")

    def numpy(self) -> dict[str, np.ndarray]:
        """Return the headline score of each direction by title, in percent; NaN = not scored."""
        return {cell.title: np.array(_headline(cell)) for cell in self.cells}

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "data": self.data,
            "split": self.split,
            "scenes": self.scenes,
            "draws": self.draws,
            "cells": [cell.to_json() for cell in self.cells],
        }

    def save(self, path: str | Path, *, force: bool = False) -> list[Path]:
        """Write the scores as ``.json``, or a bar chart of them as ``.png``.

        Raises:
            FileExistsError: If it exists, and ``force`` does not allow replacing it.
            ValueError: If the suffix is another.
        """
        place = Path(path)
        if place.suffix.lower() not in (".json", ".png"):
            raise ValueError(f"Scores are kept as {place.stem}.json or .png, not as {place.name}.")
        if place.exists() and not force:
            raise FileExistsError(f"{place} exists; choose another, or --force to replace it.")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix.lower() == ".png":
            self._draw(place)
        else:
            text = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
            replace_file(place, lambda part: part.write_text(text))
        return [place]

    def __str__(self) -> str:
        """Write a line for each direction: its title and its score."""
        lines = [f"{self.data} {self.split}, {self.scenes} scenes"]
        for cell in self.cells:
            score = _headline(cell)
            unit = "mIoU" if cell.target == "mask" else "macro-F1"
            mark = "" if cell.trained or cell.score is None else " †"
            lines.append(f"{cell.title}: {unit} {score:.1f}{mark}" if cell.score else
                         f"{cell.title}: –")  # fmt: skip
        return "\n".join(lines)

    def _repr_png_(self) -> bytes:
        from .outputs import png_of

        return png_of(self._draw)

    def _draw(self, path: Path) -> None:
        from scene.figures.charts import Bars, draw_bars

        scored = [cell for cell in self.cells if cell.score is not None]
        bars = Bars(
            tuple(cell.title for cell in scored),
            {"score": [[_headline(cell)] for cell in scored]},
        )
        draw_bars(path, bars, scale="mIoU of masks, macro-F1 of classes, %",
                  title=f"{self.data} {self.split}")  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One direction of inference: a target, predicted given some views.

    Attributes:
        given: The views conditioned on.
        target: ``mask`` or ``classes``.
        trained: Whether a term of the objective trained the posterior given just these views.
        scenes: Number of scored scenes.
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
        """Return plain data; what is not a number is None."""
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
) -> Evaluation:
    """Score every direction of inference.

    Args:
        assembly: Model and guide.
        dataset: The scenes to score on; those that lack a view a direction needs are left out.
        draws: Draws of z that each prediction averages.
        at_mean: Use the posterior's mean in place of draws.
        seed: Seed of the draws.
        batch_size: Scenes at once.
        directions: Pairs of views given and target; by default `MASKS` and `CLASSES`.
        watch: Called with the title of each direction before it is scored.

    Raises:
        ValueError: If there is no scene, or not one draw.
    """
    if not len(dataset):
        raise ValueError(f"The split {dataset.split!r} of {dataset.name} is empty.")
    if draws < 1:
        raise ValueError(f"A prediction averages 1 draw or more, not {draws}.")
    assembly.model.eval()
    assembly.guide.eval()
    scored = directions or EVERY
    ask = partial(predict, assembly, draws=draws, at_mean=at_mean)
    cells = []
    for given, target in scored:
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
    averaged = None if at_mean else draws
    return Evaluation(
        tuple(cells), dataset.name, dataset.split, len(dataset), dataset.schema.labels, averaged
    )


def _headline(cell: Cell) -> float:
    """Return mIoU or macro-F1 in percent; NaN where there is no score."""
    if isinstance(cell.score, MaskScore):
        return cell.score.miou
    return cell.score.macro_f1 if cell.score is not None else float("nan")


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
    """Yield the scenes that have every view needed, with their indices, in batches."""
    for first in range(0, len(dataset), batch_size):
        rows = torch.arange(first, min(len(dataset), first + batch_size))
        views = dataset.views(rows.tolist())
        having = views.having(needed)
        if having.any():
            yield rows[having].tolist(), views.rows(having).to(device)
