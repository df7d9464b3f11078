"""What each objective costs at K = 5: against the same written by hand, and against IWAE."""

import math
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from inference.settings.parts import OBJECTIVES
from scene.registry import load
from scene.views import VIEWS

PARTICLES, PAIRS = 5, 30
STEP_COST = Path(__file__).with_name("test_step_cost.py")


def _neighbour(name):
    """Take a part of the twin from the other benchmark; tests are no package to import from."""
    return load(f"{STEP_COST}:{name}", {}, "twin")


WEIGHTS = _neighbour("SETTINGS").objective.view_weights
assembled, gaussian, log_joint, posterior, read, stepper, views = map(
    _neighbour, ("assembled", "gaussian", "log_joint", "posterior", "read", "stepper", "views")
)


def twin_loss(name, model, guide, batch):
    """Work out the joint term in plain PyTorch: no Pyro, no views that could be missing."""
    loc, scale = posterior(read(guide, batch), VIEWS)
    noise = torch.randn(PARTICLES, *loc.shape)
    z = loc + scale * noise
    if name == "elbo":
        kl = 0.5 * (scale.square() + loc.square() - 1).sum(-1) - scale.log().sum(-1)
        return -(log_joint(model, batch, z) - gaussian(z) - kl).mean()
    if name in ("dreg", "stl"):
        loc, scale = loc.detach(), scale.detach()
        noise = (z - loc) / scale
    log_w = log_joint(model, batch, z) - gaussian(noise) + scale.log().sum(-1)
    if name == "dreg":
        share = log_w.detach().softmax(0).unsqueeze(-1)
        z.register_hook(lambda slope: share * slope)
    power = 0.5 if name == "renyi" else 1.0
    return -((power * log_w).logsumexp(0) - math.log(PARTICLES)).mean() / power


def loss_of(name, made, views):
    objective = load(name, OBJECTIVES, "objective")(PARTICLES, weights=WEIGHTS)
    return lambda: objective.differentiable_loss(made.model, made.guide, views)


def ours(name, views):
    assembly = assembled(views, PARTICLES)
    return stepper(assembly.model, assembly.guide, loss_of(name, assembly, views))


def by_hand(name, views):
    assembly, batch = assembled(views, PARTICLES), dict(views.items())
    loss = lambda: twin_loss(name, assembly.model, assembly.guide, batch)  # noqa: E731
    return stepper(assembly.model, assembly.guide, loss)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_written_by_hand_is_the_same_objective(views, name):
    """Same weights, same draws: the same loss and the same gradients."""
    assembly = assembled(views, PARTICLES)
    copy = deepcopy(assembly)
    torch.manual_seed(0)
    loss = loss_of(name, assembly, views)()
    torch.manual_seed(0)
    twin = twin_loss(name, copy.model, copy.guide, dict(views.items()))
    torch.testing.assert_close(loss, twin)
    loss.backward()
    twin.backward()
    for net, other in ((assembly.model, copy.model), (assembly.guide, copy.guide)):
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            if p.requires_grad:
                largest = float(q.grad.abs().max().clamp(min=1))  # what rounding is small against
                torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-3 * largest)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_costs_what_it_does_by_hand(views, name, paired, say):
    result = paired(ours(name, views), by_hand(name, views), PAIRS)
    say(f"ours, by hand: {result}")
    assert result.ratio <= 1.15


@pytest.mark.parametrize("name", ["dreg", "stl", "renyi"])
def test_less_noise_costs_little_more_than_iwae(views, name, paired, say):
    result = paired(ours(name, views), ours("iwae", views), PAIRS)
    say(f"{name}, iwae: {result}")
    assert result.ratio <= 1.2
