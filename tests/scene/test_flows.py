"""A flow: a density that sums to one, and draws from it."""

import pyro.distributions as dist
import pytest
import torch

from scene import flows
from scene.flows import Flow


def rotation(time, x):
    """A field that turns the plane and pulls it together."""
    turn = torch.tensor([[-0.5, 1.5], [-1.5, -0.8]], dtype=x.dtype)
    return x @ turn.T + torch.sin(3 * time) * torch.tanh(x)


@pytest.fixture
def plane():
    return Flow(rotation, torch.tensor([0.3, -0.2]), torch.tensor([1.5, 0.7]), 1)


def test_its_density_sums_to_one_over_the_plane(plane):
    side = torch.linspace(-6, 6, 161)
    points = torch.cartesian_prod(side, side)[:, None]
    mass = plane.log_prob(points).exp().sum() * (side[1] - side[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_draws_have_the_moments_of_its_density(plane, monkeypatch):
    monkeypatch.setattr(flows, "TOGETHER", 10**6)
    side = torch.linspace(-6, 6, 161)
    points = torch.cartesian_prod(side, side)
    weights = plane.log_prob(points[:, None]).exp()[:, 0]
    weights = weights / weights.sum()
    mean = (weights[:, None] * points).sum(0)
    second = torch.einsum("n,ni,nj->ij", weights, points, points)
    draws = plane.sample((40000,))[:, 0]
    assert torch.allclose(draws.mean(0), mean, atol=0.03)
    assert torch.allclose(draws.T @ draws / len(draws), second, atol=0.05)


def test_a_field_without_motion_leaves_a_normal():
    shift, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 2.0, 1.0])
    flow = Flow(lambda time, x: 0 * x, shift, scale, 4)
    z = torch.randn(5, 4, 3)
    expected = dist.Normal(shift, scale).to_event(1).log_prob(z)
    assert torch.allclose(flow.log_prob(z), expected, atol=1e-5)
    assert flow.sample((5,)).shape == (5, 4, 3)
    assert flow.sample().shape == (4, 3)


def test_the_divergence_of_a_long_latent_is_estimated_without_bias(monkeypatch):
    torch.manual_seed(0)
    matrix = 0.3 * torch.randn(6, 6)
    flow = Flow(lambda time, x: x @ matrix.T, torch.zeros(6), torch.ones(6), 1)
    z = torch.randn(400, 1, 6)
    exact = flow.log_prob(z)
    monkeypatch.setattr(flows, "EXACT", 0)
    estimates = torch.stack([flow.log_prob(z) for _ in range(20)])
    error = (estimates.mean(0) - exact).mean()
    assert estimates.std(0).min() > 0
    assert abs(float(error)) < 0.05


def test_many_draws_are_taken_in_parts_that_agree(plane, monkeypatch):
    noise = torch.randn(50, 1, 2)
    whole = plane.moved(noise)
    monkeypatch.setattr(flows, "TOGETHER", 7)
    assert torch.allclose(plane.moved(noise), whole, atol=1e-6)


def test_noise_is_what_draws_came_from_up_to_the_error_of_steps(plane):
    """The error falls with the square of the steps, as Heun's method has it."""
    noise = torch.randn(3, 50, 1, 2)
    errors = []
    for steps in (16, 32):
        plane.steps = steps
        errors.append(float((plane.noise_of(plane.moved(noise)) - noise).abs().max()))
    assert errors[0] < 0.01
    assert errors[1] < 0.3 * errors[0]
