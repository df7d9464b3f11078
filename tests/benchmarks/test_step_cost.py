"""What a training step costs: against the same written by hand, and with more particles."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch.optim import Adam

from inference.build import assemble
from inference.objectives.telbo import subsets
from inference.settings.recipes import recipe
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.views import VIEWS, Views

SETTINGS = recipe("telbo").settings()
BATCH = SETTINGS.training.batch_size
TERMS = (VIEWS, *subsets(SETTINGS.objective.subsets))


def twin_loss(model, guide, batch, particles):
    """Work out the default TELBO in plain PyTorch: no Pyro, no views that could be missing."""
    experts, bounds = read(guide, batch), []
    for seen in TERMS:
        loc, scale = posterior(experts, seen)
        noise = torch.randn(particles if seen == VIEWS else 1, *loc.shape)
        z = loc + scale * noise
        if seen == VIEWS:
            log_w = log_joint(model, batch, z) - gaussian(noise) + scale.log().sum(-1)
            bounds.append((log_w.logsumexp(0) - math.log(particles)).mean())
        else:
            kl = 0.5 * (scale.square() + loc.square() - 1).sum(-1) - scale.log().sum(-1)
            bounds.append((log_joint(model, batch, z) - gaussian(z) - kl).mean())
    return -torch.stack(bounds).mean()


def read(guide, batch):
    """Ask the expert of each view for mean and scale."""
    return {name: guide.heads[name](guide.encoders[name](batch[name])) for name in VIEWS}


def posterior(experts, seen):
    """Multiply the experts and the prior."""
    precision, weighted = 1.0, 0.0
    for name in seen:
        loc, scale = experts[name]
        sharpness = scale.square().reciprocal()
        precision, weighted = precision + sharpness, weighted + sharpness * loc
    return weighted / precision, precision.rsqrt()


def log_joint(model, batch, z):
    """Add log p(z), log p(image | z), log p(classes | z), twice, and log p(mask | z): (K, B)."""
    scale = model.log_scale.exp()
    error = (batch["image"] - model.image(z).sigmoid()).square().flatten(2).sum(-1)
    constant = batch["image"][0].numel() * (model.log_scale + 0.5 * math.log(2 * math.pi))
    image = -error / (2 * scale.square()) - constant
    masks = model.mask(z)
    head, shown = (
        log_classes(odds, batch) for odds in (model.class_head(z), model.classes(masks))
    )
    logits = masks.flatten(0, 1).contiguous()
    labels = batch["mask"].expand(len(z), -1, -1, -1).flatten(0, 1)
    each = F.cross_entropy(logits, labels, ignore_index=255, reduction="none")
    mask = -each.flatten(1).sum(-1).view(z.shape[:-1])
    weight = SETTINGS.objective.view_weights
    return gaussian(z) + image + weight["classes"] * head + shown + mask


def log_classes(odds, batch):
    """Work out log p(classes | z) of log odds, summed over classes."""
    truth = batch["classes"].expand_as(odds)
    return -F.binary_cross_entropy_with_logits(odds, truth, reduction="none").sum(-1)


def gaussian(z):
    """Work out log N(z; 0, I), summed over the last dimension."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


@pytest.fixture(scope="module")
def views():
    return SyntheticScenes("val", count=BATCH).views(range(BATCH))


def assembled(views, particles, **choices):
    schema = SyntheticScenes("val", count=1).schema
    assembly = assemble(recipe("telbo").settings(particles=particles, **choices), schema)
    assembly.model.train()
    assembly.guide.train()
    return assembly


def stepper(model, guide, loss):
    """Make a function that takes one step of Adam."""
    parameters = [p for p in (*model.parameters(), *guide.parameters()) if p.requires_grad]
    optimizer = Adam(parameters, 1e-3, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def ours(views, particles, **choices):
    assembly = assembled(views, particles, **choices)
    loss = assembly.objective.differentiable_loss
    return stepper(
        assembly.model, assembly.guide, lambda: loss(assembly.model, assembly.guide, views)
    )


def by_hand(views, particles):
    assembly, batch = assembled(views, particles), dict(views.items())
    loss = lambda: twin_loss(assembly.model, assembly.guide, batch, particles)  # noqa: E731
    return stepper(assembly.model, assembly.guide, loss)


@pytest.mark.parametrize("particles", [1, 5])
def test_the_loss_written_by_hand_is_the_same_objective(views, particles):
    """Same weights, same draws: the same loss and the same gradients."""
    assembly = assembled(views, particles)
    copy = deepcopy(assembly)
    torch.manual_seed(0)
    loss = assembly.objective.differentiable_loss(assembly.model, assembly.guide, views)
    torch.manual_seed(0)
    twin = twin_loss(copy.model, copy.guide, dict(views.items()), particles)
    torch.testing.assert_close(loss, twin)
    loss.backward()
    twin.backward()
    for net, other in ((assembly.model, copy.model), (assembly.guide, copy.guide)):
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            if p.requires_grad:
                torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("particles", [1, 5])
def test_a_telbo_step_costs_what_it_does_by_hand(views, particles, paired, say):
    result = paired(ours(views, particles), by_hand(views, particles))
    say(f"ours, by hand: {result}")
    assert result.ratio <= 1.15


def test_five_particles_cost_less_than_five(views, paired, say, monkeypatch):
    """Of networks that read every view anew for each posterior; shared, one draw costs less."""
    result = paired(ours(views, 5), ours(views, 1))
    say(f"K = 5, K = 1, as it is: {result}")
    monkeypatch.setattr(Views, "with_cache", lambda self: self)
    result = paired(ours(views, 5, guide="retrofit"), ours(views, 1, guide="retrofit"))
    say(f"K = 5, K = 1, reading anew, with a joint network: {result}")
    assert result.ratio <= 2.5
