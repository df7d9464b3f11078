from itertools import pairwise

import pyro
import pytest
import torch
from pyro import poutine
from torch.distributions import Normal

from inference.guides import (
    EmptyGuide,
    Guide,
    JointGuide,
    MaskedGuide,
    ProductGuide,
    RetrofitGuide,
)
from inference.objectives.telbo import subsets
from scene.models import JointScene
from scene.networks.encoders import Encoder
from scene.networks.spatial import Latent
from scene.views import VIEWS, Views

EVERY = (*subsets("all"), VIEWS)


def _parameters(q):
    return q.base_dist.loc, q.base_dist.scale


@pytest.fixture(params=[0, 2], ids=["vector", "grid"])
def sizes(request, schema):
    """Sizes of a z that is one vector, or has a grid of that many channels beside it."""
    length = Latent(4, request.param, 4, schema.size).length
    return {"latent": length, "width": 2, "spatial": request.param}


@pytest.fixture
def product(schema, sizes):
    torch.manual_seed(0)
    return ProductGuide(schema, VIEWS, **sizes).eval()


@pytest.mark.parametrize("given", EVERY, ids="+".join)
def test_a_product_multiplies_its_experts_and_the_prior(product, views, given):
    q = product.posterior(views.only(given))
    z = torch.linspace(-2, 2, 9).view(-1, 1, 1)
    log_q = Normal(0.0, 1.0).log_prob(z)
    for name in given:
        log_q = log_q + Normal(*product.expert(name, views[name])).log_prob(z)
    gap = Normal(*_parameters(q)).log_prob(z) - log_q
    torch.testing.assert_close(gap, gap[:1].expand_as(gap), rtol=1e-4, atol=1e-4)


def test_a_product_with_missing_views_is_that_of_the_views_each_scene_has(product, partial):
    loc, scale = _parameters(product.posterior(partial))
    for b in range(len(partial)):
        scene = partial.rows(torch.tensor([b]))
        seen = [name for name in VIEWS if scene.present[name]]
        alone = _parameters(product.posterior(scene.only(seen)))
        torch.testing.assert_close((loc[b : b + 1], scale[b : b + 1]), alone)


def test_a_scene_of_which_nothing_was_seen_is_left_to_the_prior(product, views):
    present = {name: torch.tensor([0, 1, 1, 1, 1, 1]).bool() for name in VIEWS}
    loc, scale = _parameters(product.posterior(Views(dict(views.items()), present)))
    torch.testing.assert_close(
        (loc[0], scale[0]), (torch.zeros_like(loc[0]), torch.ones_like(loc[0]))
    )
    blind = Views(dict(views.items()), {n: torch.zeros(6, dtype=torch.bool) for n in VIEWS})
    torch.testing.assert_close(product.posterior(blind).base_dist.scale, torch.ones_like(scale))


def test_an_expert_reads_just_the_scenes_that_have_its_view(product, partial):
    read = {}
    for name, net in product.encoders.items():
        net.register_forward_pre_hook(lambda _, given, name=name: read.update({name: given[0]}))
    product.posterior(partial)
    assert {name: len(view) for name, view in read.items()} == {
        "image": 6, "classes": 4, "mask": 3
    }  # fmt: skip
    assert read["mask"].equal(partial["mask"][partial.present["mask"]])


def test_every_expert_sharpens_the_posterior(product, views):
    scales = [product.posterior(views.only(VIEWS[:count])).base_dist.scale for count in (1, 2, 3)]
    assert (scales[0] < 1).all()
    assert all((after < before).all() for before, after in pairwise(scales))


@pytest.mark.parametrize("given", EVERY, ids="+".join)
def test_retrofit_asks_the_joint_network_about_everything_and_experts_about_less(
    guide, views, given
):
    part = guide.joint if given == VIEWS else guide.product
    torch.testing.assert_close(
        _parameters(guide.posterior(views.only(given))),
        _parameters(part.posterior(views.only(given))),
    )


def test_retrofit_asks_the_experts_about_incomplete_scenes(guide, partial):
    torch.testing.assert_close(
        _parameters(guide.posterior(partial)), _parameters(guide.product.posterior(partial))
    )


def test_the_order_of_views_does_not_matter(guide, views):
    turned = views.only(("mask", "image", "classes"))
    for q in (guide, guide.joint, guide.product):
        torch.testing.assert_close(
            _parameters(q.posterior(turned)), _parameters(q.posterior(views))
        )


@pytest.mark.parametrize("kind", [JointGuide, ProductGuide, RetrofitGuide, MaskedGuide])
@pytest.mark.parametrize("reads", EVERY, ids="+".join)
def test_a_guide_of_any_views_has_a_posterior_over_z_per_scene(schema, sizes, views, kind, reads):
    q = kind(schema, reads, **sizes).posterior(views.only(reads))
    assert q.batch_shape == (6,)
    assert q.event_shape == (sizes["latent"],)


