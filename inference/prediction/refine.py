"""Posteriors refined at test time: q(z | views) improved for the very scenes observed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from scene.priors.ladder import Ladder
from scene.storage.files import replace_file
from scene.views import Views

from ..build import Assembly
from ..objectives.bounds import elbo
from ..objectives.importance_weights import Evidence, evidence
from .predict import posterior

CHAIN = 200
"""States that a chain keeps at least, so that their mean and scatter say something."""

_DRAWS = 64  # of an ELBO that is reported
_PLOTTED = 12  # scenes in a picture
_DEPTH = 5  # of NUTS's tree: at most 31 leaps a state


@dataclass(frozen=True)
class Refinement:
    """How to refine.

    Attributes:
        method: ``svi``: a diagonal Normal a scene (under a prior of two levels, its posterior),
            climbing the ELBO; ``hmc``: from there, a chain of states of the exact posterior, by
            the No-U-Turn sampler.
        steps: Steps of Adam (``svi``, else 50), or of warm-up (``hmc``, else 100).

    Raises:
        ValueError: If there is not one step.
    """

    method: Literal["svi", "hmc"]
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"--refine-steps must be 1 or more, not {self.steps}.")

    @property
    def length(self) -> int:
        """The steps in force."""
        return self.steps or {"svi": 50, "hmc": 100}[self.method]


@dataclass(frozen=True, eq=False)
class RefinedPosterior:
    """The refined posteriors of B scenes.

    Attributes:
        posterior: Batch ``(B,)``, event ``(L,)``: the end of the climb, or the diagonal Normal of
            the chain's mean and standard deviation.
        z: Draws, ``(K, B, L)``: of the posterior, or states of the chain.
        elbo_before: ELBO of the observed views at the amortised posterior, ``(B,)`` in nats.
        elbo_after: ELBO of the observed views at ``posterior``, ``(B,)`` in nats.
        how: The method and its steps.
        acceptance: Mean acceptance probability of each chain, ``(B,)``; None for ``svi``.
    """

    posterior: dist.Distribution
    z: Tensor
    elbo_before: Tensor
    elbo_after: Tensor
    how: Refinement
    acceptance: Tensor | None = None

    def numpy(self) -> dict[str, np.ndarray]:
        """Return arrays: ``loc`` and ``scale`` (B, L), ``z`` (K, B, L), both ELBOs (B,)."""
        q: Any = self.posterior
        arrays = {
            "loc": q.mean,
            "scale": q.stddev,
            "z": self.z,
            "elbo_before": self.elbo_before,
            "elbo_after": self.elbo_after,
        }
        if self.acceptance is not None:
            arrays["acceptance"] = self.acceptance
        return {name: value.detach().cpu().numpy() for name, value in arrays.items()}

    def save(self, path: str | Path, *, force: bool = False) -> list[Path]:
        """Write the arrays of `numpy` to an ``.npz`` that is either whole or not there.

        Raises:
            FileExistsError: If it exists, and ``force`` does not allow replacing it.
            ValueError: If its name does not end in ``.npz``.
        """
        place = Path(path)
        if place.suffix != ".npz":
            raise ValueError(f"A posterior is kept as {place.stem}.npz, not as {place.name}.")
        if place.exists() and not force:
            raise FileExistsError(f"{place} exists; choose another, or --force to replace it.")
        place.parent.mkdir(parents=True, exist_ok=True)

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez(file, **self.numpy())  # type: ignore[arg-type]

        replace_file(place, write)
        return [place]

    def _repr_png_(self) -> bytes:
        from .outputs import png_of

        return png_of(self._draw)

    def _draw(self, path: Path) -> None:
        """Plot the nats of ELBO that each scene gained, for the first scenes."""
        from scene.figures.charts import Bars, draw_bars

        gained = (self.elbo_after - self.elbo_before).tolist()[:_PLOTTED]
        bars = Bars(
            tuple(f"scene {n}" for n in range(len(gained))), {"gain": [[nats] for nats in gained]}
        )
        before, after = self.elbo_before.mean(), self.elbo_after.mean()
        title = f"{self.how.method}: mean ELBO {before:.1f} → {after:.1f} nats"
        draw_bars(path, bars, scale="gain of the ELBO, nats", title=title)


def refine_posterior(
    assembly: Assembly, observed: Views, how: Refinement, draws: int = 8
) -> RefinedPosterior:
    """Refine the posterior of each scene given some of its views; the generators stay as they are.

    It starts at the amortised posterior, or at the prior where the guide has none for this set
    of views: so any subset of what the model explains will do, whatever the guide can read.
    Likelihoods count as they are, without weights.

    Args:
        assembly: Model and guide, in evaluation mode.
        observed: B scenes that have every view held.
        how: The method and its steps.
        draws: K.

    Raises:
        ValueError: If there is no z, or nothing to refine it by, or a chain never moved.

    Source:
        Kim et al. (2018), Semi-Amortized Variational Autoencoders,
        https://arxiv.org/abs/1802.02550; Hoffman & Gelman (2014), The No-U-Turn Sampler.
    """
    require_refinable(assembly, observed.names)
    model, start = assembly.model, _start(assembly, observed)
    before = bound(model, observed, start)
    if how.method == "svi":
        q = climb(model, observed, start, steps=how.length)
        return RefinedPosterior(
            q, q.sample(torch.Size((draws,))), before, bound(model, observed, q), how
        )
    near = climb(model, observed, start)
    states, acceptance = explore(
        model, observed, near, states=max(CHAIN, draws), warmup=how.length
    )
    scatter = states.std(0)
    if not bool((scatter > 0).all()):
        raise ValueError(
            "The HMC chain accepted no proposal; use more warm-up steps, such as "
            "--refine-steps 100."
        )
    q = dist.Normal(states.mean(0), scatter).to_event(1)
    apart = torch.linspace(0, len(states) - 1, draws).round().long().to(states.device)
    return RefinedPosterior(q, states[apart], before, bound(model, observed, q), how, acceptance)


def require_refinable(assembly: Assembly, observed: Collection[str]) -> None:
    """Refuse views by which nothing can be refined.

    Raises:
        ValueError: If the model has no latent, or explains none of these views, or lacks what it
            takes as given.
    """
    model = assembly.model
    if not model.latent:
        raise ValueError("This model has no z to refine; leave out --refine.")
    if missing := [name for name in model.conditions if name not in observed]:
        raise ValueError(f"This model conditions on the {missing[0]}; add it to the views.")
    if not set(observed) & set(model.views):
        raise ValueError(
            f"None of the views informs z in this model; add {' or '.join(model.views)}, or "
            "leave out --refine."
        )


def climb(
    model: Any,
    observed: Views,
    start: dist.Distribution,
    *,
    steps: int = 50,
    rate: float = 0.2,
    particles: int = 8,
) -> dist.Distribution:
    """Climb the ELBO by Adam on the mean and log scale of a diagonal Normal for each scene.

    Under a prior of two levels they are the vector's, and those of the grid's expert.

    Scenes are independent, so a batch of them climbs at once as each would alone.

    Args:
        model: A Pyro program whose one latent site is ``z``.
        observed: B scenes; what of them the model explains is scored.
        start: Where to begin; what is neither a diagonal Normal nor a `Ladder` is matched in mean
            and scale.
        steps: Steps of Adam; its rate falls to nothing as a cosine.
        rate: The first, in latent units.
        particles: K, the draws of each gradient.

    Returns:
        Batch ``(B,)``, event ``(L,)``.
    """
    family, loc, scale = _family(start)
    loc, log_scale = loc.requires_grad_(), scale.log().requires_grad_()
    optimizer = torch.optim.Adam([loc, log_scale])
    with torch.enable_grad():
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            q = family(loc, log_scale.exp())
            height = _bounds(_weighed(model, observed, q, particles)).sum()
            loc.grad, log_scale.grad = torch.autograd.grad(-height, (loc, log_scale))
            optimizer.step()
    return family(loc.detach(), log_scale.detach().exp())


def explore(
    model: Any,
    observed: Views,
    start: dist.Distribution,
    *,
    states: int = CHAIN,
    warmup: int = 100,
) -> tuple[Tensor, Tensor]:
    """Run a chain of Hamiltonian Monte Carlo for each scene, one after the other.

    A chain begins at the mean of ``start`` and moves in units of its scale. Between modes that
    lie far apart it seldom finds a way.

    Args:
        model: As in `climb`.
        observed: B scenes.
        start: Where to begin.
        states: S, those kept.
        warmup: Steps in which step size and mass matrix are adapted.

    Returns:
        States ``(S, B, L)``, and the mean acceptance probability of each chain, ``(B,)``.
    """
    locs, scales = _moments(start)
    chains, accepted = [], []
    for row in range(len(observed)):
        one = observed.rows(torch.tensor([row], device=observed.device))
        place = (locs[row : row + 1], scales[row : row + 1])
        chain, rate = _chain(model, one, *place, states, warmup)
        chains.append(chain)
        accepted.append(rate)
    return torch.cat(chains, dim=1), torch.tensor(accepted)


def bound(model: Any, observed: Views, q: dist.Distribution, particles: int = _DRAWS) -> Tensor:
    """Estimate the ELBO of the given views: ``(B,)`` in nats."""
    with torch.no_grad():
        return _bounds(_weighed(model, observed, q, particles))


def _start(assembly: Assembly, observed: Views) -> dist.Distribution:
    """Return the amortised posterior, or the prior where there is none given these views."""
    with torch.no_grad():
        if assembly.guide.accepts(observed.names):
            start = posterior(assembly, observed)
        else:
            start = assembly.model.prior(observed)
    assert start is not None
    return start


def _family(start: Any) -> tuple[Callable[[Tensor, Tensor], dist.Distribution], Tensor, Tensor]:
    """Return what makes a posterior of two tensors ``(B, L)``, and those to begin with."""
    if isinstance(start, Ladder):
        loc, scale = start.gaussians
        return start.with_gaussians, loc.detach().clone(), scale.detach().clone()
    loc, scale = _moments(start)
    return _diagonal, loc.clone(), scale.clone()


def _diagonal(loc: Tensor, scale: Tensor) -> dist.Distribution:
    return dist.Normal(loc, scale).to_event(1)


def _moments(q: Any) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, each ``(B, L)``; from draws if there is no formula."""
    try:
        return q.mean.detach(), q.stddev.detach()
    except NotImplementedError:
        with torch.no_grad():
            drawn = q.sample(torch.Size((256,)))
        return drawn.mean(0), drawn.std(0)


