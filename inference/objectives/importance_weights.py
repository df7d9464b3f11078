"""The importance weights p(x, z) / q(z | x): the one quantity every bound is a reduction of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask, sum_rightmost
from torch import Tensor

from .divergence import divergence_at

Program = Callable[..., Any]
"""A Pyro model or guide: anything that samples when called."""


@dataclass(frozen=True)
class Evidence:
    """The log densities of one pass of guide and model: B scenes with K particles each.

    Attributes:
        likelihoods: log p(view | z) of each observed site, ``(K, B)``, in nats.
        log_prior: log p(z), ``(K, B)``, summed over latent sites.
        log_q: log q(z | views), ``(K, B)``, summed over latent sites and those that the guide
            marks ``is_auxiliary``, as Pyro's own guides do.
        divergence: KL(q ‖ p), ``(K, B)``, in closed form for every latent site, or for every
            level of one at the draw; None where there is none.
        latents: What was drawn at each latent site, ``(K, B, …)``; ``(B, …)`` if K = 1.
        trust: What each scene's likelihood of a site counts in learning, ``(B,)``; 1 where a
            site is not named. It is no part of p: the likelihoods here are what the model says.
    """

    likelihoods: dict[str, Tensor]
    log_prior: Tensor
    log_q: Tensor
    divergence: Tensor | None
    latents: dict[str, Tensor]
    trust: Mapping[str, Tensor] = field(default_factory=dict)

    def log_likelihood(self, weights: Mapping[str, float] | None = None) -> Tensor:
        """Sum the likelihoods, each times its view's weight and its scene's trust: ``(K, B)``."""
        weights = weights or {}
        terms = [
            weights.get(name, 1.0) * term * self.trust.get(name, 1.0)
            for name, term in self.likelihoods.items()
        ]
        return torch.stack([torch.zeros_like(self.log_q), *terms]).sum(0)

    def log_weights(self, beta: float = 1.0, weights: Mapping[str, float] | None = None) -> Tensor:
        """Form log p(x | z) + β (log p(z) − log q(z | x)): ``(K, B)``."""
        return self.log_likelihood(weights) + beta * (self.log_prior - self.log_q)


def log_weights(model: Program, guide: Program, *args: Any, particles: int = 1) -> Tensor:
    """Weigh K draws from the guide by the model.

    Args:
        model: A Pyro program whose every site lies in a plate over scenes at dim −1.
        guide: A Pyro program of the same arguments and latent sites.
        args: What both are called with; usually a batch of views.
        particles: K, the draws per scene.

    Returns:
        log p(x, z) − log q(z | x), ``(K, B)``, in nats; differentiable.

    Raises:
        ValueError: If a site lies outside the plate, so that no bound per scene exists.
    """
    return evidence(model, guide, *args, particles=particles).log_weights()


def evidence(
    model: Program,
    guide: Program,
    *args: Any,
    particles: int = 1,
    exact_kl: bool = False,
    pathwise: bool = False,
) -> Evidence:
    """Run guide and model once, all particles side by side, and keep the parts apart.

    Args:
        model: As in `log_weights`.
        guide: As in `log_weights`.
        args: As in `log_weights`.
        particles: K, the draws per scene.
        exact_kl: Also work out the KL in closed form, where there is one.
        pathwise: Hold q's parameters in log q: its gradient reaches the guide through z alone.

    Raises:
        ValueError: As `log_weights`, and `held_log_prob` if ``pathwise``.
    """
    drawn = poutine.trace(_side_by_side(guide, particles)).get_trace(*args)
    scored = poutine.trace(poutine.replay(_side_by_side(model, particles), trace=drawn)).get_trace(
        *args
    )
    _require_plates(drawn)
    _require_plates(scored)
    drawn.compute_log_prob()
    scored.compute_log_prob()
    latents = [name for name in _latents(drawn) if name in scored.nodes]
    auxiliary = [n for n in _latents(drawn) if drawn.nodes[n]["infer"].get("is_auxiliary")]
    likelihoods = {name: scored.nodes[name]["log_prob"] for name in scored.observation_nodes}
    believed = (*latents, *auxiliary)
    held = held_log_prob(drawn, believed) if pathwise else {}
    log_q = [held.get(name, drawn.nodes[name]["log_prob"]) for name in believed]
    shape = torch.broadcast_shapes(*(t.shape for t in [*likelihoods.values(), *log_q]))
    full = torch.Size((particles, shape[-1]))
    zero = torch.zeros(full, device=next(iter([*likelihoods.values(), *log_q])).device)
    return Evidence(
        {name: term.expand(full) for name, term in likelihoods.items()},
        sum((scored.nodes[name]["log_prob"].expand(full) for name in latents), zero),
        sum((term.expand(full) for term in log_q), zero),
        _divergence(drawn, scored, latents, zero) if exact_kl and not auxiliary else None,
        {name: drawn.nodes[name]["value"] for name in latents},
    )


def _side_by_side(program: Program, particles: int) -> Program:
    def run(*args: Any) -> Any:
        with pyro.plate("particles", particles, dim=-2):
            return program(*args)

    return run if particles > 1 else program


def _latents(trace: Any) -> list[str]:
    """Name what was drawn; Pyro's own list holds the plates too."""
    return [name for name in trace.stochastic_nodes if not _is_plate(trace.nodes[name])]


