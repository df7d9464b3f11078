"""The hybrid bound: a share of the bound, a share of what the prior predicts."""

import pytest
import torch

from inference.guides import JointGuide
from inference.objectives.bounds import ELBO, IWAE
from inference.objectives.telbo import Hybrid
from scene.conditional import ConditionalScene


@pytest.fixture
def pair(schema):
    torch.manual_seed(0)
    model = ConditionalScene(schema, latent=4, width=2, hidden=8, prior="learned").eval()
    return model, JointGuide(schema, ("image", "mask"), latent=4, width=2).eval()


def _loss(objective, pair, views):
    torch.manual_seed(1)
    return objective(*pair)(views)


def test_without_a_share_it_is_the_bound(pair, views):
    joint = ELBO(3)
    torch.testing.assert_close(_loss(Hybrid(joint, 0.0), pair, views), _loss(joint, pair, views))


def test_with_the_whole_share_it_is_what_the_prior_predicts(pair, views):
    """Draw by draw: both average over the same three z."""
    model, guide = pair
    torch.manual_seed(1)
    result = Hybrid(ELBO(3), 1.0).terms(model, guide, views)["prior"]
    torch.manual_seed(1)
    z = model.prior(views).sample((3,))
    seen = views.present["mask"]
    likelihood = model.decode(z, views, ("mask",))["mask"].log_prob(views["mask"])[:, seen]
    torch.testing.assert_close(result.bound, likelihood.mean(), rtol=1e-5, atol=0)
    assert result.parts["kl"] == 0


def test_the_term_of_the_prior_teaches_model_and_prior_but_not_the_guide(pair, views):
    model, guide = pair
    _loss(Hybrid(IWAE(2), 1.0), pair, views).backward()
    assert all(p.grad is None or not p.grad.any() for p in guide.parameters())
    assert model.prior_net.head.layers[0].weight.grad.abs().sum() > 0
    assert any(p.grad is not None and p.grad.any() for p in model.mask.parameters())


def test_shares_weigh_the_two(pair, views):
    none, half, whole = (_loss(Hybrid(ELBO(2), share), pair, views) for share in (0.0, 0.5, 1.0))
    torch.testing.assert_close(half, (none + whole) / 2)
