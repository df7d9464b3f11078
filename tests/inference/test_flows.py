"""A flow over z: what it is given, what it reads, and what it learns."""

import math

import pyro.distributions as dist
import pytest
import torch

from inference.flows import LEAST, MOST, FlowGuide, readers_of
from inference.guides import Guide, JointGuide, MaskedGuide, ProductGuide, RetrofitGuide
from inference.objectives.flow_matching import (
    ALONE,
    DEVIATION,
    MEAN,
    NOTHING,
    EncodedScenes,
    FlowMatching,
    _given,
    encoded,
    encoded_once,
)
from scene.datasets.catalogue import open_data
from scene.flows import Flow
from scene.networks.spatial import FeaturePyramid, Latent
from scene.networks.velocity import Velocity, ViewFeatures, waves
from scene.views import VIEWS, Views

GRID = {"spatial": 2, "cell": 8}


def flow_guide(schema, kind=ProductGuide, grid=False, **more):
    choices = {"latent": 3 + 2 * 9 * grid, "width": 4, **(GRID if grid else {})}
    return FlowGuide(schema, VIEWS, source=kind(schema, VIEWS, **choices), flow_width=8, **choices)


def stirred(module):
    """Move every weight away from where it began: the last layers begin at 0."""
    source = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=source)
    return module


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("kind", [ProductGuide, JointGuide, MaskedGuide, RetrofitGuide])
def test_any_views_or_none_have_a_density(schema, pets_views, kind, grid):
    guide = stirred(flow_guide(schema, kind, grid)).eval()
    views = pets_views(3)
    for names in [("image",), ("mask", "classes"), VIEWS]:
        assert guide.accepts(names)
        q = guide.posterior(views.only(names))
        assert q.batch_shape == (3,)
        assert q.sample((2,)).shape == (2, 3, guide.latent)
    assert guide.accepts(())
    assert guide.posterior(None, 5).sample().shape == (5, guide.latent)
    assert not guide.accepts(("depth",))


def test_what_is_given_changes_the_density_of_its_own_scene_only(schema, pets_views):
    guide = stirred(flow_guide(schema, grid=True)).eval()
    views = pets_views(2)
    other = dict(views.items())
    other["mask"] = other["mask"].clone()
    other["mask"][1] = 1
    z = torch.randn(2, guide.latent)
    time = torch.tensor(0.4)

    def field(seen):
        return guide.posterior(seen).field(time, z[None])[0]

    unmoved, moved = (field(views) - field(Views(other))).abs().amax(1)
    assert unmoved < 1e-6
    assert moved > 1e-4


@pytest.mark.parametrize("grid", [False, True])
def test_guidance_moves_draws_further_from_those_of_the_prior(schema, pets_views, grid):
    guide = stirred(flow_guide(schema, grid=grid)).eval()
    views = pets_views(3).only(("classes",))
    z, time = torch.randn(2, 3, guide.latent), torch.tensor(0.3)

    def velocity(seen, guidance):
        guide.guidance = guidance
        return guide.posterior(seen, 3).field(time, z)

    learned, prior = velocity(views, 1.0), velocity(None, 1.0)
    assert torch.equal(velocity(None, 3.0), prior)
    for guidance in (0.0, 0.5, 3.0):
        wanted = prior + guidance * (learned - prior)
        assert torch.allclose(velocity(views, guidance), wanted, atol=1e-4)
    assert guide.posterior(views).sample((4,)).shape == (4, 3, guide.latent)


def test_an_absent_view_is_as_one_that_is_not_given(schema, pets_views):
    guide = stirred(flow_guide(schema, grid=True)).eval()
    views = pets_views(2)
    hidden = Views(
        {name: views[name].clone() for name in VIEWS},
        {"mask": torch.tensor([True, False]), "classes": torch.tensor([True, True])},
    )
    hidden["mask"][1] = 255
    z, time = torch.randn(1, 2, guide.latent), torch.tensor(0.7)
    partly = guide.posterior(hidden).field(time, z)[0, 1]
    without = guide.posterior(views.only(("image", "classes"))).field(time, z)[0, 1]
    assert torch.allclose(partly, without, atol=1e-5)


