"""What the estimators do on average, and how much they scatter, where the truth is known."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from inference.objectives.bounds import ELBO, IWAE, STL, DReG
from inference.objectives.telbo import JMVAE, TELBO
from scene.views import Views

COPIES, ROUNDS = 250, 40
"""Each of ``ROUNDS`` gradients averages this many draws of every scene."""


class Dense(nn.Module):
    """A Normal with a full covariance, linear in x: it can be right, and starts so."""

    views = ("x",)

    def __init__(self, truth):
        super().__init__()
        at_zero, at_one = (truth.posterior(Views({"x": x})) for x in (_ZERO, _ONES))
        self.bias = nn.Parameter(at_zero.loc[0].detach())
        self.weight = nn.Parameter((at_one.loc - at_zero.loc[:1]).detach())
        self.tril = nn.Parameter(at_zero.scale_tril[0].detach())

    def forward(self, views):
        q = dist.MultivariateNormal(
            self.bias + views["x"] @ self.weight, scale_tril=self.tril.tril()
        )
        with pyro.plate("scenes", len(views), dim=-1):
            return pyro.sample("z", q)


_ZERO, _ONES = torch.zeros(1, 5).double(), torch.eye(5).double()


def gradients(objective, model, guide, data, rounds=ROUNDS):
    """Draw gradients of the loss for the model and for the guide: ``(rounds, parameters)``."""
    copies = data.rows(torch.arange(len(data)).repeat(COPIES))
    result = []
    for _ in range(rounds):
        loss = objective.differentiable_loss(model, guide, copies)
        result.append([_flat(torch.autograd.grad(loss, [*net.parameters()], retain_graph=True))
                      for net in (model, guide)])  # fmt: skip
    return (torch.stack(draws) for draws in zip(*result, strict=True))


def _flat(tensors):
    return torch.cat([t.flatten() for t in tensors])


def strangeness(draws, others=0.0):
    """Say by how many standard errors means differ: root mean square over the parameters."""
    others = torch.as_tensor(others).double()
    spread = draws.var(0) / len(draws)
    if others.dim() == 2:
        spread, others = spread + others.var(0) / len(others), others.mean(0)
    known = spread > 0  # half of a triangular matrix has no gradient
    return float(((draws.mean(0) - others).square() / spread)[known].mean().sqrt())


@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_dreg_follows_the_gradient_of_iwae(linear, rough, data, beta):
    """Tucker et al., eq. 8: one expectation, two estimators; their means agree within error.

    Over seeds 1 ± 0.3 standard errors lie between them, and 13 or more where they do not agree.
    """
    torch.manual_seed(0)
    plain_p, plain_q = gradients(IWAE(5, beta), linear, rough, data)
    dreg_p, dreg_q = gradients(DReG(5, beta), linear, rough, data)
    assert strangeness(dreg_q, plain_q) < 4
    assert strangeness(dreg_p, plain_p) < 4
    assert strangeness(plain_q) > 5


def test_near_the_posterior_dreg_scatters_far_less(linear, data):
    """Its variance is a 400th of the other's; far from the posterior it need not be less."""
    guide = Dense(linear)
    with torch.no_grad():
        guide.bias.add_(0.1)
        guide.tril.mul_(1.1)
    torch.manual_seed(0)
    _, plain = gradients(IWAE(5), linear, guide, data)
    _, dreg = gradients(DReG(5), linear, guide, data)
    assert strangeness(dreg, plain) < 4
    assert dreg.var(0).sum() < 0.2 * plain.var(0).sum()


@pytest.mark.parametrize("kind", [DReG, STL])
@pytest.mark.parametrize("particles", [1, 4])
def test_only_what_the_guide_learns_from_differs_from_iwae(linear, rough, data, kind, particles):
    """Draw by draw, the value and the generator's gradient are those of IWAE."""
    losses, slopes = [], []
    for objective in (IWAE(particles), kind(particles)):
        torch.manual_seed(0)
        losses.append(objective.differentiable_loss(linear, rough, data))
        slopes.append(_flat(torch.autograd.grad(losses[-1], [*linear.parameters()])))
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(slopes[0], slopes[1])


