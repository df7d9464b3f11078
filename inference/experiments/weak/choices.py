"""What a row of settings leaves open, chosen on scenes that are not reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Generic, TypeVar

import torch

from scene.datasets.base import SceneDataset
from scene.discriminative import ClassifiedScene
from scene.networks.classifiers import Classifier

from ...build import Assembly
from ...crf.parameters import Parameters
from ...runs.run import Run
from ...segmentation.cue_files import CueScore, CueScorer
from ...segmentation.cues import CueSettings, maps_of, seeds_of
from ...segmentation.segmenter import load
from ..crf.unaries import Scenes
from .bench import Bench
from .plan import CHOOSING, SMOOTHNESS, WEIGHTS, Layer, Plan

T = TypeVar("T")

_AT_ONCE = 50


@dataclass(frozen=True)
class Choice(Generic[T]):
    """One of several candidates.

    Attributes:
        value: The one chosen.
        tried: How good each was, by its name; empty if there was but one.
    """

    value: T
    tried: dict[str, float]


def choose_crf(bench: Bench, scenes: Scenes, title: str) -> Choice[Parameters]:
    """Choose a CRF by mean IoU: first its appearance kernel, then its smoothness.

    Args:
        bench: Where to measure.
        scenes: What is refined.
        title: What they are called.
    """
    first = bench.candidates
    scores = dict(zip(first, bench.score(scenes, first, f"CRFs of {title}"), strict=True))
    best = max(scores, key=lambda crf: scores[crf])
    then = [replace(best, smoothness_sigma=s, smoothness_weight=w) for s, w in SMOOTHNESS]
    scores |= zip(then, bench.score(scenes, then, f"CRFs of {title}"), strict=True)
    return Choice(
        max(scores, key=lambda crf: scores[crf]), {name_of(c): v for c, v in scores.items()}
    )


def choose_look(bench: Bench, run: Run, plan: Plan) -> Choice[CueSettings]:
    """Choose layer and background map: those whose masks fit best after a CRF that suits them.

    Args:
        bench: Where to measure.
        run: The classifier's.
        plan: Gives the candidates.
    """
    stage = load(run, "gradcam", device=bench.device, engine=bench.request.engine)
    assert isinstance(stage.assembly.model, ClassifiedScene)
    net, labels = stage.assembly.model.net, bench.dataset(CHOOSING).schema.labels
    layers = [layer_of(net, kind, bench.size) for kind in plan.layers]
    exponents = plan.exponents if labels.background is not None else (1.0,)
    looks: dict[str, CueSettings] = {}
    for layer, exponent in product(layers, exponents):
        kind = "sum" if exponent == 1 else "power"
        name = layer if labels.background is None else f"{layer}, (1 − Σ)^{exponent:g}"
        looks[name] = CueSettings(layer=layer, background_map=kind, exponent=exponent)
    if len(looks) == 1:
        return Choice(next(iter(looks.values())), {})
    crfs = [crf for crf in bench.candidates if crf.appearance_sigma_xy in bench.alphas[-2:]]
    crfs = [crf for crf in crfs if crf.appearance_weight == WEIGHTS[-1]]
    tried = {}
    for name, look in looks.items():
        scenes = bench.scenes(replace(stage, look=look), run, "look", CHOOSING)
        tried[name] = max(bench.score(scenes, crfs, "class maps"))
    return Choice(looks[max(tried, key=lambda name: tried[name])], tried)


def choose_cues(
    bench: Bench, assembly: Assembly, cells: tuple[int, int], candidates: Sequence[CueSettings]
) -> tuple[Choice[CueSettings], CueScore]:
    """Choose the cues that are worth most, and say how right they are.

    Args:
        bench: Where to measure.
        assembly: The classifier.
        cells: SEC's grid.
        candidates: How cues may be found.
    """
    dataset, rows = bench.dataset(CHOOSING), bench.rows(CHOOSING)
    scores = score_cues(assembly, dataset, rows, cells, candidates)
    values = [worth(score) for score in scores]
    best = max(range(len(values)), key=lambda i: values[i])
    tried = dict(zip(map(cues_named, candidates), values, strict=True)) if len(values) > 1 else {}
    return Choice(candidates[best], tried), scores[best]


def cue_candidates(
    plan: Plan, recipe: CueSettings, look: CueSettings, crf: Parameters, scale: float
) -> list[CueSettings]:
    """List how cues may be found: in the maps, at thresholds, or by a CRF that refines them.

    Args:
        plan: Says which.
        recipe: How SEC's recipe finds them, where the plan leaves it to that.
        look: Which maps, and which background the CRF starts from.
        crf: Its appearance kernel is what suited Grad-CAM.
        scale: A pixel of a network's image, in those of a stored one.
    """
    own = replace(recipe, layer=look.layer)
    if not (plan.foregrounds or plan.shares or plan.sure):
        return [own]
    found = [
        replace(own, foreground=foreground, background=recipe.background and share)
        for foreground, share in product(plan.foregrounds, plan.shares)
    ]
    width = round(scale * crf.appearance_sigma_xy, 1)
    kernel = (crf.appearance_weight, width, crf.appearance_sigma_rgb)
    sure = replace(own, crf=kernel, background_map=look.background_map, exponent=look.exponent)
    return found + [replace(sure, foreground=p) for p in plan.sure]


def score_cues(
    assembly: Assembly,
    dataset: SceneDataset,
    rows: Sequence[int],
    cells: tuple[int, int],
    candidates: Sequence[CueSettings],
) -> list[CueScore]:
    """Score cues on scenes whose labels are known.

    Args:
        assembly: A classifier.
        dataset: The scenes.
        rows: Which of them; all have masks.
        cells: The grid cues are found on.
        candidates: How they are found; all look at the same maps.
    """
    labels = dataset.schema.labels
    scorers = [CueScorer(labels) for _ in candidates]
    for first in range(0, len(rows), _AT_ONCE):
        views = dataset.views(rows[first : first + _AT_ONCE])
        maps = maps_of(assembly, views["image"], candidates[0])
        for scorer, settings in zip(scorers, candidates, strict=True):
            found = seeds_of(maps, views["classes"], labels, views["image"], cells, settings)
            for cues, mask in zip(found, views["mask"], strict=True):
                scorer.add(cues, mask)
    return [scorer.score() for scorer in scorers]


def as_settings(cues: CueSettings) -> dict[str, Any]:
    """Give the settings of SEC's recipe that find such cues."""
    refined = {"cue_crf": cues.crf, "exponent": cues.exponent} if cues.crf is not None else {}
    return {
        "layer": cues.layer,
        "foreground": cues.foreground,
        "background": cues.background or 0.0,
        **refined,
    }


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


