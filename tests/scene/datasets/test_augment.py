"""Augmentation: a seed decides, all views follow, and nobody else's randomness is disturbed."""

from dataclasses import replace

import pytest
import torch

from scene.datasets.augment import augmenter
from scene.labels import Labels
from scene.views import Scene

LABELS = Labels(("background", "cat", "dog"))


@pytest.fixture
def scene():
    """Draw a scene whose red channel is its mask, with a dog in one corner only."""
    mask = torch.zeros(48, 64, dtype=torch.uint8)
    mask[10:30, 10:30] = 1
    mask[:3, :3] = 2
    image = torch.stack([mask * 100, mask * 100, mask * 100])
    return Scene(image, LABELS.vector(mask), mask, "a")


def _same(a, b):
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("image", "classes", "mask"))


@pytest.mark.parametrize("kind", ["none", "flip", "crop"])
def test_the_same_seed_gives_the_same_scene(scene, kind):
    vary = augmenter(kind, LABELS)
    assert all(_same(vary(scene, seed), vary(scene, seed)) for seed in range(5))


@pytest.mark.parametrize("kind", ["flip", "crop"])
def test_the_global_random_state_is_untouched(scene, kind):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    augmenter(kind, LABELS)(scene, 7)
    assert torch.equal(torch.rand(4), expected)


def test_none_changes_nothing(scene):
    assert augmenter("none", LABELS)(scene, 0) is scene


def test_flip_mirrors_half_of_the_time_and_twice_is_never(scene):
    vary = augmenter("flip", LABELS)
    mirrored = 0
    for seed in range(200):
        varied = vary(scene, seed)
        mirrored += not _same(varied, scene)
        assert _same(vary(varied, seed), scene)
        assert torch.equal(varied.image[0], varied.mask * 100)
    assert 70 < mirrored < 130


def test_crop_moves_image_and_mask_alike(scene):
    """Without a colour shift the image would still show its mask; it may lose 0.2 of contrast."""
    vary = augmenter("crop", LABELS)
    for seed in range(20):
        varied = vary(scene, seed)
        bright = varied.image.float().mean(0)
        inside, outside = bright[varied.mask == 1], bright[varied.mask == 0]
        assert varied.image.shape == scene.image.shape
        assert varied.mask.shape == scene.mask.shape
        assert inside.median() > outside.median() + 30
        edge = bright > (inside.median() + outside.median()) / 2
        assert (edge != (varied.mask > 0)).float().mean() < 0.03


def test_crop_never_invents_a_label(scene):
    mask = torch.where(scene.mask == 1, 255, scene.mask)
    varied = [augmenter("crop", LABELS)(replace(scene, mask=mask), seed) for seed in range(10)]
    assert all(set(v.mask.unique().tolist()) <= {0, 2, 255} for v in varied)


def test_crop_reads_the_classes_from_the_mask_again(scene):
    vary = augmenter("crop", LABELS)
    vectors = [vary(scene, seed) for seed in range(20)]
    assert all(torch.equal(v.classes, LABELS.vector(v.mask)) for v in vectors)
    assert {float(v.classes[1]) for v in vectors} == {0.0, 1.0}  # the corner comes and goes


def test_crop_flips_independently_of_how_far_it_zooms(scene):
    """One seed feeds both choices; large parts must not all be mirrored, or none of them."""
    half = torch.zeros(48, 64, dtype=torch.uint8)
    half[:, :32] = 1
    varied = [augmenter("crop", LABELS)(replace(scene, mask=half), s).mask for s in range(60)]
    mirrored = torch.tensor([float(m[:, -1].float().mean() > 0.5) for m in varied])
    assert 0.25 < mirrored.mean() < 0.75


@pytest.mark.parametrize("kind", ["flip", "crop"])
def test_views_that_are_not_known_stay_unknown(scene, kind):
    vary = augmenter(kind, LABELS)
    weak, shape = replace(scene, mask=None), replace(scene, image=None)
    for seed in range(4):
        assert vary(weak, seed).mask is None
        assert torch.equal(vary(weak, seed).classes, scene.classes)
        assert vary(shape, seed).image is None


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(LookupError, match=r"called 'flop'\. Did you mean 'flip'"):
        augmenter("flop", LABELS)
