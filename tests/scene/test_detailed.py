"""Details of images: a flow around the mean of a decoder, on the mask that z stands for."""

import pytest
import torch
from pyro import poutine

from scene.detailed import DetailedPixels, DetailedScene, conditioning_images
from scene.labels import VOID
from scene.likelihoods import Pixels
from scene.models import JointScene
from scene.networks.velocity import ImageVelocity
from scene.views import Views


@pytest.fixture
def detailed(schema):
    torch.manual_seed(0)
    return DetailedScene(schema, JointScene(schema, 3, 2), width=8)


def stirred(module):
    """Move every weight away from where it began: the last layers begin at 0."""
    source = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=source)
    return module


@pytest.mark.parametrize("size", [(16, 16), (13, 22), (1, 1)])
def test_a_velocity_is_of_the_size_of_its_image(size):
    net = stirred(ImageVelocity(conditions=2, width=8))
    velocity = net(torch.randn(3, 3, *size), torch.rand(3), torch.randn(3, 2, *size))
    assert velocity.shape == (3, 3, *size)


def test_a_velocity_depends_on_the_time_and_on_what_is_given():
    net = stirred(ImageVelocity(conditions=2, width=8))
    image, time, given = torch.randn(2, 3, 16, 16), torch.rand(2), torch.randn(2, 2, 16, 16)
    plain = net(image, time, given)
    assert not torch.allclose(plain, net(image, time / 2, given))
    other = given.clone()
    other[1] += 1
    changed = net(image, time, other)
    assert torch.allclose(plain[0], changed[0], atol=1e-6)
    assert not torch.allclose(plain[1], changed[1])


def test_before_anything_is_learned_details_are_noise_of_their_scale(schema):
    """Velocities are 0 at first, so a draw is its mean and noise: the likelihood is known."""
    loc = torch.full((2, 4, 3, 16, 16), 0.5)
    scale = torch.tensor([0.01, 0.02, 0.03])
    pixels = DetailedPixels(loc, torch.randn(2, 4, 5, 16, 16), ImageVelocity(5, 8), scale)
    drawn = pixels.sample((6,))
    assert drawn.shape == (6, 2, 4, 3, 16, 16)
    assert torch.allclose((drawn - 0.5).std((0, 1, 2, 4, 5)), scale, rtol=0.05)
    value = loc + 0.02 * torch.randn_like(loc)
    each = [Pixels(loc[..., c : c + 1, :, :], scale[c]) for c in range(3)]
    expected = sum(p.log_prob(value[..., c : c + 1, :, :]) for c, p in enumerate(each))
    torch.testing.assert_close(pixels.log_prob(value), expected, rtol=1e-4, atol=0.05)


@pytest.mark.parametrize("leading", [(), (2,)])
def test_all_but_the_draws_of_images_is_the_joint_scene_s(detailed, leading):
    stirred(detailed.velocity)
    detailed.eval()
    z = torch.randn(*leading, 4, 3)
    ours = detailed.decode(z, None, detailed.views)
    theirs = detailed.scene.decode(z, None, detailed.views)
    assert set(ours) == set(theirs)
    assert torch.equal(ours["image"].mean, theirs["image"].mean)
    assert torch.equal(ours["mask"].logits, theirs["mask"].logits)
    drawn = ours["image"].sample()
    assert drawn.shape == (*leading, 4, 3, *detailed.scene.parts.size)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert not torch.equal(drawn, ours["image"].sample())


@pytest.mark.parametrize("mask_first", [False, True])
def test_details_are_drawn_on_the_mask_that_was_observed_or_the_most_probable(
    schema, pets_views, mask_first
):
    torch.manual_seed(0)
    scene = JointScene(schema, 3, 2, mask_first=mask_first)
    detailed = DetailedScene(schema, scene, width=8).eval()
    mask = pets_views(4)["mask"].clone()
    mask[1, :3] = VOID
    seen = Views({"mask": mask}, {"mask": torch.tensor([True, True, False, True])})
    z = torch.randn(2, 4, 3)
    probable = scene.decode(z, None, ("mask",))["mask"].logits.argmax(-3)
    wanted = torch.where(mask == VOID, probable, mask)
    wanted[:, 2] = probable[:, 2]
    mean, labels = detailed.mean_and_labels(z, seen)
    assert torch.equal(labels, wanted)
    known = [Views({"mask": some}) for some in wanted]
    each = [
        scene.decode(some, views, ("image",))["image"].mean
        for some, views in zip(z, known, strict=True)
    ]
    assert torch.allclose(mean, torch.stack(each), atol=1e-6)
    assert torch.equal(detailed.mean_and_labels(z, None)[1], probable)
    conditions = conditioning_images(mean, labels, scene.label_count)
    assert torch.equal(conditions[..., 3:, :, :].argmax(-3), labels)
    decoded = detailed.decode(z, seen, ("image",))["image"]
    assert torch.equal(decoded.conditions, conditions)


def test_the_joint_scene_stays_as_it_is(detailed):
    detailed.train()
    assert not detailed.scene.training
    assert not any(p.requires_grad for p in detailed.scene.parameters())
    assert detailed.velocity.training


def test_details_come_to_be_standard(detailed):
    """The scale is the root mean square over all batches, whatever it began with."""
    torch.manual_seed(0)
    detailed.train()
    scale = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    for _ in range(20):
        standard = detailed.standardised(scale * torch.randn(8, 3, 16, 16))
    assert torch.allclose(detailed.scale, scale.flatten(), rtol=0.05)
    assert torch.allclose(standard.std((0, 2, 3)), torch.ones(3), rtol=0.1)
    before = detailed.scale.clone()
    detailed.eval()
    detailed.standardised(torch.ones(1, 3, 16, 16))
    assert torch.equal(detailed.scale, before)


def test_it_is_a_pyro_program_whose_images_have_a_density(detailed, pets_views):
    views = pets_views(2)
    trace = poutine.trace(detailed.eval()).get_trace(views.only(("image", "mask")))
    assert trace.observation_nodes == ["image", "mask"]
    trace.compute_log_prob()
    assert trace.nodes["image"]["log_prob"].shape == (2,)
    assert trace.nodes["image"]["log_prob"].isfinite().all()


def test_an_expanded_image_has_the_same_density_in_each_place(detailed):
    pixels = detailed.eval().decode(torch.randn(2, 3), None, ("image",))["image"]
    wide = pixels.expand((3, 2))
    assert wide.sample().shape == (3, *pixels.loc.shape)
    value = pixels.loc + 0.1
    one = pixels.log_prob(value)  # velocities are 0 at first, and nothing is estimated
    torch.testing.assert_close(wide.log_prob(value), one.expand(3, 2), rtol=1e-4, atol=1e-2)
