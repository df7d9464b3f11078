"""What a row of settings leaves open, chosen on scenes that are not reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch

from inference.assemble import Assembly
from inference.crf.parameters import Parameters
from inference.runs import Run
from inference.weak.bench import ALONE, Bench
from inference.weak.cuefiles import CueScore, CueScorer
from inference.weak.cues import CueSettings, maps_of, seeds
from inference.weak.gradcam import resized
from inference.weak.losses import CELLS
from inference.weak.plans import CHOOSING, Plan
from inference.weak.segmenter import load
from scene.classifiers import Classifier
from scene.datasets.base import SceneDataset
from scene.models import ClassifiedScene

_AT_ONCE = 50


@dataclass(frozen=True)
class Look:
    """How a classifier's maps are found and turned into probabilities, and how good they are.

    Attributes:
        settings: The layer and the background map; thresholds of cues are not in it.
        tried: Mean IoU of each candidate, by its name.
    """

    settings: CueSettings
    tried: dict[str, float]


@dataclass(frozen=True)
class Cues:
    """Where SEC's cues begin, and how right they are.

    Attributes:
        foreground: Share of a map's maximum.
        background: Share of the image; None = there are none.
        score: Of the ones chosen.
        tried: What each candidate was worth, by its name, see `worth`.
    """

    foreground: float
    background: float | None
    score: CueScore
    tried: dict[str, float]


def choose_look(bench: Bench, run: Run, plan: Plan) -> Look:
    """Choose layer and background map: those whose masks fit best, before any CRF.

    Args:
        bench: Where to measure.
        run: The classifier's.
        plan: Gives the candidates.
    """
    stage = load(run, "gradcam", device=bench.device, engine=bench.request.engine)
    assert isinstance(stage.assembly.model, ClassifiedScene)
    net, labels = stage.assembly.model.net, bench.dataset(CHOOSING).schema.labels
    layers = dict.fromkeys(finer(net, bench.size) if fine else net.layer for fine in plan.finer)
    exponents = plan.exponents if labels.background is not None else (1.0,)
    looks, tried = {}, {}
    for layer, exponent in product(layers, exponents):
        kind = "sum" if exponent == 1 else "power"
        look = CueSettings(layer=layer, background_map=kind, exponent=exponent)
        name = f"{layer}, (1 − Σ)^{exponent:g}" if labels.background is not None else layer
        looks[name] = look
        if len(layers) * len(exponents) == 1:
            return Look(look, {})
        scenes = bench.scenes(replace(stage, look=look), run, "look", CHOOSING)
        (found,) = bench.measure(scenes, [ALONE], "class maps")
        tried[name] = found.score(labels).miou
    return Look(looks[max(tried, key=lambda name: tried[name])], tried)


def choose_cues(
    bench: Bench,
    assembly: Assembly,
    layer: str | None,
    cells: tuple[int, int],
    foregrounds: Sequence[float],
    backgrounds: Sequence[float | None],
) -> Cues:
    """Choose the thresholds of cues: those that are worth most, of all pairs.

    Args:
        bench: Where to measure.
        assembly: The classifier.
        layer: Whose maps give cues.
        cells: SEC's grid.
        foregrounds: Candidates.
        backgrounds: Candidates; None = no cues of background.
    """
    dataset, rows = bench.dataset(CHOOSING), bench.rows(CHOOSING)
    pairs = list(product(foregrounds, backgrounds))
    scores = score_cues(assembly, dataset, rows, layer, cells, pairs)
    values = [worth(score) for score in scores]
    best = max(range(len(pairs)), key=lambda i: values[i])
    names = [f"> {f:g}, lowest {b:g}" if b else f"> {f:g}" for f, b in pairs]
    tried = dict(zip(names, values, strict=True)) if len(pairs) > 1 else {}
    return Cues(*pairs[best], scores[best], tried)


def score_cues(
    assembly: Assembly,
    dataset: SceneDataset,
    rows: Sequence[int],
    layer: str | None,
    cells: tuple[int, int],
    pairs: Sequence[tuple[float, float | None]],
) -> list[CueScore]:
    """Score the cues of each pair of thresholds, on scenes whose labels are known.

    Args:
        assembly: A classifier.
        dataset: The scenes.
        rows: Which of them; all have masks.
        layer: Whose maps give cues.
        cells: The grid they are found on.
        pairs: Thresholds of foreground and background.
    """
    labels, look = dataset.schema.labels, CueSettings(layer=layer)
    scorers = [CueScorer(labels) for _ in pairs]
    for first in range(0, len(rows), _AT_ONCE):
        views = dataset.views(rows[first : first + _AT_ONCE])
        maps = resized(maps_of(assembly, views["image"], look), cells)
        for scorer, (foreground, background) in zip(scorers, pairs, strict=True):
            found = seeds(
                maps, views["classes"], labels, foreground=foreground, background=background
            )
            for cues, mask in zip(found, views["mask"], strict=True):
                scorer.add(cues, mask)
    return [scorer.score() for scorer in scorers]


def worth(score: CueScore) -> float:
    """Say what cues are worth: F½ of precision and coverage, averaged over labels, in percent.

    F½ counts precision for more than coverage: SEC spreads from right cues, and believes wrong
    ones. A label that is never cued is worth 0.
    """
    found = []
    for label, covered in score.coverage.items():
        if label != "all" and covered is not None:
            right = score.precision[label] or 0.0
            total = 0.25 * right + covered
            found.append(1.25 * right * covered / total if total else 0.0)
    return sum(found) / len(found) if found else 0.0


def matched(crf: Parameters, bench: Bench) -> dict[str, float]:
    """Give SEC the CRF that suits Grad-CAM's maps: its widths, as the recipe counts them."""
    return {
        "crf_weight": crf.appearance_weight,
        "crf_xy": round(crf.appearance_sigma_xy / bench.side * CELLS**0.5, 3),
        "crf_rgb": crf.appearance_sigma_rgb,
    }


def finer(net: Classifier, size: tuple[int, int]) -> str:
    """Name the deepest layer with more cells than the usual one; that one if there is none."""
    image = torch.zeros(1, 3, *size, device=net.mean.device)
    with torch.no_grad():
        usual = net.maps(image).shape[-1]
        found = [name for name in net.layers if net.maps(image, name).shape[-1] > usual]
    return found[-1] if found else net.layer
