"""Estimators: the importance-weighted bound with less noise in what its guide learns from."""

from __future__ import annotations

from torch import Tensor

from .bounds import IWAE
from .importance_weights import Evidence


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

    def bound(self, found: Evidence) -> Tensor:
        """Reduce as `IWAE`, with a gate on what flows back through z."""
        beta = self.beta * self.warmth
        log_w = found.log_weights(beta, self.weights)
        _gate(found, 1 - beta + beta * log_w.detach().softmax(0))
        return self.reduce(log_w)


def _gate(found: Evidence, factors: Tensor) -> None:
    """Multiply what flows back through each draw by its factor, ``(K, B)``; one draw keeps all."""
    for z in found.latents.values():
        if z.requires_grad and len(factors) > 1:
            own = factors[(..., *[None] * (z.dim() - 2))]
            z.register_hook(lambda slope, own=own: own * slope)
