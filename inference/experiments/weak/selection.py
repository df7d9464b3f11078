"""Selection of a variant's settings, on scenes that are not reported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.discriminative import ClassifiedScene
from scene.networks.feature_maps import Classifier
from scene.notices import Progress

from ...build import Assembly
from ...crf.parameters import NO_CRF, Parameters
from ...runs.run import Run
from ...segmentation.cue_files import CueScore, CueScorer
from ...segmentation.cues import CueSettings, maps_of, seed_cues, usual_class_maps
from ...segmentation.segmenter import Segmenter, load
from ..crf.measure import Result, measure
from ..crf.unaries import Scenes, rows
from ..predictions import predict_stage
from .request import ALPHAS, SMOOTHNESS, TUNE_SPLIT, WEIGHTS, Layer, Request, Variant


@dataclass
class StageEvaluator:
    """Scores the stages of one seed, on the reported split or on that of selection.

    Results are cached in the folder.

    Attributes:
        request: Data, scenes and engine.
        size: Height and width of scenes for the networks.
        folder: For ``unaries``, which may be removed at the end, and ``results``.
        device: Where networks compute.
        jobs: Processes for the CRF.
        watch: Called with the progress.
    """

    request: Request
    size: tuple[int, int]
    folder: Path
    device: torch.device
    jobs: int = 1
    watch: Progress = lambda title, done, total: None
    _opened: dict[str, SceneDataset] = field(default_factory=dict)

    def dataset(self, split: str) -> SceneDataset:
        """Return a split, which is opened once."""
        if split not in self._opened:
            self._opened[split] = open_data(self.request.data, split, self.size)
        return self._opened[split]

    def rows(self, split: str) -> list[int]:
        """Return the indices of the scenes of a split that are used; all have masks."""
        return rows(self.dataset(split), self._limit(split), None)

    def scenes(self, segmenter: Segmenter, run: Run, name: str, split: str) -> Scenes:
        """Return the scenes of a split with a stage's predictions as unaries.

        Args:
            segmenter: The stage.
            run: The run that it has its weights from.
            name: A name of its own among the stages of the seed.
            split: The split.
        """
        watch = partial(self.watch, f"{name} on {split}")
        folder = self.folder / "unaries" / f"{name}-{split}"
        unaries = predict_stage(
            segmenter, run, self.dataset(split), self.rows(split), folder, watch
        )
        return Scenes(self.request.data, split, unaries, self.size, self._limit(split))

    def measure(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[Result]:
        """Apply the CRF with each of the parameters to the scenes; return counts for scores."""
        return measure(
            scenes,
            settings,
            engine=self.request.engine,
            jobs=self.jobs,
            folder=self.folder / "results",
            watch=partial(self.watch, f"{title} on {scenes.split}"),
        )

    def score(self, scenes: Scenes, settings: Sequence[Parameters], title: str) -> list[float]:
        """Return the mean IoU with each of the parameters, in percent."""
        labels = self.dataset(scenes.split).schema.labels
        return [result.score(labels).miou for result in self.measure(scenes, settings, title)]

    @property
    def alphas(self) -> tuple[float, ...]:
        """Widths θα in pixels: those of the request, or shares `ALPHAS` of the side."""
        shares = tuple(round(share * self.side, 1) for share in ALPHAS)
        return self.request.alphas or shares

    @property
    def side(self) -> float:
        """The side of an image in pixels: the square root of the first one's area."""
        first = self.dataset(TUNE_SPLIT).original(self.rows(TUNE_SPLIT)[0]).image
        assert first is not None
        return math.sqrt(math.prod(first.shape[-2:]))

    @property
    def crf_candidates(self) -> list[Parameters]:
        """The appearance kernels to select from, with the weakest smoothness kernel."""
        sigma, mild = SMOOTHNESS[0]
        return [
            Parameters(
                smoothness_sigma=sigma,
                smoothness_weight=mild,
                appearance_sigma_xy=alpha,
                appearance_sigma_rgb=beta,
                appearance_weight=weight,
            )
            for weight in WEIGHTS
            for alpha in self.alphas
            for beta in self.request.betas
        ]

    def _limit(self, split: str) -> int | None:
        return self.request.tuned if split == TUNE_SPLIT else self.request.limit


T = TypeVar("T")

_AT_ONCE = 50


@dataclass(frozen=True)
class Selection(Generic[T]):
    """The best of several candidates.

    Attributes:
        value: The candidate selected.
        scores: The score of each candidate, by its description; empty if there was only one.
    """

    value: T
    scores: dict[str, float]


@dataclass(frozen=True)
class CRFSelection(Selection[Parameters]):
    """The best of several CRFs, or `NO_CRF` if none of them raises mean IoU.

    Attributes:
        kernels: The best of those with kernels.
    """

    kernels: Parameters

    @property
    def note(self) -> str:
        """The scores without a CRF and with the best, in one line."""
        without, best = (self.scores[describe_crf(crf)] for crf in (NO_CRF, self.kernels))
        return f"mIoU on {TUNE_SPLIT} is {without:.2f} without, {best:.2f} with it"