def layer_of(net: Classifier, kind: Layer, size: tuple[int, int]) -> str:
    """Name the layers that a plan means, for images of some size."""
    fine = net.layer if kind == "usual" else finer(net, size)
    return f"{net.layer}+{fine}" if kind == "both" and fine != net.layer else fine


def finer(net: Classifier, size: tuple[int, int]) -> str:
    """Name the deepest layer with more cells than the usual one; that one if there is none."""
    image = torch.zeros(1, 3, *size, device=net.mean.device)
    with torch.no_grad():
        usual = net.maps(image).shape[-1]
        found = [name for name in net.layers if net.maps(image, name).shape[-1] > usual]
    return found[-1] if found else net.layer


def name_of(crf: Parameters) -> str:
    """Say which kernels a CRF has.

    >>> name_of(Parameters())
    'w 10, 80 px, colour 13; smoothness w 3, 3 px'
    """
    return (
        f"w {crf.appearance_weight:g}, {crf.appearance_sigma_xy:g} px, colour "
        f"{crf.appearance_sigma_rgb:g}; smoothness w {crf.smoothness_weight:g}, "
        f"{crf.smoothness_sigma:g} px"
    )


def cues_named(cues: CueSettings) -> str:
    """Say how cues are found.

    >>> cues_named(CueSettings(foreground=0.9, background=0.3))
    'above 0.9 of a map, background the lowest 0.3'
    """
    if cues.crf is not None:
        weight, reach, unlike = cues.crf
        return f"a CRF (w {weight:g}, {reach:g} px, colour {unlike:g}) above {cues.foreground:g}"
    lowest = f", background the lowest {cues.background:g}" if cues.background else ""
    return f"above {cues.foreground:g} of a map{lowest}"
