import pytest
import torch
from pyro import poutine
from torch.distributions import Normal

from scene.conditional import ConditionalScene
from scene.discriminative import ClassifiedScene, SegmentedScene
from scene.labels import VOID
from scene.models import JointScene
from scene.views import VIEWS, Schema, Views


def _model(kind, schema):
    torch.manual_seed(0)
    small = {} if kind is SegmentedScene else {"latent": 4}
    return kind(schema, width=2, **small).eval()


MODELS = [JointScene, ConditionalScene, SegmentedScene]


@pytest.mark.parametrize("kind", MODELS)
def test_every_observed_view_is_one_site_in_the_plate(kind, schema, views):
    model = _model(kind, schema)
    trace = poutine.trace(model).get_trace(views)
    trace.compute_log_prob()
    assert tuple(trace.observation_nodes) == model.views
    for name in model.views:
        assert trace.nodes[name]["log_prob"].shape == (len(views),)


@pytest.mark.parametrize("kind", MODELS)
def test_the_program_scores_views_by_its_likelihoods_and_the_missing_by_nothing(
    kind, schema, views
):
    model = _model(kind, schema)
    trace = poutine.trace(model).get_trace(views)
    trace.compute_log_prob()
    z = trace.nodes["z"]["value"] if "z" in trace.nodes else None
    for name, likelihood in model.decode(z, views, model.views).items():
        expected = likelihood.log_prob(views[name]) * views.present[name]
        torch.testing.assert_close(trace.nodes[name]["log_prob"], expected)
    assert trace.nodes["mask"]["log_prob"][3] == 0


def test_a_conditional_scene_may_learn_its_prior_from_the_image(schema, views):
    torch.manual_seed(0)
    model = ConditionalScene(schema, latent=4, width=2, prior="learned").eval()
    trace = poutine.trace(model).get_trace(views)
    prior = model.prior(views)
    assert prior.batch_shape == (len(views),)
    assert not torch.allclose(prior.mean[0], prior.mean[1])
    trace.compute_log_prob()
    torch.testing.assert_close(
        trace.nodes["z"]["log_prob"], prior.log_prob(trace.nodes["z"]["value"])
    )
    plain = _model(ConditionalScene, schema).prior(views)
    torch.testing.assert_close(plain.mean, torch.zeros(len(views), 4))


@pytest.mark.parametrize("names", [("image",), ("mask", "classes"), VIEWS, ()])
def test_a_joint_scene_decodes_just_what_is_named(schema, names):
    result = _model(JointScene, schema).decode(torch.randn(3, 4), None, names)
    assert set(result) == set(names)
    assert all(likelihood.batch_shape == (3,) for likelihood in result.values())


@pytest.mark.parametrize("kind", [JointScene, ConditionalScene])
def test_particles_are_decoded_as_if_one_by_one(kind, schema, views):
    model, z = _model(kind, schema), torch.randn(5, 4, 4)
    together = model.decode(z, views, model.views)
    for k in range(5):
        for name, alone in model.decode(z[k], views, model.views).items():
            torch.testing.assert_close(
                together[name].log_prob(views[name])[k], alone.log_prob(views[name])
            )


@pytest.mark.parametrize("spatial", [0, 2])
def test_the_image_depends_on_the_mask_that_z_stands_for(schema, spatial):
    """The network of the image is given another mask than z's own, and follows it."""
    torch.manual_seed(0)
    model = JointScene(schema, 3, 2, spatial=spatial, cell=8, mask_first=True).eval()
    vector, grid = model.parts.split(torch.randn(4, model.latent))
    own = model.mask(vector, grid).softmax(-3)
    assert not torch.allclose(
        model.image(vector, grid, own), model.image(vector, grid, own.roll(1, 1))
    )
    z = torch.cat([vector, *([grid.flatten(1)] if spatial else [])], 1)
    decoded = model.decode(z, None, ("image",))["image"]
    assert torch.allclose(decoded.mean, model.image(vector, grid, own).sigmoid())


@pytest.mark.parametrize("leading", [(), (3,)])
def test_the_image_is_decoded_from_the_mask_that_was_observed(schema, pets_views, leading):
    torch.manual_seed(0)
    model = JointScene(schema, 3, 2, mask_first=True).eval()
    views = pets_views(4)
    mask, present = views["mask"].clone(), torch.tensor([True, True, False, True])
    mask[1, :3] = VOID
    seen = Views({"mask": mask}, {"mask": present})
    z = torch.randn(*leading, 4, 3)
    vector, _ = model.parts.split(z)
    own = model.mask(vector).softmax(-3)
    labels = torch.where(mask == VOID, 0, mask).expand(*leading, *mask.shape)
    true = torch.nn.functional.one_hot(labels, own.shape[-3]).movedim(-1, -3).float()
    known = ((mask != VOID) & present[:, None, None]).unsqueeze(1)
    hint = torch.where(known, true, own)
    decoded = model.decode(z, seen, ("image", "mask"))
    assert torch.allclose(decoded["image"].mean, model.image(vector, None, hint).sigmoid())
    assert torch.allclose(decoded["mask"].probs, own)
    plain = JointScene(schema, 3, 2).eval()
    images = [plain.decode(z, some, ("image",))["image"].mean for some in (seen, None)]
    assert torch.equal(*images)


