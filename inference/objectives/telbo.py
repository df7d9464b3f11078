"""Objectives over subsets of the views, and the hybrid bound that also predicts from the prior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import pyro
import torch
from torch import Tensor, nn

from scene.models import SceneModel
from scene.registry import unknown
from scene.views import VIEWS, Views

from .bounds import Bound, Objective, Term
from .divergence import divergence


class Hybrid(Objective):
    """A bound with z from the guide, and the likelihood with z from the prior, weighed together.

    A cVAE learns with z of a posterior that has seen the mask, and predicts with z of a prior
    that has not. Where the first tells more than the second can know, the generator leans on it
    and its predictions are poor, however good the bound. The other term trains what is used.

    Args:
        joint: The bound; its K and weights are those of both terms.
        share: Weight of the term with z from the prior, from 0 to 1.

    Source:
        Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional
        Generative Models, eq. 7 (with 1 − α for ``share``) and 6 (the term, there called GSNN).
    """

    def __init__(self, joint: Bound, share: float = 0.5) -> None:
        super().__init__(joint.num_particles)
        self.joint, self.share = joint, share

    def warm(self, fraction: float) -> None:
        """Set the fraction of β that is in force in the bound."""
        super().warm(fraction)
        self.joint.warm(fraction)

    def terms(self, model: SceneModel, guide: nn.Module, views: Views) -> dict[str, Term]:
        """Work out the bound, and the term whose z come from the prior."""
        bounds = self.joint.terms(model, guide, views)
        if bounds:
            unseen = self.joint.term(
                model, _Prior(model), views, given=model.conditions, scored=model.views
            )
            assert unseen is not None  # the prior asks for no more than the guide
            bounds["prior"] = unseen
        return bounds

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Weigh the two."""
        if not terms:
            return super().total(terms, views)
        return (1 - self.share) * terms["joint"].bound + self.share * terms["prior"].bound


class _Prior(nn.Module):
    """A guide that believes what the model does before it has seen anything but the conditions."""

    def __init__(self, model: SceneModel) -> None:
        super().__init__()
        self._model = (model,)  # not a part of this one

    def forward(self, views: Views) -> Tensor:
        prior = self._model[0].prior(views)
        assert prior is not None
        with pyro.plate("scenes", len(views), dim=-1):
            return pyro.sample("z", prior)  # type: ignore[no-any-return]


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
    shares = [(drawn == place).nonzero().squeeze(1) for place in range(len(sets))]
    counts = able.sum(1).float()
    return [Share(rows.to(views.device), counts[rows].to(views.device)) for rows in shares]


def penalties(guide: Any, views: Views, subsets: Sequence[Subset]) -> dict[str, Term]:
    """Return the KL from the joint posterior to each subset's, on scenes that have every view.

    Returns:
        For each subset −KL(q(z | all) ‖ q(z | subset)); nothing if there is no such scene.
    """
    rows = views.having(guide.views)
    if not bool(rows.any()):
        return {}
    complete, terms = views.rows(rows), {}
    everything = guide.posterior(complete.only(guide.views))
    for subset in subsets:
        gap = divergence(everything, guide.posterior(complete.only(subset))).mean()
        terms["+".join(subset)] = Term(-gap, len(complete), {"kl": gap.detach()})
    return terms


SUBSETS = ("report", "singles", "all", "random")
"""The names `subsets` knows."""


_FOLLOWS = " follows"
"""What the name of a penalty ends with."""


def subsets(name: str, views: Sequence[str] = VIEWS) -> tuple[Subset, ...]:
    """List the subsets of views that retrofit terms condition on.

    ``report`` is {image, classes} and {mask}; ``singles`` each view alone; ``all`` every
    proper non-empty subset, the whole set being the joint term's; ``random`` lists the same, of
    which each step is to draw one. Any others can be written out, with commas between subsets
    and plus signs within.

    Raises:
        LookupError: If there is no such choice, or no such view.

    >>> subsets("report")
    (('image', 'classes'), ('mask',))
    >>> subsets("image,image+mask")
    (('image',), ('image', 'mask'))
    """
    match name:
        case "report":
            return (("image", "classes"), ("mask",))
        case "singles":
            return tuple((view,) for view in views)
        case "all" | "random":
            sizes = range(1, len(views))
            return tuple(subset for size in sizes for subset in combinations(views, size))
    written = [[view.strip() for view in part.split("+")] for part in name.split(",")]
    if not all(view in views for subset in written for view in subset):
        raise LookupError(
            unknown(name, SUBSETS, "choice of subsets") + "; or your own: image,image+classes."
        )
    ordered = (tuple(view for view in views if view in subset) for subset in written)
    return tuple(dict.fromkeys(ordered))  # one written twice would be worked out twice