@pytest.mark.parametrize("kind", [DReG, STL])
@pytest.mark.parametrize("particles", [1, 5])
def test_at_the_posterior_nothing_pulls_at_the_guide(linear, data, kind, particles):
    """Every draw says that q is right, where ELBO and IWAE say so only on average."""
    guide = Dense(linear)
    torch.manual_seed(0)
    _, pull = gradients(kind(particles), linear, guide, data, rounds=1)
    assert pull.abs().max() < 1e-12
    _, noise = gradients(IWAE(particles), linear, guide, data, rounds=1)
    assert noise.abs().max() > 1e-3


def test_stl_with_one_draw_is_the_elbo_on_average(linear, rough, data):
    torch.manual_seed(0)
    _, plain = gradients(ELBO(1, analytic=False), linear, rough, data)
    _, path = gradients(STL(1), linear, rough, data)
    assert strangeness(path, plain) < 4


def test_stl_with_more_draws_is_biased(linear, rough, data):
    """What its docstring says, measured: far outside the error that DReG stays within."""
    torch.manual_seed(0)
    _, plain = gradients(IWAE(5), linear, rough, data)
    _, path = gradients(STL(5), linear, rough, data)
    assert strangeness(path, plain) > 6
    bias = (path.mean(0) - plain.mean(0)).norm() / plain.mean(0).norm()
    assert 0.1 < bias


@pytest.mark.parametrize("kind", [DReG, IWAE])
def test_many_draws_give_the_gradient_of_the_evidence(linear, broad, data, kind):
    """Over seeds the errors are 1.1 ± 0.1, 0.12 ± 0.03 and 0.005 ± 0.001 of it."""
    torch.manual_seed(0)
    truth = _flat(torch.autograd.grad(-linear.log_evidence(data).mean(), [*linear.parameters()]))
    errors = []
    for particles in (1, 10, 4000):
        loss = torch.stack(
            [kind(particles).differentiable_loss(linear, broad, data) for _ in range(20)]
        ).mean()
        result = _flat(torch.autograd.grad(loss, [*linear.parameters()]))
        errors.append(float((result - truth).norm() / truth.norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1


def _slopes(objective, model, guide, views):
    for net in (model, guide):
        net.zero_grad()
    torch.manual_seed(0)
    objective.differentiable_loss(model, guide, views).backward()
    return [{name: p.grad for name, p in net.named_parameters()} for net in (model, guide)]


@pytest.mark.parametrize("generators", ["shared", "stopped"])
def test_generators_of_telbo_learn_as_from_iwae(model, guide, partial, generators):
    """Joint and retrofit terms alike, on scenes partly labelled, generators shared or stopped."""
    kinds = [TELBO(kind(3), generators=generators) for kind in (IWAE, DReG, STL)]
    (plain, believed), *others = (_slopes(created, model, guide, partial) for created in kinds)
    for slopes, beliefs in others:
        torch.testing.assert_close(slopes, plain)
        assert believed.keys() == beliefs.keys()
        assert not all(beliefs[name].equal(believed[name]) for name in beliefs)


def test_joint_and_retrofit_terms_choose_apart(model, guide, views):
    """Only the experts learn from retrofit terms, so only they notice what those follow."""
    mixed, plain = TELBO(IWAE(3), DReG(3)), TELBO(IWAE(3), IWAE(3))
    (_, ours), (_, theirs) = (_slopes(created, model, guide, views) for created in (mixed, plain))
    for name in ours:
        same = torch.allclose(ours[name], theirs[name], atol=1e-5)
        assert same == name.startswith("joint."), name


def test_jmvae_takes_them_for_its_joint_term(model, guide, views):
    plain, _ = _slopes(JMVAE(IWAE(3)), model, guide, views)
    ours, beliefs = _slopes(JMVAE(DReG(3)), model, guide, views)
    torch.testing.assert_close(ours, plain)
    assert all(slope.isfinite().all() for slope in beliefs.values())


@pytest.mark.parametrize("kind", [DReG, STL])
def test_without_gradients_they_are_iwae(model, guide, views, kind):
    losses = []
    for objective in (IWAE(3), kind(3)):
        torch.manual_seed(0)
        losses.append(objective.loss(model, guide, views))
    assert losses[0] == losses[1]
