"""A guide from outside the package: a normalising flow around the product of experts.

The posteriors of the package are Normal. This one bends them: noise goes through affine couplings
that know what the experts concluded, and is then put at their mean and scale. It starts as the
package's own guide, since couplings that say nothing leave the noise alone, and from there learns
whatever shape raises the bound. To be a guide it takes no more than a class with `posterior`:

    scene train telbo --guide examples/own_guide.py:FlowGuide
    python examples/own_guide.py --steps 1000     # the same, beside the guide telbo has by default
"""

import argparse
from collections.abc import Collection
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import transforms
from torch import nn

from inference.guides import RetrofitGuide
from inference.recipes import recipe
from inference.reports import Report
from inference.session import train
from scene.views import Schema, Views


class FlowGuide(RetrofitGuide):
    """The retrofitted product of experts, its noise bent by conditional affine couplings.

    Affine couplings have an inverse, so any z can be scored, not only one just drawn.

    Shape:
        Posterior: batch ``(B,)``, event ``(L,)``; accepts any subset of the views.

    Source:
        Dinh et al. (2017), Density Estimation using Real NVP, https://arxiv.org/abs/1605.08803
    """

    def __init__(self, schema: Schema, views: Collection[str], **sizes: int) -> None:
        super().__init__(schema, views, **sizes)
        couplings = [
            transforms.conditional_affine_coupling(self.latent, 2 * self.latent, [8 * self.width])
            for _ in range(4)
        ]
        for coupling in couplings:
            nn.init.zeros_(coupling.nn.layers[-1].weight)  # the identity, to begin with
            nn.init.zeros_(coupling.nn.layers[-1].bias)
        self.couplings = nn.ModuleList(couplings)
        self.register_buffer("backwards", torch.arange(self.latent).flip(0), persistent=False)

    def posterior(self, views: Views) -> dist.Distribution:
        """Ask the experts, then bend the noise as befits what they said."""
        normal: Any = super().posterior(views)
        loc, scale = normal.base_dist.loc, normal.base_dist.scale
        context = torch.cat([loc, scale.log()], dim=-1)
        noise = dist.Normal(torch.zeros_like(loc), torch.ones_like(scale)).to_event(1)
        bends: list[Any] = []
        coupling: Any
        for coupling in self.couplings:
            bends += [coupling.condition(context), transforms.Permute(self.backwards)]
        place = transforms.AffineTransform(loc, scale, event_dim=1)
        return dist.TransformedDistribution(noise, [*bends, place])


def main(steps: int = 200, particles: int = 5, seed: int = 0, **settings: Any) -> None:
    """Train TELBO with this guide and with the default one, and print how each does."""
    for guide in ("retrofit", f"{__file__}:FlowGuide"):
        chosen = recipe("telbo").settings(
            guide=guide, steps=steps, particles=particles, seed=seed, **settings
        )
        reports: list[Report] = []
        outcome = train(chosen, watch=reports.append)
        score: Any = outcome.cell.score
        bound = next(report.val for report in reversed(reports) if report.val is not None)
        print(
            f"{guide.rpartition(':')[2]:10} {outcome.cell.title} mIoU {score.miou:.1f}, "
            f"loss on val {bound:.1f} nats ({outcome.run.folder})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, default in (("steps", 200), ("particles", 5), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    main(**vars(parser.parse_args()))
