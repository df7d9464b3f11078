import math

import pytest
import torch

from inference.objectives.bounds import ELBO, IWAE, Renyi, elbo, iwae, renyi
from inference.objectives.importance_weights import log_weights


@pytest.fixture
def log_w():
    torch.manual_seed(0)
    return 10 * torch.randn(7, 50).double()


def test_its_ends_are_iwae_and_the_elbo(log_w):
    torch.testing.assert_close(renyi(log_w, 0.0), iwae(log_w))
    torch.testing.assert_close(renyi(log_w, 1.0), elbo(log_w))
    for nearly in (1 - 1e-7, 1 + 1e-7):
        torch.testing.assert_close(renyi(log_w, nearly), elbo(log_w), rtol=1e-4, atol=1e-4)


def test_it_falls_as_alpha_rises(log_w):
    """Li & Turner, theorem 1, which holds of every finite set of weights."""
    bounds = torch.stack([renyi(log_w, a) for a in (0.0, 0.2, 0.5, 0.9, 1.0, 1.1, 2.0, 50.0)])
    assert (bounds.diff(dim=0) < 0).all()
    assert (bounds[-1] >= log_w.min(0).values).all()


def test_its_gradient_weighs_draws_by_the_power(log_w):
    """∂L/∂log w is the softmax of (1 − α) log w: uniform at α = 1."""
    log_w.requires_grad_()
    for alpha in (0.0, 0.5, 1.0, 2.0):
        (slope,) = torch.autograd.grad(renyi(log_w, alpha).sum(), log_w)
        torch.testing.assert_close(slope, ((1 - alpha) * log_w).softmax(0).detach())


def test_a_shift_of_the_weights_shifts_the_bound(log_w):
    torch.testing.assert_close(renyi(log_w + 3, 0.4), renyi(log_w, 0.4) + 3)


@pytest.mark.parametrize(("alpha", "same"), [(0.0, IWAE(4)), (1.0, ELBO(4, analytic=False))])
def test_the_objective_has_the_same_ends(linear, rough, data, alpha, same):
    losses = []
    for objective in (Renyi(4, alpha=alpha), same):
        torch.manual_seed(0)
        losses.append(objective.loss(linear, rough, data))
    assert losses[0] == pytest.approx(losses[1])


def test_many_draws_have_the_divergence_as_their_limit(linear, rough, data):
    """log p(x) − D_α(q ‖ p(z | x)), which for Normals has a closed form (Gil et al., 2013)."""
    torch.manual_seed(0)
    alpha, log_w = 0.7, log_weights(linear, rough, data, particles=60_000).detach()
    q, p = rough.posterior(data), linear.posterior(data)
    gap, between = q.mean - p.loc, torch.diag_embed(q.variance)
    mixed = (1 - alpha) * between + alpha * p.covariance_matrix
    far = torch.einsum("bi,bij,bj->b", gap, mixed.inverse(), gap)
    sizes = (1 - alpha) * between.logdet() + alpha * p.covariance_matrix.logdet()
    divergence = 0.5 * alpha * far - 0.5 * (mixed.logdet() - sizes) / (alpha - 1)
    limit = (linear.log_evidence(data) - divergence).detach()
    assert (divergence > 0).all()
    torch.testing.assert_close(renyi(log_w, alpha), limit, rtol=0, atol=0.3)


@pytest.mark.parametrize("alpha", [-0.1, math.inf, math.nan])
def test_an_alpha_that_bounds_nothing_is_refused(alpha):
    with pytest.raises(ValueError, match="Rényi's alpha must be 0 or more, not"):
        Renyi(2, alpha=alpha)
