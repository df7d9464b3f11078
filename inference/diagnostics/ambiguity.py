"""Ambiguity: whether masks drawn given an image are those that it may have, as often as it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.datasets.base import Readings, SceneDataset
from scene.labels import VOID, Labels

from ..build import Assembly
from ..prediction.sample import sample
from .posteriors import chunks

DRAWS = 16
"""Masks drawn for each image, as in the literature."""

NEAR = 0.75
"""Largest distance of a draw to a reading that it counts as: a mean IoU of a quarter or more."""

_BINS = 10


@dataclass(frozen=True)
class Share:
    """How often readings of about one probability were drawn.

    Attributes:
        probability: Mean probability of these readings.
        share: Mean share of the draws that are nearest to them.
        readings: Their number.
    """

    probability: float
    share: float
    readings: int


@dataclass(frozen=True)
class AmbiguityScore:
    """How masks drawn given an image compare with p(mask | image), averaged over scenes.

    D² is the generalised energy distance of `energy_distance`, with pairs of a draw and itself
    among all pairs, so that n exact draws have a D² above 0, too.

    Attributes:
        scenes: Number of scenes.
        ambiguous: Those with more than one reading.
        draws: n, the masks drawn for each image. A model without z draws the same mask n times:
            the most probable label of each pixel.
        energy: D² of the draws.
        exact: D² that n exact draws have on average.
        best_single: D² of the most probable reading alone: a perfect model without variety.
        nearest: D² after each draw is replaced by the reading nearest to it; a draw near none is
            at distance 1 from all of them. It is D² without what imprecise outlines add, so that
            a calibrated model has that of exact draws.
        astray: Share of the draws that are near no reading, farther than `NEAR` from each.
        outline: Mean distance of a draw to the reading nearest to it, over the other draws; None
            where there are none.
        share_error: Mean difference of the share of draws nearest to a reading and the reading's
            probability, over readings of ambiguous scenes; None where no scene is ambiguous.
        exact_share_error: The same of n exact draws, on average.
        shares: The shares by probability, over readings of ambiguous scenes.
    """

    scenes: int
    ambiguous: int
    draws: int
    energy: float
    exact: float
    best_single: float
    nearest: float
    astray: float
    outline: float | None
    share_error: float | None
    exact_share_error: float | None
    shares: tuple[Share, ...]

    @property
    def ratio(self) -> float | None:
        """D² of the draws divided by that of exact draws; None where no scene is ambiguous."""
        return self.energy / self.exact if self.exact else None

    @property
    def nearest_ratio(self) -> float | None:
        """D² of the nearest readings by that of exact draws; None where none is ambiguous."""
        return self.nearest / self.exact if self.exact else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "ratio": self.ratio, "nearest_ratio": self.nearest_ratio}


def ambiguity(
    assembly: Assembly,
    dataset: SceneDataset,
    *,
    draws: int = DRAWS,
    limit: int = 300,
    seed: int = 0,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> AmbiguityScore:
    """Draw masks given each image as by ``scene sample``, and compare them with its readings.

    Args:
        assembly: A model that draws masks given an image, in evaluation mode.
        dataset: Scenes with readings, see `scene.datasets.base.SceneDataset.readings`.
        draws: n, the masks drawn for each image.
        limit: Use the first so many scenes.
        seed: Seed of all draws.
        watch: Called with the number of scenes done, and of all.

    Raises:
        LookupError: If the dataset has no readings.
        ValueError: If the model does not draw masks, or has no posterior given an image.
    """
    if "mask" not in assembly.model.views:
        raise ValueError("Only a model that draws masks can be compared with readings of masks.")
    count = min(limit, len(dataset))
    readings = [dataset.readings(index) for index in range(count)]
    labels, scores = dataset.schema.labels, []
    for masks, known in zip(_drawn(assembly, dataset, count, draws, seed), readings, strict=True):
        scores.append(_compare(masks, known, labels))
        watch(len(scores), count)
    return _averaged(scores, readings, draws)


def mask_distances(ours: Tensor, theirs: Tensor, labels: Labels) -> Tensor:
    """Return 1 − mean IoU between masks, over the classes present in either of the two.

    Two masks without any class have distance 0. Pixels that are void in either mask do not count.

    Args:
        ours: ``(M, H, W)`` label ids.
        theirs: ``(N, H, W)`` label ids.
        labels: The vocabulary; its background is no class.

    Returns:
        ``(M, N)`` float64, 0 to 1.

    Source:
        Kohl et al. (2018), A Probabilistic U-Net, section 3, https://arxiv.org/abs/1806.05034

    >>> cat = Labels(("background", "cat"))
    >>> mask_distances(torch.tensor([[[0, 1]], [[0, 0]]]), torch.tensor([[[1, 1]], [[0, 0]]]), cat)
    tensor([[0.5000, 1.0000],
            [1.0000, 0.0000]], dtype=torch.float64)
    """
    (a, a_known), (b, b_known) = (_one_hot(masks, labels) for masks in (ours, theirs))
    both = torch.einsum("mlp,nlp->mnl", a, b)
    either = torch.einsum("mlp,np->mnl", a, b_known) + torch.einsum("nlp,mp->mnl", b, a_known)
    union = either - both
    present = union > 0
    iou = (both / union.clamp(min=1)).sum(-1) / present.sum(-1).clamp(min=1)
    return torch.where(present.any(-1), 1 - iou, torch.zeros_like(iou))


def energy_distance(distances: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Return D² = 2 E[d(S, Y)] − E[d(S, S')] − E[d(Y, Y')] for S ~ p, Y ~ q, as −(p−q)ᵀ d (p−q).

    With p = 1/n on each of n draws, E[d(S, S')] is over all n² pairs, those of a draw and itself
    included (a V-statistic): D² is at least 0, and that of exact draws falls as E[d(Y, Y')] / n.

    Args:
        distances: d between M masks, ``(M, M)``.
        p: Probabilities of one distribution over them, ``(M,)``.
        q: Probabilities of the other, ``(M,)``.

    Source:
        Kohl et al. (2018), A Probabilistic U-Net, eq. 4; Székely & Rizzo (2013), Energy
        statistics: a class of statistics based on distances.

    >>> energy_distance(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), *torch.eye(2))
    tensor(2.)
    """
    gap = p - q
    return -(gap @ distances @ gap)


