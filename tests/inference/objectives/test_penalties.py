import pyro.distributions as dist
import torch
from torch.distributions import Laplace, Normal, kl_divergence

from inference.objectives.divergence import divergence


def test_a_posterior_is_nowhere_from_itself(guide, views):
    q = guide.posterior(views)
    torch.testing.assert_close(divergence(q, q), torch.zeros(6))


def test_without_a_closed_form_the_divergence_is_right_on_average():
    loc = torch.zeros(20_000, 1)
    q, p = Normal(loc, 1.0), Laplace(loc, 1.0)
    closed = kl_divergence(p, q).mean()  # known this way round only in torch
    sampled = divergence(_Opaque(p), _Opaque(q)).mean()
    torch.testing.assert_close(sampled, closed, rtol=0.05, atol=0.02)


class _Opaque(dist.TorchDistribution):
    """A distribution of which nothing is known but how to draw and score."""

    def __init__(self, known):
        self.known = known
        super().__init__(known.batch_shape, validate_args=False)

    def rsample(self, shape=()):
        return self.known.rsample(shape)

    def log_prob(self, value):
        return self.known.log_prob(value)
