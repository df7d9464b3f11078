"""Your own prior: a mixture of Gaussians, whose components come to be kinds of scenes.

A prior of z is a class whose `forward` returns p(z); it is learned with the model (Dilokthanakul
et al. 2016, Deep Unsupervised Clustering with Gaussian Mixture VAEs, has such a prior):

    scene train telbo --prior examples/own_prior.py:MixturePrior
"""

from typing import Any

import pyro.distributions as dist
import torch
from torch import nn

from inference import train
from scene.priors.prior import Prior


class MixturePrior(Prior):
    """Σ share · N(loc, scale) over ten components, each a diagonal Normal."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        size = 10, self.parts.length
        self.loc, self.log_scale = nn.Parameter(torch.randn(size)), nn.Parameter(torch.zeros(size))
        self.logits = nn.Parameter(torch.zeros(10))

    def forward(self, scenes: int) -> dist.Distribution:
        """Return p(z): batch shape ``(scenes,)``, event shape ``(L,)``."""
        kinds = dist.Categorical(logits=self.logits.expand(scenes, -1))
        loc, scale = self.loc.expand(scenes, -1, -1), self.log_scale.exp().expand(scenes, -1, -1)
        return dist.MixtureSameFamily(kinds, dist.Normal(loc, scale).to_event(1))


def main(steps: int = 200, **settings: Any) -> None:
    """Train TELBO with a standard prior and with this one, and print bounds on log p."""
    for prior in ("standard", f"{__file__}:MixturePrior"):
        fitted = train("telbo", prior=prior, steps=steps, **settings)
        test = fitted.dataset("test")
        views = test.views(range(len(test))[:20])
        bound = fitted.log_likelihood(views, particles=100).mean()
        print(f"{prior.rpartition(':')[2]:12} log p(image, classes, mask) ≥ {bound:.1f} nats")


if __name__ == "__main__":
    main()
