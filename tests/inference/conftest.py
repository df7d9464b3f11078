"""Worlds small enough to know: a linear-Gaussian one in closed form, and scenes of two pets."""

import copy
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from inference.build import assemble
from inference.guides import RetrofitGuide
from inference.runs.run import create, read
from inference.settings.recipes import recipe
from inference.training.fit import fit
from scene.datasets.catalogue import open_data
from scene.models import JointScene
from scene.views import VIEWS, Views

TINY = {
    "size": (16, 16), "steps": 4, "batch_size": 4, "latent": 4, "width": 4, "guide_width": 4,
    "validate_every": 2,
}  # fmt: skip
"""Settings that train in a tenth of a second."""

PLAIN = {"telbo": {"prior": "standard"}}
"""What leaves out what learns afterwards."""


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x | z ~ N(W z + b, diag s²): everything worth knowing has a closed form."""

    views = ("x",)

    def __init__(self, latent=3, observed=5):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(observed, latent, generator=draw).double())
        self.bias = nn.Parameter(torch.randn(observed, generator=draw).double())
        self.scale = torch.linspace(0.5, 1.5, observed).double()

    def forward(self, views):
        with pyro.plate("scenes", len(views), dim=-1):
            zero = torch.zeros(len(views), self.weight.shape[1]).double()
            z = pyro.sample("z", dist.Normal(zero, 1.0).to_event(1))
            x = dist.Normal(z @ self.weight.T + self.bias, self.scale).to_event(1)
            pyro.sample("x", x, obs=views["x"])

    def log_evidence(self, views):
        covariance = self.weight @ self.weight.T + self.scale.square().diag()
        return dist.MultivariateNormal(self.bias, covariance).log_prob(views["x"])

    def posterior(self, views):
        scaled = self.weight.T / self.scale.square()
        covariance = (torch.eye(self.weight.shape[1]).double() + scaled @ self.weight).inverse()
        loc = (views["x"] - self.bias) @ scaled.T @ covariance
        return dist.MultivariateNormal(loc, covariance)


class Believer(nn.Module):
    """A guide of that world: a posterior given as a function of the views."""

    views = ("x",)

    def __init__(self, posterior):
        super().__init__()
        self.posterior = posterior

    def forward(self, views):
        with pyro.plate("scenes", len(views), dim=-1):
            return pyro.sample("z", self.posterior(views))


class Diagonal(nn.Module):
    """A diagonal Normal whose mean is linear in x: a belief that is somewhat wrong."""

    def __init__(self, latent=3, observed=5):
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(0.1 * torch.randn(latent, observed, generator=draw).double())
        self.log_scale = nn.Parameter(torch.full((latent,), -0.3).double())

    def forward(self, views):
        loc = views["x"] @ self.weight.T
        return dist.Normal(loc, self.log_scale.exp().expand_as(loc)).to_event(1)


@pytest.fixture
def linear():
    return LinearGaussian()


@pytest.fixture
def exact(linear):
    """Make the guide that is right."""
    return Believer(linear.posterior)


@pytest.fixture
def rough():
    """Make a guide that is not."""
    return Believer(Diagonal())


@pytest.fixture
def broad(linear):
    """Make a guide that is right but for its scale, half as large again: weights are bounded."""

    world = copy.deepcopy(linear)  # or it would follow what the other learns

    def posterior(views):
        q = world.posterior(views)
        return dist.MultivariateNormal(q.loc.detach(), scale_tril=1.5 * q.scale_tril.detach())

    return Believer(posterior)


@pytest.fixture
def data():
    """Make 8 scenes of 5 numbers."""
    return Views({"x": 2 * torch.randn(8, 5, generator=torch.Generator().manual_seed(2)).double()})


@pytest.fixture
def views(pets_views):
    """Make 6 scenes of every view, with void pixels."""
    return pets_views(6)


@pytest.fixture
def partial(views):
    """Make the same scenes partly labelled; the first two are complete, no image is missing."""
    present = {
        "image": torch.ones(6, dtype=torch.bool),
        "classes": torch.tensor([1, 1, 1, 0, 0, 1]).bool(),
        "mask": torch.tensor([1, 1, 0, 1, 0, 0]).bool(),
    }
    return Views({name: views[name] for name in VIEWS}, present)


@pytest.fixture
def model(schema):
    torch.manual_seed(0)
    return JointScene(schema, latent=4, width=2).eval()  # in training, a batch shares its norms


@pytest.fixture
def guide(schema):
    torch.manual_seed(1)
    return RetrofitGuide(schema, VIEWS, latent=4, width=2).eval()


@pytest.fixture
def noise(monkeypatch):
    """Make every standard normal draw 0.3: sampled terms become functions of the views."""
    monkeypatch.setattr(
        "torch.distributions.normal._standard_normal",
        lambda shape, dtype, device: torch.full(shape, 0.3, dtype=dtype, device=device),
    )
    return 0.3


@pytest.fixture
def cubature(monkeypatch):
    """Make 2 L draws the points ±√L eᵢ, whose average is exact for quadratics of z."""

    def points(shape, dtype, device):
        axes = math.sqrt(shape[-1]) * torch.eye(shape[-1], dtype=dtype, device=device)
        return torch.cat([axes, -axes]).unsqueeze(1).expand(shape)

    monkeypatch.setattr("torch.distributions.normal._standard_normal", points)


@pytest.fixture
def tiny(few):
    """Make settings of a recipe that trains in a moment, on a handful of scenes."""

    def make(name="telbo", **choices):
        small = {key: value for key, value in TINY.items() if recipe(name).takes(key)}
        return recipe(name).settings(**{**small, **PLAIN.get(name, {}), **choices})

    return make


@pytest.fixture
def built(tiny):
    """Build a small model, guide and objective of a recipe, for a schema."""
    return lambda schema, name="telbo", **choices: assemble(tiny(name, **choices), schema)


@pytest.fixture
def fitted(tmp_path, tiny):
    """Train in a folder of the test's own, or go on there: gives the run and what learned."""

    def train(name="telbo", folder="run", watch=lambda report: None, resume=False, **choices):
        settings = tiny(name, **choices)
        scenes, val = (
            open_data(settings.data.source, split, settings.data.size)
            for split in ("train", "val")
        )
        if resume:
            run = read(tmp_path / folder)
        else:
            run = create(settings, scenes.schema, scenes.name, tmp_path / folder)
        assembly = assemble(run.settings, scenes.schema)
        return fit(assembly, scenes, val, run, device="cpu", watch=watch, resume=resume), assembly

    return train
