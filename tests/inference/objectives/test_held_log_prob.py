"""Log q with its parameters held: against a frozen copy, and where there is no such thing."""

from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from inference.objectives.importance_weights import evidence
from scene.registry import load
from scene.views import VIEWS, Views

FLOW = Path(__file__).parents[3] / "examples/own_guide.py"


@pytest.fixture
def flow(schema):
    """Make the normalising flow of the examples, its couplings no longer the identity."""
    torch.manual_seed(2)
    flow_guide = load(f"{FLOW}:FlowGuide", {}, "guide")(schema, VIEWS, latent=4, width=2)
    for weight in flow_guide.couplings.parameters():
        nn.init.normal_(weight, std=0.2)
    return flow_guide.eval()


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("kind", ["flow", "guide"])
def test_the_held_density_is_that_of_a_frozen_copy(model, views, kind, particles, request):
    """The slow oracle: run a copy whose parameters are constants, and score the same draws."""
    guide = request.getfixturevalue(kind)
    learning = [*guide.parameters()]
    torch.manual_seed(0)
    held = evidence(model, guide, views, particles=particles, pathwise=True).log_q
    torch.manual_seed(0)
    plain = evidence(model, guide, views, particles=particles).log_q
    torch.testing.assert_close(held, plain, rtol=0, atol=0)
    torch.manual_seed(0)
    shape = torch.Size((particles,)) if particles > 1 else torch.Size()
    z = guide.posterior(views).rsample(shape)
    frozen = deepcopy(guide).requires_grad_(False).posterior(views).log_prob(z).expand_as(held)
    torch.testing.assert_close(held, frozen, rtol=1e-4, atol=1e-4)
    ours, theirs = (
        torch.autograd.grad(log_q.sum(), learning, allow_unused=True) for log_q in (held, frozen)
    )
    assert any(slope is not None and slope.any() for slope in ours)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_latents_drawn_apart_are_held_apart():
    """Two independent latents are one latent of twice the length."""
    views, result = Views({"x": torch.zeros(4, 1)}), []
    for names in (("z",), ("a", "b")):
        loc = torch.tensor([0.3, 0.8, -0.2, 0.1]).requires_grad_()
        log_scale = torch.tensor([0.1, 0.0, -0.5, 0.2]).requires_grad_()
        parts = list(zip(names, loc.chunk(len(names)), log_scale.chunk(len(names)), strict=True))
        guide = _program({n: dist.Normal(at, by.exp()).to_event(1) for n, at, by in parts})
        model = _program(
            {n: dist.Normal(torch.zeros_like(at), 1).to_event(1) for n, at, _ in parts}
        )
        with _steady_noise():
            held = evidence(model, guide, views, particles=2, pathwise=True)
        slopes = torch.autograd.grad(held.log_weights().sum(), [loc, log_scale])
        result.append((held.log_q, *slopes))
    torch.testing.assert_close(*result)


@contextmanager
def _steady_noise():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "torch.distributions.normal._standard_normal",
            lambda shape, dtype, device: torch.full(shape, 0.3, dtype=dtype, device=device),
        )
        yield


def _program(densities):
    def run(views):
        with pyro.plate("scenes", len(views), dim=-1):
            for name, density in densities.items():
                pyro.sample(name, density)

    return run


def _bent(views):
    noise = dist.Normal(torch.zeros(3), 1.0).to_event(1)
    _program({"z": dist.TransformedDistribution(noise, [dist.transforms.Planar(3)])})(views)


def _chain(views):
    with pyro.plate("scenes", len(views), dim=-1):
        loc = torch.zeros(3, requires_grad=True)
        first = pyro.sample("a", dist.Normal(loc, 1.0).to_event(1))
        pyro.sample("z", dist.Normal(first, 1.0).to_event(1))


def _helped(views):
    with pyro.plate("scenes", len(views), dim=-1):
        unit = dist.Normal(torch.zeros(3), 1.0).to_event(1)
        u = pyro.sample("u", unit, infer={"is_auxiliary": True})
        pyro.sample("z", dist.Delta(u, event_dim=1))


_discrete = _program({"z": dist.Bernoulli(torch.full((3,), 0.5)).to_event(1)})


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize(
    ("guide", "sentence"),
    [
        (_discrete, "draws 'z' from a Bernoulli, which cannot be reparameterised; choose a guide"),
        (_chain, "draws 'z' given another latent; dreg and stl need latents drawn given the view"),
        (_helped, "'u' is an auxiliary site of the guide, so the density of the sites that"),
        (
            _bent,
            "The transform of 'z' has no inverse, so its density is known only for its own last",
        ),
    ],
)
def test_a_guide_whose_path_is_not_known_is_refused(guide, sentence, particles):
    normal = dist.Normal(torch.zeros(3), 1.0).to_event(1)
    model = _program({"z": normal, **({"a": normal} if guide is _chain else {})})
    views = Views({"x": torch.zeros(4, 1)})
    with pytest.raises(ValueError, match=sentence):
        evidence(model, guide, views, particles=particles, pathwise=True)