def test_the_guide_that_is_learned_from_stays_as_it_is(schema, pets_views):
    guide = flow_guide(schema).train()
    assert not guide.source.training
    assert not any(p.requires_grad for p in guide.source.parameters())
    before = {name: value.clone() for name, value in guide.source.state_dict().items()}
    terms = FlowMatching().terms(None, guide, pets_views(6))
    (-terms["flow"].bound).backward()
    assert guide.velocity.embed[0].weight.grad is not None
    assert all(torch.equal(value, before[n]) for n, value in guide.source.state_dict().items())


class Own(Guide):
    """A guide of one's own: it has no encoders, and its posterior is no Normal."""

    def accepts(self, names):
        return bool(names)

    def posterior(self, views):
        zero = torch.zeros(len(views), self.latent)
        return dist.Laplace(zero, 1.0).to_event(1)


def test_a_guide_of_ones_own_is_read_by_encoders_that_learn(schema, pets_views):
    guide = flow_guide(schema, Own).train()
    assert set(guide.own) == set(VIEWS)
    torch.manual_seed(1)
    (-FlowMatching().terms(None, guide, pets_views(6))["flow"].bound).backward()
    assert any(p.grad is not None for p in guide.own.parameters())


def test_a_posterior_that_is_no_normal_is_drawn_from_each_time(schema, pets_views, few):
    guide, views = flow_guide(schema, Own), pets_views(500)
    first, second = encoded(guide, views), encoded(guide, views)
    assert not torch.equal(first[MEAN], second[MEAN])
    assert not first[DEVIATION].any()
    assert float(first[MEAN].abs().mean()) == pytest.approx(1, abs=0.15)  # of Laplace, not Normal
    scenes = open_data("synthetic", "train", (16, 16))
    assert encoded_once(scenes, flow_guide(scenes.schema, Own), "none") is scenes


@pytest.mark.parametrize("grid", [False, True])
def test_readers_are_the_source_s_own(schema, grid):
    """Where z has a grid, what the guide reads for its vector is read, too."""
    for kind in (ProductGuide, JointGuide, MaskedGuide, RetrofitGuide):
        source = kind(schema, VIEWS, latent=3 + 18 * grid, width=4, **(GRID if grid else {}))
        for name in VIEWS:
            readers = readers_of(source, name)
            both = grid and name != "classes"
            assert list(readers) == ([name, f"{name}.vector"] if both else [name])
            for reading, reader in readers.items():
                assert any(reader is module for module in source.modules())
                assert isinstance(reader, FeaturePyramid) == (both and reading == name)


def test_what_only_the_vector_s_encoder_sees_changes_the_field(schema, pets_views):
    guide = stirred(flow_guide(schema, grid=True)).eval()
    views = pets_views(2).only(("image",))
    z, time = torch.randn(1, 2, guide.latent), torch.tensor(0.4)
    before = guide.posterior(views).field(time, z)
    stirred(guide.source.encoders["image"])
    assert not torch.allclose(before, guide.posterior(views).field(time, z), atol=1e-4)


def test_latents_come_to_be_standard(schema):
    guide = flow_guide(schema, grid=True).train()
    centre, width = torch.linspace(-3, 3, guide.latent), torch.linspace(0.5, 2, guide.latent)
    vector = slice(0, 3)
    for _ in range(60):
        seen = guide.standardised(centre + width * torch.randn(64, guide.latent))
    guide.eval()
    seen = guide.standardised(centre + width * torch.randn(4000, guide.latent))
    assert torch.allclose(seen[:, vector].mean(0), torch.zeros(3), atol=0.1)
    assert torch.allclose(seen[:, vector].std(0), torch.ones(3), atol=0.1)
    channels = seen[:, 3:].unflatten(1, (2, 9))
    assert torch.allclose(channels.mean((0, 2)), torch.zeros(2), atol=0.1)
    assert torch.allclose(channels.square().mean((0, 2)), torch.ones(2), atol=0.1)


