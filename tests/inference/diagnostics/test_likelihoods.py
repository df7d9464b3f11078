"""Log-likelihoods of views, jointly and one given others, where each is known exactly."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from inference.build import Assembly
from inference.diagnostics.likelihoods import log_likelihoods
from inference.objectives.bounds import ELBO
from scene.views import Views


class Senses(nn.Module):
    """z ~ N(A c, I), each view x | z ~ N(W z + b, s²), with a c that is given or without."""

    latent = 2

    def __init__(self, views=("sight", "sound", "touch"), conditions=()):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.views, self.conditions = views, conditions
        self.weights = nn.ParameterDict(
            {name: torch.randn(3, 2, generator=draw).double() for name in views}
        )
        self.lean = nn.Parameter(torch.randn(2, 3, generator=draw).double())
        self.biases = {name: torch.randn(3, generator=draw).double() for name in views}
        self.scales = {name: torch.rand(3, generator=draw).double() + 0.5 for name in views}

    def start(self, views):
        """Find the mean of z before any view that the model explains is seen."""
        if self.conditions:
            return views["cue"] @ self.lean.T
        return torch.zeros(len(views), 2).double()

    def prior(self, views):
        return dist.Normal(self.start(views), 1.0).to_event(1)

    def forward(self, views):
        with pyro.plate("scenes", len(views), dim=-1):
            z = pyro.sample("z", self.prior(views))
            for name in self.views:
                if name in views:
                    mean = z @ self.weights[name].T + self.biases[name]
                    x = dist.Normal(mean, self.scales[name]).to_event(1)
                    pyro.sample(name, x, obs=views[name])

    def log_evidence(self, views, names):
        """Score some views jointly, z integrated out: ``(N,)``."""
        weight, bias, variance = self.stacked(names)
        x = torch.cat([views[name] for name in names], 1)
        mean = self.start(views) @ weight.T + bias
        covariance = weight @ weight.T + variance.diag()
        return dist.MultivariateNormal(mean, covariance).log_prob(x).detach()

    def stacked(self, names):
        """Write some views as one: W, b and s²."""
        weight = torch.cat([self.weights[name] for name in names])
        bias = torch.cat([self.biases[name] for name in names])
        return weight, bias, torch.cat([self.scales[name] for name in names]).square()


class Knower(nn.Module):
    """The posterior given any views; ``blur`` makes it wider than it should be."""

    def __init__(self, model, blur=1.0):
        super().__init__()
        self.model, self.blur = (model,), blur
        self.views = (*model.conditions, *model.views)

    def accepts(self, given):
        return bool(given)

    def posterior(self, views):
        (model,) = self.model
        names = [name for name in model.views if name in views]
        weight, bias, variance = model.stacked(names)
        scaled = weight.T / variance
        covariance = (torch.eye(2).double() + scaled @ weight).inverse()
        x = torch.cat([views[name] for name in names], 1)
        loc = (model.start(views) + (x - bias) @ scaled.T) @ covariance
        return dist.MultivariateNormal(loc, self.blur**2 * covariance)

    def forward(self, views):
        with pyro.plate("scenes", len(views), dim=-1):
            return pyro.sample("z", self.posterior(views))


def _drawn(model, count=12):
    """Draw scenes from the model itself: draws of z from its prior find them."""
    draw = torch.Generator().manual_seed(5)
    known = {n: torch.randn(count, 3, generator=draw).double() for n in model.conditions}
    seen = Views(known or {"nothing": torch.zeros(count, 1)})
    z = model.start(seen).detach() + torch.randn(count, 2, generator=draw).double()
    for n in model.views:
        mean = z @ model.weights[n].detach().T + model.biases[n]
        known[n] = mean + model.scales[n] * torch.randn(count, 3, generator=draw).double()
    return Views(known)


def _found(model, blur, particles):
    torch.manual_seed(0)
    views = _drawn(model)
    assembly = Assembly(model, Knower(model, blur), ELBO())
    return views, *log_likelihoods(assembly, views, particles=particles)


MODELS = [Senses(), Senses(("sight", "touch"), ("cue",))]
IDS = ["joint", "conditional"]


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_by_the_true_posterior_every_log_likelihood_is_exact(model):
    """Of each set of views, and with it of each view given others, whatever z is drawn."""
    views, marginals, conditionals = _found(model, blur=1.0, particles=2)
    exact = {m.given: model.log_evidence(views, m.scored) for m in marginals}
    passes = 0
    for m in marginals:
        if not set(m.given) - set(model.conditions):
            continue  # drawn from the prior, which is not the posterior
        passes += 1
        assert m.elbo.value == pytest.approx(float(exact[m.given].mean()))
        assert m.iwae.value == pytest.approx(float(exact[m.given].mean()))
        error = float(exact[m.given].std() / len(views) ** 0.5)
        assert m.iwae.error == pytest.approx(error)
        assert m.effective == pytest.approx(2)
    assert passes == 2 ** len(model.views) - 1
    for c in conditionals:
        both = model.log_evidence(views, [n for n in model.views if n in (*c.given, c.target)])
        alone = model.log_evidence(views, [n for n in model.views if n in c.given])
        assert c.difference.value == pytest.approx(float((both - alone).mean()))


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_by_a_posterior_that_is_off_they_become_exact_with_many_draws(model):
    """The ELBO stays below by KL(q ‖ p); the IWAE bound and what goes through q do not."""
    views, marginals, conditionals = _found(model, blur=1.4, particles=4000)
    gap = 2 * (0.5 * 1.4**2 - 0.5 - torch.tensor(1.4).log())  # KL of each of two dimensions
    for m in marginals:
        exact = float(model.log_evidence(views, m.scored).mean())
        assert m.iwae.value == pytest.approx(exact, abs=0.1)
        if set(m.given) - set(model.conditions):
            assert m.elbo.value == pytest.approx(exact - float(gap), abs=0.1)
    assert len(conditionals) == {"joint": 9, "conditional": 2}[IDS[MODELS.index(model)]]


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_what_is_predicted_is_scored_by_the_mixture_that_predicts_it(model):
    """Through the true posterior, log E p(target | z) becomes log p(target | given)."""
    views, _, conditionals = _found(model, blur=1.0, particles=4000)
    for c in conditionals:
        both = model.log_evidence(views, [n for n in model.views if n in (*c.given, c.target)])
        alone = model.log_evidence(views, [n for n in model.views if n in c.given])
        assert c.through.value == pytest.approx(float((both - alone).mean()), abs=0.15)


def test_draws_from_the_prior_score_what_the_condition_leaves_open():
    """Of a conditional model, z given its conditions alone is drawn from p(z | cue)."""
    model = MODELS[1]
    views, marginals, _ = _found(model, blur=1.0, particles=4000)
    (prior,) = [m for m in marginals if m.given == ("cue",)]
    assert prior.title == "sight, touch | cue"
    exact = float(model.log_evidence(views, model.views).mean())
    assert prior.iwae.value == pytest.approx(exact, abs=0.3)
    assert prior.elbo.value < exact