def _weighed(model: Any, observed: Views, q: dist.Distribution, particles: int) -> Evidence:
    return evidence(partial(model, observed), partial(_say, q, len(observed)), particles=particles,
                    exact_kl=True)  # fmt: skip


def _say(q: dist.Distribution, scenes: int) -> Tensor:
    """Be the Pyro program of a posterior."""
    with pyro.plate("scenes", scenes, dim=-1):
        return pyro.sample("z", q)  # type: ignore[no-any-return]


def _bounds(parts: Evidence) -> Tensor:
    kl = parts.log_q - parts.log_prior if parts.divergence is None else parts.divergence
    return elbo(parts.log_likelihood() - kl)


def _chain(
    model: Any, one: Views, loc: Tensor, scale: Tensor, states: int, warmup: int
) -> tuple[Tensor, float]:
    """Run one scene's chain: ``(S, 1, L)`` and its acceptance."""

    def potential(at: dict[str, Tensor]) -> Tensor:
        z = loc + scale * at["u"]
        trace = poutine.trace(poutine.condition(model, data={"z": z})).get_trace(one)
        return -trace.log_prob_sum()  # type: ignore[no-any-return]

    accepted: list[float] = []  # the running mean, which the sampler forgets when it is done
    from pyro.infer import MCMC, NUTS

    kernel = NUTS(potential_fn=potential, step_size=0.1, max_tree_depth=_DEPTH)
    sampler = MCMC(
        kernel,
        states,
        warmup_steps=warmup,
        initial_params={"u": torch.zeros_like(loc)},
        disable_progbar=True,
        hook_fn=lambda kernel, *_: accepted.append(float(kernel.logging()["acc. prob"])),
    )
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="pyro")
        sampler.run()
    return loc + scale * sampler.get_samples()["u"], accepted[-1]
