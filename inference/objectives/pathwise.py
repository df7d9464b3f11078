"""Path derivatives: how log q(z | x) changes when only z moves, its parameters held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyro.distributions.util import scale_and_mask, sum_rightmost
from torch import Tensor


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
    drawn = {name: trace.nodes[name] for name in names}
    if any(site["value"].requires_grad for site in drawn.values()):
        _require_apart(drawn)
    return {name: _held(name, site) for name, site in drawn.items()}


def _held(name: str, site: Any) -> Tensor:
    z: Tensor = site["value"]
    value: Tensor = site["log_prob"].detach()
    if not (torch.is_grad_enabled() and z.requires_grad):
        return value
    moved = z.detach().requires_grad_()
    scored = _scored(name, site, moved)
    (slope,) = torch.autograd.grad(scored.sum(), moved, retain_graph=True)
    path: Tensor = sum_rightmost(slope * (z - moved.detach()), site["fn"].event_dim)
    return value + path  # of which nothing but the gradient is not 0


def _scored(name: str, site: Any, z: Tensor) -> Tensor:
    try:
        log_prob = site["fn"].log_prob(z)
    except (NotImplementedError, KeyError) as error:  # Pyro's transforms say it with a KeyError
        raise ValueError(
            f"The density of {name!r} has no inverse, so it can score only what it just drew; "
            "choose iwae or elbo, or a guide that can score any z."
        ) from error
    return scale_and_mask(log_prob, site["scale"], site["mask"])  # type: ignore[no-any-return]


def _require_path(name: str, site: Any) -> None:
    if site["infer"].get("is_auxiliary"):
        raise ValueError(
            f"The guide draws {name!r} as a help to other sites, so the density of these is not "
            "known by itself; choose iwae or elbo, or a guide that draws its latents directly."
        )
    if not site["fn"].has_rsample:
        density = getattr(site["fn"], "base_dist", site["fn"])  # within Independent
        raise ValueError(
            f"The guide draws {name!r} from a {type(density).__name__}, which cannot be "
            "reparameterised; choose a guide whose latents are continuous, such as a Normal."
        )


def _require_apart(drawn: dict[str, Any]) -> None:
    """Refuse sites drawn given others: a slope at one would have to know of the others' paths."""
    for name, site in drawn.items():
        others = [s["value"] for n, s in drawn.items() if n != name and s["value"].requires_grad]
        if not others or not site["log_prob"].requires_grad:
            continue
        moved = _scored(name, site, site["value"].detach())
        if not moved.requires_grad:
            continue
        found = torch.autograd.grad(moved.sum(), others, retain_graph=True, allow_unused=True)
        if any(slope is not None for slope in found):
            raise ValueError(
                f"The guide draws {name!r} given another latent; dreg and stl need latents drawn "
                "given the views alone; choose iwae or elbo."
            )