@pytest.mark.parametrize("leading", [(), (5,)])
@pytest.mark.parametrize("mask_first", [False, True])
def test_the_views_of_a_drawn_scene_agree(schema, pets_views, mask_first, leading):
    torch.manual_seed(0)
    model = JointScene(schema, 3, 2, mask_first=mask_first).eval()
    views, z = pets_views(6), torch.randn(*leading, 6, 3)
    present = torch.tensor([True] * 5 + [False])
    classes = Views({"classes": views["classes"].clone()}, {"classes": present})
    classes["classes"][4] = 0
    for observed in (None, classes, views.only(("mask",))):
        composed = model.compose(z, observed)
        assert list(composed) == ["image", "classes", "mask"]
        mask = composed["mask"].logits.argmax(-3)
        shown = schema.labels.vector(mask)
        assert torch.equal((composed["classes"].probs > 0.5).float(), shown)
        known = mask
        if observed is not None and "mask" in observed:
            void = (views["mask"] == VOID) | ~views.present["mask"][:, None, None]
            known = torch.where(void, mask, views["mask"])
        assert torch.equal(composed["image"].mean, model.image_on(z, known).mean)
        seen = observed is not None and "mask" in observed
        assert torch.equal(mask, known) == (mask_first or not seen)
        assert not composed["mask"].probs.isnan().any()
        assert not composed["classes"].probs.isnan().any()
        if observed is classes:
            assert not (shown > classes["classes"])[..., present, :].any()
            plain = model.decode(z, None, ("mask",))["mask"].logits
            assert torch.equal(composed["mask"].logits[..., 5, :, :, :], plain[..., 5, :, :, :])


@pytest.mark.parametrize("mask_first", [False, True])
def test_the_classes_are_those_that_the_mask_shows(schema, mask_first):
    torch.manual_seed(0)
    model = JointScene(schema, 3, 2, mask_first=mask_first).eval()
    decoded = model.decode(torch.randn(50, 3), None, ("classes", "mask"))
    shown = schema.labels.vector(decoded["mask"].logits.argmax(1))
    assert torch.equal((decoded["classes"].probs > 0.5).float(), shown)
    assert shown.any()


def test_a_head_learns_classes_in_training_and_is_no_part_of_the_density(schema, views):
    torch.manual_seed(0)
    model = JointScene(schema, latent=3, width=2)
    z = torch.randn(len(views), 3)
    assert set(model.train().explain(z, views, model.views)) == {*model.views, "classes.mask"}
    sites = poutine.trace(model).get_trace(views).observation_nodes
    assert sorted(sites) == ["classes", "classes.mask", "image", "mask"]
    assert set(model.eval().explain(z, views, model.views)) == set(model.views)
    assert "classes.mask" not in model.train().explain(z, views, ("image", "mask"))


def test_in_training_the_image_s_nats_do_not_reach_the_mask_s_network(schema, views):
    torch.manual_seed(0)
    model = JointScene(schema, latent=3, width=2, mask_first=True)
    for training in (True, False):
        model.train(training)
        model.zero_grad()
        z = torch.randn(len(views), 3, requires_grad=True)
        model.decode(z, None, ("image",))["image"].log_prob(views["image"]).sum().backward()
        through = [p.grad is not None and bool(p.grad.any()) for p in model.mask.parameters()]
        assert any(through) == (not training)
        assert z.grad.any()  # what refines z follows the whole density


@pytest.mark.parametrize("name", ["image", "classes"])
def test_labels_that_are_nowhere_leave_the_slope_of_z_finite(schema, views, name):
    """Sure of every pixel, a softmax is exactly 0 for other labels; refinement needs slopes."""
    torch.manual_seed(0)
    model = JointScene(schema, latent=3, width=2, mask_first=True).eval()
    model.mask.deconvolutions[-1].bias.data = torch.tensor([500.0, 0.0, -500.0])
    z = torch.randn(len(views), 3, requires_grad=True)
    model.decode(z, None, (name,))[name].log_prob(views[name]).sum().backward()
    assert z.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_the_prior_is_standard_normal(schema, views):
    z = torch.randn(4, 4)
    for kind in (JointScene, ConditionalScene):
        prior = _model(kind, schema).prior(views)
        torch.testing.assert_close(prior.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(1))
    assert _model(SegmentedScene, schema).prior(views) is None


