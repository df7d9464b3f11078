"""Bounds on log p: the ELBO, IWAE, Rényi's, and estimators of their gradients (DReG, STL).

A new bound is a few lines::

    class Median(Bound):
        def reduce(self, log_w):
            return log_w.median(0).values

and ``scene train telbo --objective my/file.py:Median`` uses it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyro.infer
import torch
from pyro.infer.enum import get_importance_trace
from torch import Tensor

from scene.views import Views

from .importance_weights import Evidence, evidence


@dataclass(frozen=True)
class Term:
    """One bound of an objective, averaged over the scenes that use it.

    Attributes:
        bound: A scalar in nats, differentiable.
        scenes: How many scenes it averages over.
        parts: Unweighted means, detached: each view's log likelihood, and ``kl``.
    """

    bound: Tensor
    scenes: int
    parts: dict[str, Tensor]


def elbo(log_w: Tensor) -> Tensor:
    """Average K log weights: ``(K, B)`` to ``(B,)``, in nats.

    >>> elbo(torch.tensor([[0.0], [2.0]]))
    tensor([1.])
    """
    return log_w.mean(0)


def iwae(log_w: Tensor) -> Tensor:
    """Take the log of the average of K weights: ``(K, B)`` to ``(B,)``, in nats.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8,
        https://arxiv.org/abs/1509.00519

    >>> iwae(torch.tensor([[0.0], [0.0]]))
    tensor([0.])
    """
    return log_w.logsumexp(0) - math.log(len(log_w))


class Objective(pyro.infer.ELBO):
    """What every objective shares: it is a Pyro ELBO made of terms, each a mean over scenes.

    ``objective(model, guide)`` is an ``ELBOModule``: call it with a batch for the loss.

    Args:
        particles: K, the draws per scene.

    Raises:
        ValueError: If there is not at least one particle.
    """

    warmth: float = 1.0
    """Fraction of β in force; training raises it from 0 to 1 during the KL warm-up."""

    def __init__(self, particles: int = 1) -> None:
        if particles < 1:
            raise ValueError(f"An objective needs 1 particle or more, not {particles}.")
        super().__init__(num_particles=particles, max_plate_nesting=2, vectorize_particles=True)

    def warm(self, fraction: float) -> None:
        """Set the fraction of β that is in force."""
        self.warmth = fraction

    def conditionings(self, guide: Any) -> frozenset[frozenset[str]]:
        """List the sets of views given which this objective trains a posterior of its own."""
        return frozenset({frozenset(guide.views)})

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Work out each term on a batch; one that no scene can use is left out."""
        raise NotImplementedError

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Combine the terms into the scalar to maximise: their mean, over those in use."""
        if not terms:
            return torch.zeros((), device=views.device, requires_grad=True)
        return torch.stack([term.bound for term in terms.values()]).mean()

    def differentiable_loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return minus the objective: nats per scene, averaged over the scenes that use each term.

        Pyro's own ELBOs sum over scenes where this one averages.
        """
        (views,) = args
        return -self.total(self.terms(model, guide, views), views)

    def loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> float:
        """Return minus the objective as a float, without gradients."""
        with torch.no_grad():
            return float(self.differentiable_loss(model, guide, *args, **kwargs))

    def loss_and_grads(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> float:
        """Return minus the objective as a float, and leave gradients in the parameters."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        loss.backward()
        return float(loss.detach())

    def _get_trace(self, model: Any, guide: Any, args: Any, kwargs: Any) -> Any:
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)


class Bound(Objective):
    """An objective of one term: a bound on log p(views), given what the guide can read.

    Args:
        particles: K, the draws per scene.
        beta: Weight of log p(z) − log q(z | x).
        weights: Weight of each view's likelihood; 1 where not named.
    """

    def __init__(
        self,
        particles: int = 1,
        beta: float = 1.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(particles)
        self.beta, self.weights = beta, dict(weights or {})

    def reduce(self, log_w: Tensor) -> Tensor:
        """Turn ``(K, B)`` log weights into ``(B,)`` bounds."""
        raise NotImplementedError

    def bound(self, densities: Evidence) -> Tensor:
        """Turn what one pass said into ``(B,)`` bounds."""
        return self.reduce(densities.log_weights(self.beta * self.warmth, self.weights))

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Score every observed view, given all that the guide reads."""
        term = self.term(model, guide, views, given=guide.views, scored=model.views)
        return {"joint": term} if term else {}

    def term(
        self,
        model: Any,
        guide: Any,
        views: Views,
        given: Collection[str],
        scored: Iterable[str],
        counts: Tensor | None = None,
    ) -> Term | None:
        """Bound log p(scored views), drawing z from q(z | given views).

        ``views.likelihood_weights`` multiply each scene's log likelihoods; the mean is over all
        scenes, whatever their weights.

        Args:
            model: Gives p.
            guide: Gives q.
            views: A batch of B scenes, partly labelled.
            given: What q sees. Only scenes that have all of it are used.
            scored: What p explains, wherever it was observed.
            counts: What each scene counts in the mean, ``(B,)``; 1 if left out.

        Returns:
            The term, or None if no scene has every view given, or none to be scored.
        """
        conditions = tuple(getattr(model, "conditions", ()))
        scored = tuple(name for name in scored if name in views)
        if not scored:
            return None
        usable = views.having({*given, *conditions})
        observed = torch.stack([views.present[name] for name in scored]).any(0)
        rows = usable & observed
        count = int(rows.sum())
        if not count:
            return None
        batch = views.rows(rows)
        inputs, outputs = batch.only(given), batch.only({*scored, *conditions})
        densities = evidence(
            lambda: model(outputs),
            lambda: guide(inputs),
            particles=self.num_particles,
            exact_kl=self.exact_kl,
            pathwise=self.pathwise,
        )
        bound = self.bound(replace(densities, trust=outputs.likelihood_weights))
        mean = bound.mean() if counts is None else _mean(bound, counts[rows])
        return Term(mean, count, _parts(densities, outputs))

    exact_kl: bool = False
    """Whether `bound` wants the closed form of the KL."""

    pathwise: bool = False
    """Whether `bound` wants log q to reach the guide through z alone."""


class ELBO(Bound):
    """The evidence lower bound, averaged over K draws.

    Args:
        particles: K, the draws per scene.
        beta: Weight of the KL.
        weights: Weight of each view's likelihood; 1 where not named.
        analytic: Use the closed form of KL(q ‖ p) where there is one.
        free_bits: Nats of KL, a scene on average over the batch, that cost the same as none:
            while there are fewer, nothing pulls q to the prior.

    Raises:
        ValueError: If ``free_bits`` is negative or not finite.

    Source:
        Kingma & Welling (2014), Auto-Encoding Variational Bayes, eq. 3 and 10,
        https://arxiv.org/abs/1312.6114; β: Higgins et al. (2017); free bits: Kingma et al.
        (2016), Improved Variational Inference with Inverse Autoregressive Flow, eq. 15, with
        all of z as one group, https://arxiv.org/abs/1606.04934
    """

    def __init__(
        self,
        particles: int = 1,
        beta: float = 1.0,
        weights: Mapping[str, float] | None = None,
        analytic: bool = True,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(particles, beta, weights)
        if not 0 <= free_bits < math.inf:
            raise ValueError(f"Free bits must be 0 nats or more, not {free_bits}.")
        self.exact_kl, self.free_bits = analytic, free_bits

    def reduce(self, log_w: Tensor) -> Tensor:
        """Average."""
        return elbo(log_w)

    def bound(self, densities: Evidence) -> Tensor:
        """Average, with the KL in closed form where that is known and wanted."""
        kl = (
            densities.log_q - densities.log_prior
            if densities.divergence is None
            else densities.divergence
        )
        if self.free_bits:
            kl = kl + (self.free_bits - kl.mean()).clamp(min=0)
        return self.reduce(densities.log_likelihood(self.weights) - self.beta * self.warmth * kl)


class IWAE(Bound):
    """The importance-weighted bound: the ELBO at K = 1, log p(x) as K grows.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8.
    """

    def reduce(self, log_w: Tensor) -> Tensor:
        """Take the log of the mean weight."""
        return iwae(log_w)


def _mean(bound: Tensor, counts: Tensor) -> Tensor:
    return (bound * counts).sum() / counts.sum()


def _parts(densities: Evidence, outputs: Views) -> dict[str, Tensor]:
    parts = {"kl": (densities.log_q - densities.log_prior).detach().mean()}
    for name, term in densities.likelihoods.items():
        seen = outputs.present[name].float() if name in outputs else torch.ones_like(term[0])
        parts[name] = (term.detach() * seen).mean(0).sum() / seen.sum().clamp(min=1)
    return parts


class Renyi(Bound):
    """The variational Rényi bound: between the importance-weighted one and the ELBO.

    Args:
        particles: K, the draws per scene; at K = 1 every α is the ELBO.
        beta: Weight of log p(z) − log q(z | x).
        weights: Weight of each view's likelihood; 1 where not named.
        alpha: 0 = `IWAE`, 1 = the sampled `ELBO`, more = more sceptical of large weights.

    Raises:
        ValueError: If ``alpha`` is negative, which gives no lower bound, or not finite.

    Source:
        Li & Turner (2016), Rényi Divergence Variational Inference, eq. 14.
    """

    def __init__(
        self,
        particles: int = 1,
        beta: float = 1.0,
        weights: Mapping[str, float] | None = None,
        alpha: float = 0.5,
    ) -> None:
        super().__init__(particles, beta, weights)
        if not 0 <= alpha < math.inf:
            raise ValueError(f"Rényi's alpha must be 0 or more, not {alpha}.")
        self.alpha = alpha

    def reduce(self, log_w: Tensor) -> Tensor:
        """Take the log of the mean of weights to the power 1 − α, over 1 − α."""
        return renyi(log_w, self.alpha)


def renyi(log_w: Tensor, alpha: float) -> Tensor:
    """Average K weights to the power 1 − α, as a log: ``(K, B)`` to ``(B,)``, in nats.

    It falls as α rises: α = 0 is `iwae`, α = 1 `elbo`.

    Source:
        Li & Turner (2016), Rényi Divergence Variational Inference, eq. 14,
        https://arxiv.org/abs/1602.02311

    >>> import torch
    >>> renyi(torch.tensor([[0.0], [0.0]]), 0.5)
    tensor([0.])
    """
    power = 1 - alpha
    return iwae(power * log_w) / power if power else elbo(log_w)


class STL(IWAE):
    """Sticking the landing: the guide learns through its draws alone, not from its own score.

    At K = 1 its gradient is the ELBO's on average, and vanishes for every single draw once q is
    the posterior. Biased for K > 1: its value is `IWAE`'s, but the guide then follows a direction
    that is not that bound's gradient even on average; `DReG` is the unbiased one. What the
    generators learn from is `IWAE`'s gradient, whatever K is.

    Source:
        Roeder et al. (2017), Sticking the Landing, eq. 5, https://arxiv.org/abs/1703.09194;
        the bias: Tucker et al. (2019), section 3.
    """

    pathwise = True


class DReG(IWAE):
    """The importance-weighted bound, its gradient doubly reparameterised: unbiased, less noise.

    Its value is `IWAE`'s, and so is what the generators learn from: normalised weights w̃. What
    comes back to the guide through z counts once more by w̃, so by w̃² in all; with a weight β of
    the KL, by w̃ (1 − β + β w̃), which keeps the gradient of that bound exact on average, too.

    Source:
        Tucker et al. (2019), Doubly Reparameterized Gradient Estimators for Monte Carlo
        Objectives, eq. 8, https://arxiv.org/abs/1810.04152
    """

    pathwise = True

    def bound(self, densities: Evidence) -> Tensor:
        """Reduce as `IWAE`, with a gate on what flows back through z."""
        beta = self.beta * self.warmth
        log_w = densities.log_weights(beta, self.weights)
        _gate(densities, 1 - beta + beta * log_w.detach().softmax(0))
        return self.reduce(log_w)


def _gate(densities: Evidence, factors: Tensor) -> None:
    """Multiply what flows back through each draw by its factor, ``(K, B)``; one draw keeps all."""
    for z in densities.latents.values():
        if z.requires_grad and len(factors) > 1:
            own = factors[(..., *[None] * (z.dim() - 2))]
            z.register_hook(lambda slope, own=own: own * slope)