class TELBO(Objective):
    """The mean of a joint bound and one retrofitted bound for each subset of the views.

    With subsets ``report``, ``predict="own"`` and ``generators="shared"`` this is exactly

        ELBO(image, classes, mask) + ELBO(image, classes) + ELBO(mask),

    each term drawing z from a posterior that sees just the views it scores. In that form
    nothing tells q(z | image, classes) about the mask; ``predict="all"`` scores every view
    observed, whatever was seen.

    Args:
        joint: The bound of the joint term.
        retrofit: The bound of the other terms; the joint one if left out.
        subsets: What each retrofit term conditions on.
        predict: What retrofit terms score: their ``own`` views, or ``all`` observed ones.
        generators: ``shared``: retrofit terms train the generators too; ``stopped``: they train
            only the inference networks.
        turns: What is left to chance, on average the same for scenes with every view: ``all``:
            nothing; ``step``: one of the subsets is drawn for a step, in place of all; ``scene``:
            a term is drawn for each scene, evenly among those it has the views for, so that a
            step costs hardly more than one bound does.
        alpha: Weight of Σ KL(q(z | all) ‖ q(z | subset)), `JMVAE`'s penalties, beside that mean.

    Source:
        Vedantam et al. (2018), Generative Models of Visually Grounded Imagination, eq. 2,
        https://arxiv.org/abs/1705.10762
    """

    def __init__(
        self,
        joint: Bound,
        retrofit: Bound | None = None,
        subsets: Sequence[Subset] = (("image", "classes"), ("mask",)),
        predict: Literal["own", "all"] = "all",
        generators: Literal["shared", "stopped"] = "shared",
        turns: Turns = "all",
        alpha: float = 0.0,
    ) -> None:
        super().__init__(joint.num_particles)
        self.joint, self.retrofit = joint, retrofit or joint
        self.subsets, self.predict, self.generators = tuple(subsets), predict, generators
        self.turns, self.alpha = turns, alpha

    def warm(self, fraction: float) -> None:
        """Set the fraction of β that is in force, in every term."""
        super().warm(fraction)
        self.joint.warm(fraction)
        self.retrofit.warm(fraction)

    def conditionings(self, guide: Any) -> frozenset[frozenset[str]]:
        """List all views together, and each subset."""
        return frozenset({frozenset(guide.views), *map(frozenset, self.subsets)})

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Work out the joint term, then one for each subset."""
        views = views.with_cache()  # each is read once, however many posteriors ask
        turn = _turn(self.subsets, self.turns != "all")
        sets = (tuple(guide.views), *(turn if self.turns == "step" else self.subsets))
        shares = deal(views, sets) if self.turns == "scene" else [None] * len(sets)
        bounds: dict[str, Term] = {}
        for place, (given, share) in enumerate(zip(sets, shares, strict=True)):
            if term := self._term(model, guide, views, given, place == 0, share):
                bounds["joint" if place == 0 else "+".join(given)] = term
        if self.alpha and bounds:
            gaps = penalties(guide, views, turn)
            bounds |= {f"{name}{_FOLLOWS}": gap for name, gap in gaps.items()}
        return bounds

    def _term(
        self, model: Any, guide: Any, views: Views, given: Subset, joint: bool, share: Share | None
    ) -> Term | None:
        """Work out one term, on the scenes whose turn it is."""
        counts = None
        if share is not None:
            if not len(share.rows):
                return None
            views, counts = views.rows(share.rows), share.counts
        if joint:
            return self.joint.term(model, guide, views, given, model.views, counts)
        scored = given if self.predict == "own" else model.views
        with _stopped(model) if self.generators == "stopped" else nullcontext():
            return self.retrofit.term(model, guide, views, given, scored, counts)

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Average the bounds in use; what is drawn from n subsets counts n times."""
        gaps = [term.bound for name, term in terms.items() if name.endswith(_FOLLOWS)]
        bounds = {name: term for name, term in terms.items() if not name.endswith(_FOLLOWS)}
        times = 1 if self.turns == "all" else len(self.subsets)
        if self.turns != "step" or "joint" not in bounds or len(bounds) == 1:
            mean = super().total(bounds, views)
        else:
            joint, drawn = (term.bound for term in bounds.values())
            mean = (joint + times * drawn) / (1 + times)
        return mean + self.alpha * times * torch.stack(gaps).sum() if gaps else mean


class JMVAE(Objective):
    """The joint bound, less α times how far each subset's posterior is from the joint one.

    Args:
        joint: The bound of the joint term.
        subsets: The subsets of views whose posteriors follow the joint one.
        alpha: Weight of Σ KL(q(z | all) ‖ q(z | subset)).
        turns: ``all`` penalties a step, or one drawn for the ``step``, which counts for all.

    Source:
        Suzuki et al. (2016), Joint Multimodal Learning with Deep Generative Models, eq. 6
        (JMVAE-kl), https://arxiv.org/abs/1611.01891
    """

    def __init__(
        self,
        joint: Bound,
        subsets: Sequence[Subset] = (("image",), ("classes",), ("mask",)),
        alpha: float = 1.0,
        turns: Literal["all", "step"] = "all",
    ) -> None:
        super().__init__(joint.num_particles)
        self.joint, self.subsets, self.alpha = joint, tuple(subsets), alpha
        self.turns = turns

    def warm(self, fraction: float) -> None:
        """Set the fraction of β that is in force in the joint term."""
        super().warm(fraction)
        self.joint.warm(fraction)

    def conditionings(self, guide: Any) -> frozenset[frozenset[str]]:
        """List all views together, and each subset."""
        return frozenset({frozenset(guide.views), *map(frozenset, self.subsets)})

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Work out the joint term, and a penalty for each subset."""
        views = views.with_cache()
        bounds = self.joint.terms(model, guide, views)
        turn = _turn(self.subsets, self.turns == "step")
        return bounds | penalties(guide, views, turn) if bounds else bounds

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Add the joint bound and α times each penalty."""
        if not terms:
            return super().total(terms, views)
        penalties = [term.bound for name, term in terms.items() if name != "joint"]
        joint: Tensor = terms["joint"].bound
        weight = self.alpha * (len(self.subsets) if self.turns == "step" else 1)
        return joint + weight * torch.stack([torch.zeros_like(joint), *penalties]).sum()


def _turn(subsets: Sequence[Subset], one: bool) -> Sequence[Subset]:
    """List the subsets to work on: all, or one drawn by torch's generator."""
    return (subsets[int(torch.randint(len(subsets), ()))],) if one else subsets


@contextmanager
def _stopped(model: nn.Module) -> Iterator[None]:
    """Treat the model's parameters as constants for what is computed inside."""
    learning = [p for p in model.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