def select_crf(evaluator: StageEvaluator, scenes: Scenes, title: str) -> CRFSelection:
    """Select a CRF by mean IoU: first its appearance kernel, then its smoothness kernel.

    No CRF is a candidate, too: it is selected unless another has a higher mean IoU.

    Args:
        evaluator: Measures the candidates.
        scenes: Scenes with unaries.
        title: Name of the unaries in messages.
    """
    first = [NO_CRF, *evaluator.crf_candidates]
    scores = dict(zip(first, evaluator.score(scenes, first, f"CRFs of {title}"), strict=True))
    best = max(first[1:], key=lambda crf: scores[crf])
    then = [replace(best, smoothness_sigma=s, smoothness_weight=w) for s, w in SMOOTHNESS]
    scores |= zip(then, evaluator.score(scenes, then, f"CRFs of {title}"), strict=True)
    kernels = max(list(scores)[1:], key=lambda crf: scores[crf])
    return CRFSelection(
        max((NO_CRF, kernels), key=lambda crf: scores[crf]),
        {describe_crf(crf): score for crf, score in scores.items()},
        kernels,
    )


def select_maps(evaluator: StageEvaluator, run: Run, variant: Variant) -> Selection[CueSettings]:
    """Select layer and background map, by the mean IoU after the best of a few CRFs.

    Args:
        evaluator: Measures the candidates.
        run: The run of the classifier.
        variant: Has the candidates.
    """
    stage = load(run, "gradcam", device=evaluator.device, engine=evaluator.request.engine)
    assert isinstance(stage.assembly.model, ClassifiedScene)
    net, labels = stage.assembly.model.net, evaluator.dataset(TUNE_SPLIT).schema.labels
    layers = [layer_name(net, kind, evaluator.size) for kind in variant.layers]
    own = usual_class_maps(run.settings)
    backgrounds = variant.background_maps or (own.background_map,)
    exponents = variant.exponents or (own.exponent,)
    if labels.background is None:
        backgrounds, exponents = ("sum",), (1.0,)
    looks: dict[str, CueSettings] = {}
    for layer, kind, exponent in product(layers, backgrounds, exponents):
        look = replace(own, layer=layer, background_map=kind, exponent=exponent)
        background = "" if labels.background is None else f", {describe_background(look)}"
        looks[f"{layer}{background}"] = look
    if len(looks) == 1:
        return Selection(next(iter(looks.values())), {})
    crfs = [
        crf for crf in evaluator.crf_candidates if crf.appearance_sigma_xy in evaluator.alphas[-2:]
    ]
    crfs = [crf for crf in crfs if crf.appearance_weight == WEIGHTS[-1]]
    scores = {}
    for name, look in looks.items():
        scenes = evaluator.scenes(replace(stage, class_maps=look), run, "look", TUNE_SPLIT)
        scores[name] = max(evaluator.score(scenes, crfs, "class maps"))
    return Selection(looks[max(scores, key=lambda name: scores[name])], scores)


def select_cues(
    evaluator: StageEvaluator,
    assembly: Assembly,
    cells: tuple[int, int],
    candidates: Sequence[CueSettings],
) -> tuple[Selection[CueSettings], CueScore]:
    """Select the cues of highest F½, see `cue_f_half`; return their score, too.

    Args:
        evaluator: Measures the candidates.
        assembly: The classifier.
        cells: Rows and columns of SEC's grid.
        candidates: Settings of cues.
    """
    dataset, rows = evaluator.dataset(TUNE_SPLIT), evaluator.rows(TUNE_SPLIT)
    results = score_cues(assembly, dataset, rows, cells, candidates)
    values = [cue_f_half(result) for result in results]
    best = max(range(len(values)), key=lambda i: values[i])
    names = map(describe_cues, candidates)
    scores = dict(zip(names, values, strict=True)) if len(values) > 1 else {}
    return Selection(candidates[best], scores), results[best]


def cue_candidates(
    variant: Variant, recipe: CueSettings, class_maps: CueSettings, crf: Parameters, scale: float
) -> list[CueSettings]:
    """List candidates of cue settings: thresholds of the maps, or of a CRF on the maps.

    Args:
        variant: Has the thresholds.
        recipe: Settings of SEC's recipe, for a variant without thresholds.
        class_maps: Layer of the maps, and the background map that the CRF starts from.
        crf: The best CRF with kernels for Grad-CAM; its appearance kernel is used.
        scale: Pixels of the network's image for each pixel of a stored image.
    """
    own = replace(recipe, layer=class_maps.layer)
    if not (variant.foregrounds or variant.shares or variant.sure):
        return [own]
    candidates = [
        replace(own, foreground=foreground, background=recipe.background and share)
        for foreground, share in product(variant.foregrounds, variant.shares)
    ]
    width = round(scale * crf.appearance_sigma_xy, 1)
    kernel = (crf.appearance_weight, width, crf.appearance_sigma_rgb)
    sure = replace(
        own, crf=kernel, background_map=class_maps.background_map, exponent=class_maps.exponent
    )
    return candidates + [replace(sure, foreground=p) for p in variant.sure]


