"""Your own guide: a normalising flow on top of the product of experts.

Gaussian noise passes through affine couplings (Dinh et al. 2017, Real NVP), conditioned on the
product of experts, so q need not be Normal. A guide is a class with the method `posterior`:

    scene train telbo --guide examples/own_guide.py:FlowGuide
"""

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import transforms
from torch import nn

from inference import train
from inference.guides import RetrofitGuide
from scene.views import Views


class FlowGuide(RetrofitGuide):
    """The retrofit guide with a flow; couplings are invertible, so any z can be scored."""

    def __init__(self, *args: Any, **choices: Any) -> None:
        super().__init__(*args, **choices)
        sizes = self.latent, 2 * self.latent, [8 * self.width]
        couplings = [transforms.conditional_affine_coupling(*sizes) for _ in range(4)]
        for coupling in couplings:  # start as the identity: the flow changes nothing
            nn.init.zeros_(coupling.nn.layers[-1].weight)
            nn.init.zeros_(coupling.nn.layers[-1].bias)
        self.couplings = nn.ModuleList(couplings)
        self.register_buffer("backwards", torch.arange(self.latent).flip(0), persistent=False)

    def posterior(self, views: Views) -> dist.Distribution:
        """Return the product of experts, transformed by the conditioned flow."""
        normal: Any = super().posterior(views)
        loc, scale = normal.mean, normal.stddev
        noise = dist.Normal(torch.zeros_like(loc), torch.ones_like(scale)).to_event(1)
        context, bends = torch.cat([loc, scale.log()], dim=-1), list[Any]()
        coupling: Any
        for coupling in self.couplings:
            bends += [coupling.condition(context), transforms.Permute(self.backwards)]
        place = transforms.AffineTransform(loc, scale, event_dim=1)
        return dist.TransformedDistribution(noise, [*bends, place])


def main(steps: int = 200, particles: int = 5, **settings: Any) -> None:
    """Train TELBO with the retrofit guide and with this one, and print both scores."""
    for guide in ("retrofit", f"{__file__}:FlowGuide"):
        fitted = train("telbo", guide=guide, steps=steps, particles=particles, **settings)
        cell = fitted.evaluate(directions=[(["image"], "mask")]).cell("image")
        score: Any = cell.score
        print(f"{guide.rpartition(':')[2]:10} {cell.title} mIoU {score.miou:.1f}")


if __name__ == "__main__":
    main()