def test_the_noise_of_pixels_is_as_asked(schema):
    z = torch.randn(2, 4)
    model = JointScene(schema, latent=4, width=2, noise="laplace", image_scale=0.25)
    pixels = model.decode(z, None, ("image",))["image"]
    assert pixels.noise == "laplace"
    torch.testing.assert_close(pixels.scale, torch.tensor(0.25))
    assert 0 <= pixels.mean.min() <= pixels.mean.max() <= 1


@pytest.mark.parametrize("learn", [True, False])
def test_the_scale_learns_if_it_may(schema, views, learn):
    model = JointScene(schema, latent=4, width=2, learn_scale=learn)
    assert model.log_scale.requires_grad is learn
    pixels = model.decode(torch.randn(4, 4), None, ("image",))["image"]
    pixels.log_prob(views["image"]).sum().backward()
    assert (model.log_scale.grad is not None) is learn


def test_a_conditional_scene_reads_the_image_once_for_all_particles(schema, views):
    model, seen = _model(ConditionalScene, schema), []
    model.backbone.register_forward_hook(lambda *call: seen.append(len(call[1][0])))
    model.decode(torch.randn(7, 4, 4), views, ("mask",))
    assert seen == [4]
    assert model.decode(torch.randn(4, 4), views, ()) == {}


def test_the_image_may_say_where_things_are_without_a_grid_in_z(schema, views):
    """The vector of the image stays; a change in one corner now changes the mask there most."""
    torch.manual_seed(0)
    model = ConditionalScene(schema, latent=4, width=8, image_grid=True).eval()
    assert model.latent == 4
    assert model.prior(views).event_shape == (4,)
    z, image = torch.zeros(7, 4, 4), views["image"].clone()
    before = model.decode(z, Views({"image": image}), ("mask",))["mask"].logits
    assert before.shape[:2] == (7, 4)
    image[..., :4, :4] = 1 - image[..., :4, :4]
    change = (model.decode(z, Views({"image": image}), ("mask",))["mask"].logits - before).abs()
    assert change[..., :6, :6].mean() > 1.5 * change[..., -6:, -6:].mean()


def test_a_conditional_mask_depends_on_the_image_and_on_z(schema, views):
    torch.manual_seed(0)
    model, z = ConditionalScene(schema, latent=4, width=8), torch.randn(4, 4, requires_grad=True)
    image = views["image"].requires_grad_()
    likelihood = model.decode(z, Views({"image": image}), ("mask",))["mask"]
    likelihood.log_prob(views["mask"]).sum().backward()
    assert z.grad.any(1).all()
    assert image.grad.flatten(1).any(1).all()


def test_placeholders_leave_gradients_finite(schema, views):
    model = _model(JointScene, schema).train()
    views["image"][0] = float("nan")
    views["mask"][3] = 77
    present = {**views.present, "image": torch.tensor([False, True, True, True])}
    trace = poutine.trace(model).get_trace(Views(dict(views.items()), present))
    trace.log_prob_sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert views["image"][0].isnan().all()


def test_a_classified_scene_needs_no_mask_and_scores_each_class(schema, views):
    torch.manual_seed(0)
    model = ClassifiedScene(schema, width=2).eval()
    observed = views.only(("image", "classes"))
    trace = poutine.trace(model).get_trace(observed)
    trace.compute_log_prob()
    p = model.net(views["image"]).sigmoid()
    expected = torch.where(views["classes"] > 0.5, p, 1 - p).log().sum(-1)
    torch.testing.assert_close(trace.nodes["classes"]["log_prob"], expected)


def test_a_threshold_is_kept_with_the_weights(schema):
    first, second = ClassifiedScene(schema, 2, threshold=0.3), ClassifiedScene(schema, 2)
    assert (first.threshold, second.threshold, SegmentedScene(schema, 2).threshold) == (
        0.3, 0.5, 0.5,
    )  # fmt: skip
    second.load_state_dict(first.state_dict())
    assert second.threshold == 0.3
    second.threshold = 0.7
    assert second.state_dict()["_threshold"].item() == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_images_too_small_for_a_backbone_are_refused(schema, name):
    small = Schema(schema.labels, (64, 31))
    with pytest.raises(ValueError, match=rf"{name} needs images of 32×32 or more, not 64×31"):
        ClassifiedScene(small, backbone=name)