def test_a_number_weighs_by_what_it_tells_of_scenes(schema):
    """Of variance 1 within and 3 between posteriors three quarters tell; of noise next to none."""
    guide = flow_guide(schema).train()
    torch.manual_seed(0)
    within = torch.tensor([1.0, 1.0, 0.5])
    between = torch.tensor([3.0, 0.0, 0.5]).sqrt()
    for _ in range(50):
        guide.standardised(torch.normal(between * torch.randn(200, 3), within.sqrt()))
    shares = guide.informative_shares(within.sqrt().expand(200, 3))
    assert torch.allclose(shares, torch.tensor([0.75, LEAST, 0.5]), atol=0.03)


def test_a_scene_whose_views_have_no_posterior_is_left_out(schema, pets_views):
    guide = flow_guide(schema, JointGuide)
    views = pets_views(4)
    present = {"mask": torch.tensor([True, True, False, True])}
    batch = encoded(guide, Views(dict(views.items()), present))
    assert batch.present[MEAN].tolist() == [True, True, False, True]
    assert FlowMatching().terms(None, guide, batch)["flow"].scenes == 3
    nothing = Views(dict(views.items()), {"mask": torch.zeros(4, dtype=torch.bool)})
    assert FlowMatching().terms(None, guide, nothing) == {}


def test_scenes_encoded_once_give_what_they_would_give_each_time(few):
    scenes = open_data("synthetic", "train", (16, 16))
    guide = flow_guide(scenes.schema).eval()
    once = EncodedScenes(scenes, guide)
    assert len(once) == len(scenes)
    assert once[3].name == scenes[3].name
    some = [5, 0, 2]
    kept, anew = once.views(some), encoded(guide, scenes.views(some))
    assert torch.allclose(kept[MEAN], anew[MEAN], atol=1e-5)
    assert torch.allclose(kept[DEVIATION], anew[DEVIATION], atol=1e-5)
    for name in VIEWS:
        assert torch.equal(kept[name], anew[name])
        reading = f"reading.{name}"
        assert torch.allclose(kept[reading].float(), anew[reading], atol=1e-2)


def test_scenes_that_vary_or_are_too_many_are_encoded_each_time(few, monkeypatch):
    scenes = open_data("synthetic", "train", (16, 16))
    guide = flow_guide(scenes.schema).eval()
    assert isinstance(encoded_once(scenes, guide, "none"), EncodedScenes)
    assert encoded_once(scenes, guide, "flip") is scenes
    monkeypatch.setattr("inference.objectives.flow_matching.BYTES", 100)
    assert encoded_once(scenes, guide, "none") is scenes


def test_a_flow_learns_two_clusters(schema):
    """Latents lie in two places; N(0, I) of the same mean and deviations lies between them."""
    torch.manual_seed(0)
    latent = Latent(2)
    velocity, features = Velocity(latent, 16, 8), ViewFeatures({"classes": (1, False)}, latent, 8)
    optimizer = torch.optim.Adam([*velocity.parameters(), *features.parameters()], 3e-3)

    def batch(count):
        side = torch.randint(2, (count, 1)).float()
        return side, (2 * side - 1) + 0.1 * torch.randn(count, 2)

    for _ in range(400):
        side, end = batch(256)
        present = (torch.rand(256, 1) < 0.5) & torch.ones(256, 1, dtype=torch.bool)
        start, time = torch.randn_like(end), torch.rand(256)
        whole, cells = features({"classes": side}, present)
        error = velocity(torch.lerp(start, end, time[:, None]), time, whole, cells)
        loss = (error - (end - start)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def density(side, known):
        whole, _ = features({"classes": side}, known)

        def field(time, x):
            flat = x.reshape(-1, 2)
            copies = whole.repeat(len(x), 1)
            return velocity(flat, time.expand(len(flat)), copies, None).reshape(x.shape)

        return Flow(field, torch.zeros(2), torch.ones(2), len(side))

    with torch.no_grad():
        either = density(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool)).sample((2000,))
        first = density(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)).sample((500,))
        at_end, between = (
            density(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool)).log_prob(point)
            for point in (torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[0.0, 0.0]]]))
        )
    near = (either.abs() - 1).abs().amax(-1) < 0.5
    assert float(near.float().mean()) > 0.85
    assert 0.35 < float((either[..., 0] > 0).float().mean()) < 0.65
    assert float((first[..., 0] < 0).float().mean()) > 0.95
    assert float(at_end - between) > 2