def expected_share_error(probability: float, draws: int) -> float:
    """Return E |k / n − p| of k ~ Binomial(n, p): how far exact draws' share is from p.

    >>> expected_share_error(0.5, 1)
    0.5
    """
    p, n = probability, draws
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) * abs(k / n - p) for k in range(n + 1))


@dataclass(frozen=True)
class _Scene:
    """The measures of one scene, and the share of draws nearest to each reading.

    ``outline`` is a sum over draws near a reading, divided by n.
    """

    energy: float
    exact: float
    best_single: float
    nearest: float
    astray: float
    outline: float
    shares: Tensor


def _compare(drawn: Tensor, known: Readings, labels: Labels) -> _Scene:
    """Compare masks ``(n, H, W)`` with the readings of their image."""
    n, q = len(drawn), known.probabilities.double()
    masks = torch.cat([drawn, known.masks.long()])
    distances = mask_distances(masks, masks, labels)
    uniform = torch.full((n,), 1 / n, dtype=torch.float64)
    none = torch.zeros_like
    between, across = distances[n:, n:], distances[:n, n:]
    least = across.amin(1, keepdim=True)
    near = (least <= NEAR).double()
    nearest = (across <= least + 1e-9).double()
    shares = (near * nearest / nearest.sum(1, keepdim=True)).mean(0)  # ties are shared
    astray = 1 - shares.sum(0, keepdim=True)
    with_none = F.pad(between, (0, 1, 0, 1), value=1.0)
    with_none[-1, -1] = 0
    top = F.one_hot(q.argmax(), len(q)).double()
    p, truth = torch.cat([uniform, none(q)]), torch.cat([none(uniform), q])
    return _Scene(
        energy=float(energy_distance(distances, p, truth)),
        exact=float(q @ between @ q) / n,
        best_single=float(energy_distance(between, top, q)),
        nearest=float(energy_distance(with_none, torch.cat([shares, astray]), F.pad(q, (0, 1)))),
        astray=float(astray),
        outline=float((near * least).mean()),
        shares=shares,
    )


def _drawn(
    assembly: Assembly, dataset: SceneDataset, count: int, draws: int, seed: int
) -> Iterator[Tensor]:
    """Draw masks given the image of each scene, ``(n, H, W)`` on the CPU."""
    labels = dataset.schema.labels
    for number, part in enumerate(_images(assembly, dataset, count, draws)):
        drawn = sample(assembly, part, labels, n=draws, seed=seed + number, batched=True).mask
        assert drawn is not None
        yield from drawn.cpu().expand(draws, *drawn.shape[1:]).transpose(0, 1)


def _images(assembly: Assembly, dataset: SceneDataset, count: int, draws: int) -> Iterator[Any]:
    yield from chunks(dataset.views(range(count)).only(("image",)), assembly.device, draws)


def _one_hot(masks: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
    """Return which pixels are of each class ``(M, C, P)``, and which are not void ``(M, P)``."""
    pixels = masks.flatten(1)
    ids = torch.tensor(labels.ids, device=masks.device)
    return (pixels[:, None] == ids[:, None]).double(), (pixels != VOID).double()


def _averaged(scenes: list[_Scene], readings: list[Readings], draws: int) -> AmbiguityScore:
    """Average over scenes, and over readings of ambiguous scenes."""
    several = [s for s, known in zip(scenes, readings, strict=True) if len(known.masks) > 1]
    q = torch.cat([r.probabilities for r in readings if len(r.masks) > 1] or [torch.empty(0)])
    shares = torch.cat([s.shares for s in several] or [torch.empty(0)])
    exact = [expected_share_error(p, draws) for p in q.tolist()]
    mean = {
        name: sum(getattr(s, name) for s in scenes) / len(scenes)
        for name in ("energy", "exact", "best_single", "nearest", "astray")
    }
    near = sum(1 - s.astray for s in scenes)
    return AmbiguityScore(
        scenes=len(scenes),
        ambiguous=len(several),
        draws=draws,
        **mean,
        outline=sum(s.outline for s in scenes) / near if near > 0 else None,
        share_error=float((shares - q).abs().mean()) if len(q) else None,
        exact_share_error=sum(exact) / len(exact) if exact else None,
        shares=tuple(_by_probability(q, shares)),
    )


def _by_probability(q: Tensor, shares: Tensor) -> Iterator[Share]:
    """Average the shares of readings whose probabilities round to the same tenth."""
    bins = (q * _BINS).round()
    for number in bins.unique():
        these = bins == number
        yield Share(float(q[these].mean()), float(shares[these].mean()), int(these.sum()))
