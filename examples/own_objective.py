"""An objective of your own: the jackknife, which takes most of the bias out of IWAE.

A bound is a class that says how K log weights reduce. IWAE lies below log p(x) by about c / K;
leaving each draw out in turn tells c, and what is left is off by about 1 / K² (Nowozin 2018,
Debiasing Evidence Approximations, https://openreview.net/forum?id=HyZoi-WRb). It is an estimate of
log p(x) and no bound: while q is bad it may lie above.

    scene train jvae --objective examples/own_objective.py:Jackknife --particles 5
"""

from typing import Any

import torch
from torch import Tensor

from inference import train
from inference.objectives.bounds import ELBO, IWAE, Bound, iwae


class Jackknife(Bound):
    """K · IWAE of all K draws, less K − 1 times the average IWAE of all but one."""

    def __init__(self, particles: int = 2, **choices: Any) -> None:
        if particles < 2:
            raise ValueError(
                "The jackknife leaves one draw out; give it 2 or more: --particles 5."
            )
        super().__init__(particles, **choices)

    def reduce(self, log_w: Tensor) -> Tensor:
        """Combine: ``(K, B)`` log weights to ``(B,)`` nats."""
        draws = range(len(log_w))
        without = [iwae(log_w[[other for other in draws if other != one]]) for one in draws]
        return len(log_w) * iwae(log_w) - (len(log_w) - 1) * torch.stack(without).mean(0)


def main(steps: int = 200, many: int = 500, **settings: Any) -> None:
    """Train a joint VAE with it, and print how far off each bound is at K = 5."""
    objective = f"{__file__}:Jackknife"
    fitted = train("jvae", objective=objective, particles=5, steps=steps, **settings)
    model, guide, views = fitted.model, fitted.guide, fitted.dataset("test").views(range(4))
    torch.manual_seed(0)
    truth = IWAE(many).loss(model, guide, views)
    for bound in (ELBO(5), IWAE(5), Jackknife(5)):
        losses = [bound.loss(model, guide, views) for _ in range(20)]
        below = sum(losses) / len(losses) - truth
        print(f"{type(bound).__name__:9} lies {below:7.1f} nats below IWAE of {many} draws")


if __name__ == "__main__":
    main()