@pytest.mark.parametrize("given", EVERY, ids="+".join)
def test_a_joint_guide_accepts_its_views_in_any_order_and_no_fewer(schema, given):
    guide = JointGuide(schema, VIEWS, latent=4, width=2)
    assert guide.accepts(given[::-1]) == (given == VIEWS)
    if given != VIEWS:
        with pytest.raises(ValueError, match=f"JointGuide has no posterior given only {given[0]}"):
            guide.require(given)


@pytest.mark.parametrize("kind", [ProductGuide, RetrofitGuide, MaskedGuide])
def test_some_guides_accept_anything_but_nothing(schema, kind):
    guide = kind(schema, ("image", "mask"), latent=4, width=2)
    assert all(guide.accepts(inputs) for inputs in (("image",), ("mask",), ("mask", "image")))
    assert not guide.accepts(())
    assert not guide.accepts(("image", "classes"))


def test_a_masked_guide_reads_what_is_there_and_nothing_else(schema, sizes, partial):
    torch.manual_seed(0)
    guide = MaskedGuide(schema, VIEWS, **sizes).eval()
    loc, scale = _parameters(guide.posterior(partial))
    for b in range(len(partial)):
        scene = partial.rows(torch.tensor([b]))
        seen = [name for name in VIEWS if scene.present[name]]
        alone = _parameters(guide.posterior(scene.only(seen)))
        torch.testing.assert_close((loc[b : b + 1], scale[b : b + 1]), alone)


def test_a_masked_guide_tells_a_view_that_is_absent_from_one_that_is_empty(schema, views):
    torch.manual_seed(0)
    guide = MaskedGuide(schema, VIEWS, latent=4, width=2).eval()
    q = guide.posterior(views.only(("image",)))
    assert not torch.equal(q.mean, guide.posterior(views.only(("image", "classes"))).mean)
    q.mean.sum().backward()
    assert guide.absent["mask"].grad.abs().sum() > 0
    assert guide.absent["image"].grad.abs().sum() == 0


def test_a_guide_draws_z_for_every_particle_from_its_posterior(guide, views):
    torch.manual_seed(0)
    with pyro.plate("particles", 20_000, dim=-2):
        z = guide(views.rows(torch.arange(2)))
    loc, scale = _parameters(guide.posterior(views.rows(torch.arange(2))))
    assert z.shape == (20_000, 2, 4)
    torch.testing.assert_close((z.mean(0), z.std(0)), (loc, scale), atol=0.03, rtol=0.03)


def test_a_guide_overlooks_views_that_it_cannot_read(schema, views):
    guide = JointGuide(schema, ("image",), latent=4, width=2)
    torch.manual_seed(0)
    z = guide(views)
    torch.manual_seed(0)
    torch.testing.assert_close(z, guide(views.only(("image",))))


def test_the_empty_guide_samples_nothing(schema, views):
    guide = EmptyGuide(schema, ("image",))
    sites = poutine.trace(guide).get_trace(views).stochastic_nodes
    assert sites == []
    assert not list(guide.parameters())
    assert not guide.accepts(("image",))


def test_a_guide_that_says_no_posterior_has_none(schema, views):
    with pytest.raises(NotImplementedError):
        Guide(schema, VIEWS)(views)


def test_model_and_guide_speak_of_the_same_z(schema, guide, views):
    model = JointScene(schema, latent=4, width=2)
    q = poutine.trace(guide).get_trace(views).nodes["z"]
    p = poutine.trace(model).get_trace(views).nodes["z"]
    assert q["value"].shape == p["value"].shape == (6, 4)
    assert q["fn"].batch_shape == p["fn"].batch_shape


@pytest.mark.parametrize("kind", [JointGuide, ProductGuide, RetrofitGuide, MaskedGuide])
def test_a_guide_encodes_a_view_of_ones_own_by_an_encoder_of_ones_own(kind, schema, views):
    """A further view changes the posterior, through its own encoder."""
    cache = []

    def depth(schema, width):
        cache.append(Encoder(1, schema.size, width))
        return cache[-1]

    torch.manual_seed(0)
    guide = kind(schema, ("image", "depth"), latent=4, width=2, encoders={"depth": depth}).eval()
    near, far = (
        Views({"image": views["image"], "depth": torch.full((6, 1, 20, 18), value)})
        for value in (0.0, 1.0)
    )
    first, second = (_parameters(guide.posterior(seen))[0] for seen in (near, far))
    assert first.shape == (6, 4)
    assert not torch.allclose(first, second)
    assert len(cache) == (2 if kind is RetrofitGuide else 1)


def test_a_view_without_an_encoder_is_refused_in_a_sentence(schema):
    with pytest.raises(
        LookupError, match=r"no encoder for the view 'depth', .* encoders=\{'depth': …\}"
    ):
        ProductGuide(schema, ("image", "depth"), latent=4, width=2)
