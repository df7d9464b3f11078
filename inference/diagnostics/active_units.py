"""Active units: the dimensions of z that depend on the scene, and the KL of each in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .posteriors import Posteriors, ViewNames, join_names

ACTIVE = 0.01
"""A unit is active if its posterior mean varies more than this over scenes."""


@dataclass(frozen=True)
class Units:
    """The dimensions of z given some views.

    Attributes:
        given: The views.
        variance: Variance over scenes of E_q[z], ``(L,)``, standardised by each scene's prior, so
            that what the prior already depends on does not count.
        kl: KL(q ‖ prior) of each dimension, ``(L,)`` in nats a scene; None where q does not
            factorise.
        total: KL(q ‖ prior) of all dimensions together, nats a scene.
        error: Standard error of ``total``, nats.
    """

    given: ViewNames
    variance: Tensor
    kl: Tensor | None
    total: float
    error: float

    @property
    def active(self) -> Tensor:
        """Which units are active, ``(L,)`` bool."""
        return self.variance > ACTIVE

    @property
    def order(self) -> list[int]:
        """All units, in order of falling variance."""
        order: list[int] = self.variance.argsort(descending=True).tolist()
        return order

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "given": list(self.given),
            "title": join_names(self.given),
            "active": int(self.active.sum()),
            "units": len(self.variance),
            "kl": self.total,
            "kl_error": self.error,
            "kl_by_unit": None if self.kl is None else self.kl.tolist(),
            "variance": self.variance.tolist(),
        }


def units(posteriors: Posteriors) -> Units:
    """Summarise the posteriors of N scenes for each dimension of z.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, section 5.2 (the statistic A_u and
        its threshold), https://arxiv.org/abs/1509.00519
    """
    by_unit = None if posteriors.kl_by_unit is None else posteriors.kl_by_unit.mean(0).cpu()
    return Units(
        posteriors.given,
        posteriors.standardised(posteriors.means).var(0).cpu(),
        by_unit,
        float(posteriors.kl.mean()),
        float(posteriors.kl.std() / len(posteriors.kl) ** 0.5),
    )
