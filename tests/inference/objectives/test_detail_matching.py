"""What a flow of details learns: the textures that the mean of a decoder leaves out."""

import pytest
import torch

from inference.guides import ProductGuide
from inference.objectives.detail_matching import DetailMatching
from scene.detailed import DetailedScene
from scene.models import JointScene
from scene.views import VIEWS, Views


@pytest.fixture
def assembled(schema):
    torch.manual_seed(0)
    model = DetailedScene(schema, JointScene(schema, 3, 2), width=8)
    guide = ProductGuide(schema, VIEWS, latent=3, width=4).requires_grad_(False)
    return model, guide


def test_a_velocity_of_nothing_errs_by_the_variance_of_noise_and_details(assembled, pets_views):
    """At first the velocity is 0, and the error that of two standard numbers' difference: 2."""
    model, guide = assembled
    model.train()
    (term,) = DetailMatching().terms(model, guide, pets_views(64)).values()
    assert float(-term.bound.detach()) == pytest.approx(2, rel=0.05)


def test_scenes_that_lack_a_view_are_left_out(assembled, pets_views):
    model, guide = assembled
    views = pets_views(6)
    present = {**views.present, "mask": torch.tensor([1, 0, 1, 0, 1, 0]).bool()}
    partly = Views(dict(views.items()), present)
    (term,) = DetailMatching().terms(model, guide, partly).values()
    assert term.scenes == 3
    none = Views(dict(views.items()), {**present, "mask": torch.zeros(6, dtype=torch.bool)})
    assert DetailMatching().terms(model, guide, none) == {}


def test_the_guide_stays_as_it_is(assembled, pets_views):
    model, guide = assembled
    before = {name: tensor.clone() for name, tensor in guide.state_dict().items()}
    guide.train()
    (term,) = DetailMatching().terms(model.train(), guide, pets_views(4)).values()
    (-term.bound).backward()
    assert all(torch.equal(guide.state_dict()[name], t) for name, t in before.items())
    assert all(p.grad is not None for p in model.velocity.parameters())


def test_stripes_are_learned(assembled, pets_views):
    """Images with stripes, of which a mean knows nothing: draws come to have them."""
    model, guide = assembled
    views = pets_views(16)
    height, width = views["image"].shape[-2:]
    rows = 0.1 * torch.tensor([1.0, -1.0]).repeat(height)[:height, None].expand(3, -1, width)
    striped = (0.5 + rows).expand_as(views["image"])
    views = Views({**dict(views.items()), "image": striped}, views.present)
    parts = model.velocity.parameters()
    optimizer = torch.optim.Adam(parts, 1e-2)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        (term,) = DetailMatching().terms(model, guide, views).values()
        (-term.bound).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        z = guide.posterior(views.only(VIEWS)).sample()
        drawn = model.decode(z, None, ("image",))["image"].sample()
    along = ((drawn - 0.5) * rows.sign()).mean((1, 2, 3))
    assert 0.07 < along.min() <= along.max() < 0.13