def score_cues(
    assembly: Assembly,
    dataset: SceneDataset,
    rows: Sequence[int],
    cells: tuple[int, int],
    candidates: Sequence[CueSettings],
) -> list[CueScore]:
    """Score cues against ground-truth masks.

    Args:
        assembly: A classifier.
        dataset: The scenes.
        rows: Indices of scenes, which have masks.
        cells: Rows and columns of the grid of cues.
        candidates: Settings of cues; all use the same maps.

    Returns:
        The score of each candidate.
    """
    labels = dataset.schema.labels
    scorers = [CueScorer(labels) for _ in candidates]
    for first in range(0, len(rows), _AT_ONCE):
        views = dataset.views(rows[first : first + _AT_ONCE])
        maps = maps_of(assembly, views["image"], candidates[0])
        for scorer, settings in zip(scorers, candidates, strict=True):
            seeds = seed_cues(maps, views["classes"], labels, views["image"], cells, settings)
            for cues, mask in zip(seeds, views["mask"], strict=True):
                scorer.add(cues, mask)
    return [scorer.score() for scorer in scorers]


def sec_settings(cues: CueSettings) -> dict[str, Any]:
    """Return the settings of SEC's recipe that give such cues."""
    refined = {}
    if cues.crf is not None:
        refined = {
            "cue_crf": cues.crf,
            "background_map": cues.background_map,
            "exponent": cues.exponent,
        }
    return {
        "layer": cues.layer,
        "foreground": cues.foreground,
        "background": cues.background or 0.0,
        **refined,
    }


def cue_f_half(score: CueScore) -> float:
    """Return F½ of precision and coverage of cues, averaged over labels, in percent.

    F½ weighs precision more than coverage: SEC expands right cues, and learns wrong ones. The F½
    of a label without any cue is 0.
    """
    values = []
    for label, covered in score.coverage.items():
        if label != "all" and covered is not None:
            right = score.precision[label] or 0.0
            total = 0.25 * right + covered
            values.append(1.25 * right * covered / total if total else 0.0)
    return sum(values) / len(values) if values else 0.0


def layer_name(net: Classifier, kind: Layer, size: tuple[int, int]) -> str:
    """Return the name of a layer, or of two joined by +, for images of some size."""
    fine = net.layer if kind == "usual" else finer_layer(net, size)
    return f"{net.layer}+{fine}" if kind == "both" and fine != net.layer else fine


def finer_layer(net: Classifier, size: tuple[int, int]) -> str:
    """Return the deepest layer with more cells than the usual one; without any, the usual one."""
    image = torch.zeros(1, 3, *size, device=net.mean.device)
    with torch.no_grad():
        usual = net.maps(image).shape[-1]
        finer = [name for name in net.layers if net.maps(image, name).shape[-1] > usual]
    return finer[-1] if finer else net.layer


def describe_crf(crf: Parameters) -> str:
    """Describe the kernels of a CRF.

    >>> describe_crf(Parameters())
    'w 10, 80 px, colour 13; smoothness w 3, 3 px'
    """
    if crf == NO_CRF:
        return "no CRF"
    return (
        f"w {crf.appearance_weight:g}, {crf.appearance_sigma_xy:g} px, colour "
        f"{crf.appearance_sigma_rgb:g}; smoothness w {crf.smoothness_weight:g}, "
        f"{crf.smoothness_sigma:g} px"
    )


def describe_background(look: CueSettings) -> str:
    """Describe the background map of class maps.

    >>> describe_background(CueSettings(background_map="max", exponent=1.5))
    '(1 − max)^1.5'
    """
    maps = "Σ" if look.background_map == "sum" else "max"
    return f"(1 − {maps})" + (f"^{look.exponent:g}" if look.exponent != 1 else "")


def describe_cues(cues: CueSettings) -> str:
    """Describe settings of cues.

    >>> describe_cues(CueSettings(foreground=0.9, background=0.3))
    'above 0.9 of a map, background the lowest 0.3'
    """
    if cues.crf is not None:
        weight, reach, unlike = cues.crf
        return f"a CRF (w {weight:g}, {reach:g} px, colour {unlike:g}) above {cues.foreground:g}"
    lowest = f", background the lowest {cues.background:g}" if cues.background else ""
    return f"above {cues.foreground:g} of a map{lowest}"