def _is_plate(site: Any) -> bool:
    return type(site["fn"]).__name__ == "_Subsample"


def _require_plates(trace: Any) -> None:
    for name, site in trace.nodes.items():
        if site["type"] != "sample" or _is_plate(site):
            continue
        if not any(frame.dim == -1 for frame in site["cond_indep_stack"]):
            raise ValueError(
                f"Site {name!r} lies outside the plate over scenes; put every sample statement "
                'inside `with pyro.plate("scenes", B, dim=-1)`, or the bound is not one per scene.'
            )


def _divergence(drawn: Any, scored: Any, latents: list[str], zero: Tensor) -> Tensor | None:
    total = zero
    for name in latents:
        try:
            site = drawn.nodes[name]
            kl = divergence_at(site["fn"], scored.nodes[name]["fn"], site["value"])
        except NotImplementedError:
            return None
        total = total + scale_and_mask(kl, site["scale"], site["mask"])
    return total


def held_log_prob(trace: Any, names: Sequence[str]) -> dict[str, Tensor]:
    """Score draws by the densities they came from, as if these had constant parameters.

    The value is log q(z); the gradient reaches the guide through z alone. For that, the slope of
    log q at z is worked out from the site's own distribution, so that no network runs twice.

    Args:
        trace: Of a guide, its log densities computed.
        names: Its latent sites.

    Returns:
        For each site log q, ``(B,)`` or ``(K, B)``, in nats.

    Raises:
        ValueError: If a site cannot be reparameterised, was drawn given another, or is auxiliary,
            or if its density has no inverse and so cannot score a z it did not just draw.

    Source:
        Roeder et al. (2017), Sticking the Landing, eq. 5, https://arxiv.org/abs/1703.09194
    """
    for name in names:
        _require_path(name, trace.nodes[name])
    sites = {name: trace.nodes[name] for name in names}
    if any(site["value"].requires_grad for site in sites.values()):
        _require_apart(sites)
    return {name: _held(name, site) for name, site in sites.items()}


def _held(name: str, site: Any) -> Tensor:
    z: Tensor = site["value"]
    value: Tensor = site["log_prob"].detach()
    if not (torch.is_grad_enabled() and z.requires_grad):
        return value
    leaf = z.detach().requires_grad_()
    scored = _scored(name, site, leaf)
    (slope,) = torch.autograd.grad(scored.sum(), leaf, retain_graph=True)
    path: Tensor = sum_rightmost(slope * (z - leaf.detach()), site["fn"].event_dim)
    return value + path  # of which nothing but the gradient is not 0


def _scored(name: str, site: Any, z: Tensor) -> Tensor:
    try:
        log_prob = site["fn"].log_prob(z)
    except (NotImplementedError, KeyError) as error:  # Pyro's transforms say it with a KeyError
        raise ValueError(
            f"The transform of {name!r} has no inverse, so its density is known only for its own "
            "last sample; use iwae or elbo, or a guide that can score any z."
        ) from error
    return scale_and_mask(log_prob, site["scale"], site["mask"])  # type: ignore[no-any-return]


def _require_path(name: str, site: Any) -> None:
    if site["infer"].get("is_auxiliary"):
        raise ValueError(
            f"{name!r} is an auxiliary site of the guide, so the density of the sites that "
            "depend on it is unknown; use iwae or elbo, or a guide that samples its latents "
            "directly."
        )
    if not site["fn"].has_rsample:
        density = getattr(site["fn"], "base_dist", site["fn"])  # within Independent
        raise ValueError(
            f"The guide draws {name!r} from a {type(density).__name__}, which cannot be "
            "reparameterised; choose a guide whose latents are continuous, such as a Normal."
        )


def _require_apart(sites: dict[str, Any]) -> None:
    """Refuse sites drawn given others: a slope at one would have to know of the others' paths."""
    for name, site in sites.items():
        others = [s["value"] for n, s in sites.items() if n != name and s["value"].requires_grad]
        if not others or not site["log_prob"].requires_grad:
            continue
        log_q = _scored(name, site, site["value"].detach())
        if not log_q.requires_grad:
            continue
        slopes = torch.autograd.grad(log_q.sum(), others, retain_graph=True, allow_unused=True)
        if any(slope is not None for slope in slopes):
            raise ValueError(
                f"The guide draws {name!r} given another latent; dreg and stl need latents drawn "
                "given the views alone; choose iwae or elbo."
            )
