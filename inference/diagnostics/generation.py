"""Generation: whether drawn scenes look like scenes, vary as scenes do, and are no copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.discriminative import SegmentedScene
from scene.labels import Labels
from scene.notices import Progress
from scene.views import Views

from ..build import Assembly
from ..prediction.predict import drawing
from ..prediction.sample import sample
from .coherence import PRIOR, TRUE, Segment, f1_score, mask_miou, segmenter_of
from .posteriors import TOGETHER, ViewNames, chunks, join_names

SPREAD_SCENES, SPREAD_DRAWS = 32, 16
"""Scenes, and draws for each, by which the spread of colours is measured."""

REGION = 0.01
"""Share of the pixels that a label must have for its mean colour to count."""

LEAST = 4
"""The fewest scenes that can be halved and compared."""

HALVINGS = 20
"""Random halves of the true scenes that are compared with each other."""

CELLS = 8
"""Rows and columns of the grid in which the labels of masks are counted."""

TINY = 1e-12
"""The least distance that another is divided by."""

NEAREST = 2000
"""Training scenes among which the nearest one is looked for."""


@dataclass(frozen=True)
class Generation:
    """How N drawn scenes compare with N held-out ones; None where a model has no such views.

    Scenes are drawn as by ``scene sample``, one for each held-out scene.

    Attributes:
        source: What scenes were drawn given: names of views, or `PRIOR`; `TRUE` scenes themselves.
        scenes: N.
        own: mIoU in % of the segmenter's mask of the drawn image against the drawn mask.
        given: The same against the mask that was given.
        f1: F1 in % of the drawn classes against the classes with a pixel in the drawn mask.
        given_f1: The same of the classes that were given.
        images: Kernel distance of drawn to held-out images on features of the segmenter, as a
            multiple of that between two halves of the held-out images; about 1 is perfect.
        masks: The same for masks, on the shares of labels in the cells of a grid.
        spread: Standard deviation of the mean colour of a label's region over draws given one
            scene, divided by that over held-out scenes; root mean square over labels.
        nearest: Median distance of a drawn image to the nearest training image, on features of
            the segmenter, divided by that of held-out images. Well below 1: copies.
    """

    source: str
    scenes: int
    own: float | None = None
    given: float | None = None
    f1: float | None = None
    given_f1: float | None = None
    images: float | None = None
    masks: float | None = None
    spread: float | None = None
    nearest: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def generation(
    assembly: Assembly,
    held_out: SceneDataset,
    training: SceneDataset,
    segmenter: Assembly,
    *,
    limit: int = 300,
    seed: int = 0,
    watch: Progress = lambda title, done, total: None,
) -> list[Generation]:
    """Draw scenes from the prior and given each set of views, and compare them with true ones.

    Args:
        assembly: A model that draws whole scenes, and its guide, in evaluation mode.
        held_out: Complete scenes that the model was not trained on.
        training: The scenes it was trained on.
        segmenter: A model of p(mask | image), trained on such scenes.
        limit: Use the first so many held-out scenes.
        seed: Seed of all draws.
        watch: Called with what scenes are drawn given, the number of sets done, and their total.

    Returns:
        A row for the prior, for each set of views that has a posterior, and for true scenes.

    Raises:
        ValueError: If the model does not draw image and mask, the segmenter is none, or fewer than
            `LEAST` scenes are complete.
    """
    model = segmenter.model
    if not isinstance(model, SegmentedScene):
        raise ValueError(
            "Drawn images are judged by a segmenter; train one: scene train segmenter."
        )
    if not draws_scenes(assembly):
        raise ValueError("Only a model that draws images and masks can be judged; train telbo.")
    views = _complete(held_out, limit)
    if len(views) < LEAST:
        raise ValueError(
            f"{held_out.name} ({held_out.split}) has fewer than {LEAST} complete scenes."
        )
    judge = _Judge(
        segmenter_of(segmenter),
        _describe(model, segmenter.device),
        held_out.schema.labels,
        views,
        training.views(range(min(NEAREST, len(training)))),
        seed,
    )
    rows = []
    sets = list(sets_of_views(assembly))
    for done, given in enumerate(sets):
        watch(join_names(given) or PRIOR, done, len(sets))
        row = judge.compare(given, _drawn(assembly, views, given, judge.labels, seed))
        spread = _spread(assembly, views, given, judge.labels, seed) if given else None
        rows.append(replace(row, spread=spread))
    true = {name: views[name] for name in ("image", "classes", "mask") if name in views}
    return [*rows, judge.compare(None, true)]


def draws_scenes(assembly: Assembly) -> bool:
    """Return whether a model draws images and masks."""
    return {"image", "mask"} <= set(assembly.model.views)


def sets_of_views(assembly: Assembly) -> list[ViewNames]:
    """Return what scenes can be drawn given: nothing, each view, and image and classes."""
    sets: list[ViewNames] = [("mask",), ("classes",), ("image",), ("image", "classes")]
    known = [given for given in sets if drawing(assembly).guide.accepts(given)]
    return known if assembly.model.conditions else [(), *known]


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples, biased, so at least 0.

    The kernel is (x·y / F + 1)³ of features ``(N, F)``, as in KID.

    Source:
        Bińkowski et al. (2018), Demystifying MMD GANs, section 4,
        https://arxiv.org/abs/1801.01401

    >>> kernel_distance(torch.eye(3), torch.eye(3))
    tensor(0., dtype=torch.float64)
    """
    x, y = x.double(), y.double()
    kernels = [(a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    within_x, within_y, across = (kernel.mean() for kernel in kernels)
    return within_x + within_y - 2 * across


def distance_ratio(drawn: Tensor, true: Tensor, halvings: int = HALVINGS, seed: int = 0) -> float:
    """Return the kernel distance of drawn to true scenes, by that of two halves of the true ones.

    Features are centred, and scaled by their mean variance, over true scenes. Samples are of one
    size, N / 2, so that a perfect model has a ratio of about 1.

    Args:
        drawn: Features ``(N, F)``.
        true: Features ``(N, F)``.
        halvings: Number of random halves to average over.
        seed: Seed of the halves.
    """
    centre, scale = true.mean(0), true.var(0).mean().sqrt().clamp(min=1e-6)
    drawn, true = (drawn - centre) / scale, (true - centre) / scale
    order = torch.Generator().manual_seed(seed)
    between, within = torch.zeros((), dtype=torch.double), torch.zeros((), dtype=torch.double)
    for _ in range(halvings):
        first, second = torch.randperm(len(true), generator=order).chunk(2)
        some = torch.randperm(len(drawn), generator=order)[: len(first)]
        within += kernel_distance(true[first], true[second])
        between += kernel_distance(drawn[some], true[first])
    return float(between / within.clamp(min=TINY))


def label_shares(masks: Tensor, labels: int, cells: int = CELLS) -> Tensor:
    """Return the share of each label in each cell of a grid: ``(N, H, W)`` to ``(N, F)``."""
    parts = []
    for some in masks.long().split(TOGETHER):
        one_hot = F.one_hot(some.clamp(max=labels), labels + 1)[..., :labels]  # void is no label
        parts.append(F.adaptive_avg_pool2d(one_hot.movedim(-1, 1).float(), cells).flatten(1))
    return torch.cat(parts)


def region_colours(images: Tensor, masks: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Return the mean colour of each label's region, and which labels have one.

    Args:
        images: ``(N, 3, H, W)``.
        masks: ``(N, H, W)`` label ids.
        labels: L.

    Returns:
        Colours ``(N, L, 3)``, and ``(N, L)`` bool: the labels with `REGION` of the pixels.
    """
    inside = torch.stack([masks == label for label in range(labels)], 1).to(images.dtype)
    pixels = inside.flatten(2).sum(-1)
    colours = torch.einsum("nlhw,nchw->nlc", inside, images) / pixels.clamp(min=1)[..., None]
    return colours, pixels >= REGION * masks[0].numel()


@dataclass(frozen=True)
class _Judge:
    """Compares drawn scenes with held-out ones, whose features are computed once."""

    segment: Segment
    describe: Callable[[Tensor], Tensor]
    labels: Labels
    true: Views
    training: Views
    seed: int

    def compare(self, given: ViewNames | None, drawn: Mapping[str, Tensor]) -> Generation:
        """Return the row of scenes drawn given some views; None = they are the true ones."""
        image, mask = drawn["image"], drawn["mask"]
        segmented, in_mask = self.segment(image), self.labels.vector(mask).bool()
        views = given or ()
        row = Generation(
            source=TRUE if given is None else join_names(given) or PRIOR,
            scenes=len(mask),
            own=mask_miou(segmented, mask, self.labels),
            given=mask_miou(segmented, self.true["mask"], self.labels)
            if "mask" in views
            else None,
            f1=f1_score(in_mask, drawn["classes"] > 0.5) if "classes" in drawn else None,
            given_f1=f1_score(in_mask, self.true["classes"] > 0.5) if "classes" in views else None,
        )
        if given is None:
            return row
        features = self.describe(image)
        near = self._nearest(features) / self._nearest(self._features).clamp(min=TINY)
        return replace(
            row,
            images=distance_ratio(features, self._features, seed=self.seed),
            masks=distance_ratio(self._shares_of(mask), self._shares, seed=self.seed),
            nearest=float(near),
        )

    @cached_property
    def _features(self) -> Tensor:
        return self.describe(self.true["image"])

    @cached_property
    def _shares(self) -> Tensor:
        return self._shares_of(self.true["mask"])

    @cached_property
    def _known(self) -> tuple[Tensor, Tensor]:
        """Features of the training images, and their scale."""
        known = self.describe(self.training["image"])
        scale = known.std(0).clamp(min=1e-6)
        return known / scale, scale

    def _shares_of(self, masks: Tensor) -> Tensor:
        return label_shares(masks, len(self.labels.names))

    def _nearest(self, features: Tensor) -> Tensor:
        known, scale = self._known
        return torch.cdist(features / scale, known).amin(1).median()


def _complete(dataset: SceneDataset, limit: int) -> Views:
    names = ("image", "classes", "mask")
    views = dataset.views(range(min(limit, len(dataset)))).only(names)
    return views.rows(views.having(names))


def _describe(model: SegmentedScene, device: torch.device) -> Callable[[Tensor], Tensor]:
    def describe(images: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [model.features(part.to(device)).cpu() for part in images.split(TOGETHER)]
        return torch.cat(parts)

    return describe


def _drawn(
    assembly: Assembly, views: Views, given: ViewNames, labels: Labels, seed: int
) -> dict[str, Tensor]:
    """Draw one scene for each true one, from the prior or given some of its views."""
    if not given:
        return sample(assembly, None, labels, n=len(views), seed=seed).views
    parts = [
        sample(assembly, part, labels, n=1, seed=seed + number, batched=True).views
        for number, part in enumerate(chunks(views.only(given), assembly.device))
    ]
    return {name: torch.cat([part[name].squeeze(0) for part in parts]) for name in parts[0]}


def _spread(
    assembly: Assembly, views: Views, given: ViewNames, labels: Labels, seed: int
) -> float | None:
    """Compare the spread of colours over draws given one scene with that over true scenes."""
    few = views.rows(torch.arange(min(SPREAD_SCENES, len(views))))
    drawn = sample(
        assembly, few.only(given), labels, n=SPREAD_DRAWS, seed=seed, batched=True
    ).views
    images, masks = drawn["image"].transpose(0, 1), drawn["mask"].transpose(0, 1)
    count = len(labels.names)
    if "mask" in given:
        masks = few["mask"][:, None].expand_as(masks)
    over_draws = _variances(
        region_colours(*scene, count) for scene in zip(images, masks, strict=True)
    )
    over_scenes = _variances([region_colours(views["image"], views["mask"], count)])
    known = over_draws.isfinite() & (over_scenes > 0)
    if not known.any():
        return None
    return float((over_draws[known] / over_scenes[known]).mean().sqrt())


def _variances(groups: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the variance of each label's colour in a group, averaged over groups: ``(L,)``.

    It is NaN for a label that no group has twice.
    """
    sums: list[Tensor] = []
    counts: list[Tensor] = []
    for colours, there in groups:
        n = there.sum(0)
        weights = (there / n.clamp(min=1))[..., None]
        mean = (weights * colours).sum(0)
        variance = (weights * (colours - mean).square()).sum(0).mean(-1) * n / (n - 1).clamp(min=1)
        sums.append(torch.where(n > 1, variance, 0))
        counts.append(n > 1)
    return torch.stack(sums).sum(0) / torch.stack(counts).sum(0)
