"""Your own objective: the jackknife, which removes most of the bias of IWAE.

A bound is a class that reduces K log weights. IWAE lies below log p(x) by about c / K. Leaving
out each draw in turn estimates c, which leaves a bias of about 1 / K² (Nowozin 2018, Debiasing
Evidence Approximations, https://openreview.net/forum?id=HyZoi-WRb). The result is an estimate of
log p(x) and not a bound: if q is poor, it may lie above.

    scene train jvae --objective examples/own_objective.py:Jackknife --particles 5
"""

from typing import Any

import torch
from torch import Tensor

from inference import train
from inference.objectives.bounds import ELBO, IWAE, Bound, iwae


class Jackknife(Bound):
    """K · IWAE of all K draws, minus K − 1 times the mean IWAE of K − 1 draws."""

    def __init__(self, particles: int = 2, **choices: Any) -> None:
        if particles < 2:
            raise ValueError(
                "The jackknife leaves one draw out; give it 2 or more: --particles 5."
            )
        super().__init__(particles, **choices)

    def reduce(self, log_w: Tensor) -> Tensor:
        """Return the estimate in nats, ``(B,)``, from log weights ``(K, B)``."""
        draws = range(len(log_w))
        without = [iwae(log_w[[other for other in draws if other != one]]) for one in draws]
        return len(log_w) * iwae(log_w) - (len(log_w) - 1) * torch.stack(without).mean(0)


def main(steps: int = 200, many: int = 500, **settings: Any) -> None:
    """Train a joint VAE with it, and print the gap of each bound at K = 5."""
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
