"""KL divergences of two levels: at a draw in closed form, and on average those of the whole."""

import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from inference.objectives.divergence import divergence, divergence_at, kl_by_unit
from scene.networks.spatial import Latent
from scene.priors.ladder import LadderPrior


class Line(nn.Module):
    """A grid of one cell and one channel, its mean a multiple of the vector of one number."""

    def forward(self, vector):
        return 0.5 * vector + 0.3, torch.full_like(vector, 0.8)


@pytest.fixture
def prior():
    made = LadderPrior(Latent(1, 1, 8, (8, 8)), width=2).double()
    made.level = Line()
    return made


def gaussian(q):
    """Return a ladder over a `Line` as one Gaussian."""
    precision = 0.8**-2 + q.precision
    slope, start = 0.5 * 0.8**-2 / precision, (0.3 * 0.8**-2 + q.shift) / precision
    v = q.scale**2
    rows = torch.stack(
        [torch.cat([v, slope * v], -1), torch.cat([slope * v, slope**2 * v + 1 / precision], -1)],
        -1,
    )
    return MultivariateNormal(torch.cat([q.loc, slope * q.loc + start], -1), rows)


@pytest.mark.parametrize("kind", ["prior", "posterior", "normal"])
def test_on_average_over_draws_it_is_the_divergence_of_the_whole(prior, kind):
    """In a quadratic form two points a scale from the mean average as all draws do."""
    loc, scale = torch.tensor([[0.7, -0.4]]).double(), torch.tensor([[0.6, 0.5]]).double()
    q = prior.posterior(loc, scale)
    p = {"prior": prior(1), "posterior": prior.posterior(-loc, 2 * scale),
         "normal": dist.Normal(-loc, 2 * scale).to_event(1)}[kind]  # fmt: skip
    whole = (
        gaussian(p)
        if kind != "normal"
        else MultivariateNormal(-loc, (2 * scale[0]).square().diag())
    )
    z = q.mean + torch.tensor([[[-1.0]], [[1.0]]]).double() * q.stddev
    expected = kl_divergence(gaussian(q), whole)
    torch.testing.assert_close(divergence_at(q, p, z).mean(0), expected)
    torch.testing.assert_close(kl_by_unit(q, p, z).sum(-1).mean(0), expected)
    one = torch.stack([divergence(q, p) for _ in range(2000)])
    torch.testing.assert_close(one.mean(0), expected, rtol=0.1, atol=0.02)


def test_a_normal_from_a_ladder_is_as_far_as_its_levels_say(prior):
    q = dist.Normal(torch.tensor([[0.7, -0.4]]).double(), 0.5).to_event(1)
    z = q.mean + torch.tensor([[[-1.0]], [[1.0]]]).double() * q.stddev
    whole = MultivariateNormal(q.mean, 0.25 * torch.eye(2).double())
    torch.testing.assert_close(
        divergence_at(q, prior(1), z).mean(0), kl_divergence(whole, gaussian(prior(1)))
    )


def test_without_levels_the_draw_does_not_matter():
    q, p = (dist.Normal(torch.randn(3, 2), 0.5).to_event(1) for _ in range(2))
    nowhere = torch.full((3, 2), float("nan"))
    torch.testing.assert_close(divergence_at(q, p, nowhere), kl_divergence(q, p))
    torch.testing.assert_close(kl_by_unit(q, p, nowhere).sum(-1), kl_divergence(q, p))


def test_what_is_normal_at_no_level_is_not_known_in_closed_form(prior):
    q = dist.Laplace(torch.zeros(1, 2).double(), 1.0).to_event(1)
    with pytest.raises(NotImplementedError):
        divergence_at(q, prior(1), q.sample())
    assert divergence(q, prior(1)).isfinite().all()