def test_times_are_told_apart():
    codes = waves(torch.tensor([0.0, 0.5, 0.501, 1.0]))
    assert codes.shape == (4, 32)
    gaps = torch.cdist(codes, codes)[~torch.eye(4, dtype=torch.bool)]
    assert float(gaps.min()) > 0.1
    assert math.isfinite(float(codes.sum()))


def test_a_width_that_groups_do_not_divide_is_refused():
    from inference.settings.recipes import recipe

    with pytest.raises(ValueError, match="multiple of 8"):
        recipe("prior").settings(flow_width=12)


def test_what_varies_little_about_a_large_mean_is_read_as_well_as_anything(schema, pets_views):
    """Readings are standardised over all scenes that have the view, those left out, too."""
    guide = flow_guide(schema, grid=True).train()
    torch.manual_seed(0)
    maps = 5 + 3 * torch.randn(400, guide.sizes["image"][0], 3, 3)
    vector = 1 + 0.01 * torch.randn(400, guide.sizes["image.vector"][0])
    has = torch.zeros(400, 3, dtype=torch.bool)
    has[:300, guide.views.index("image")] = True
    maps[300:], vector[300:] = 0, 0
    used = has & (torch.arange(400) < 100)[:, None]
    heard = {}
    guide.features.register_forward_pre_hook(lambda _, seen: heard.update(seen[0]))
    for _ in range(3):
        guide.seen({"image": maps, "image.vector": vector}, used, has)
    guide.eval()
    guide.seen({"image": maps, "image.vector": vector}, used)
    for reading in heard.values():
        rows = reading[:300].transpose(0, 1).flatten(1)
        assert torch.allclose(rows.mean(1), torch.zeros(len(rows)), atol=1e-2)
        assert torch.allclose(rows.std(1), torch.ones(len(rows)), atol=1e-2)


def test_a_channel_that_is_nearly_always_the_same_does_not_dwarf_the_others(schema):
    """A value far out counts for `MOST` deviations, however small the deviation is."""
    guide = flow_guide(schema).train()
    heard = {}
    guide.features.register_forward_pre_hook(lambda _, seen: heard.update(seen[0]))
    given = torch.zeros(4, 3, dtype=torch.bool)
    given[:, guide.views.index("image")] = True
    guide.seen({"image": torch.zeros(4, guide.sizes["image"][0])}, given)
    guide.eval()
    rare = torch.zeros(4, guide.sizes["image"][0])
    rare[1, 0], rare[2, 0] = 1.0, -1.0
    guide.seen({"image": rare}, given)
    assert heard["image"][:, 0].tolist() == [0, MOST, -MOST, 0]


def test_one_view_is_given_alone_as_often_as_is_said():
    torch.manual_seed(0)
    given = _given(torch.ones(20_000, 3, dtype=torch.bool)).sum(1)
    shares = [float((given == count).float().mean()) for count in range(4)]
    half = 1 - NOTHING - ALONE
    wanted = [NOTHING + half / 8, ALONE + half * 3 / 8, half * 3 / 8, half / 8]
    assert shares == pytest.approx(wanted, abs=0.02)
    some = torch.tensor([[True, False, True], [False, False, False]]).repeat(500, 1)
    given = _given(some)
    assert not given[~some].any()
    assert given[:, [0, 2]].any(0).all()
