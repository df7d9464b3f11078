import pytest
import torch
import torch.nn.functional as F

from inference.api.segment import crf_parameters
from inference.build import Assembly
from inference.crf.meanfield import refine
from inference.crf.parameters import USUAL, Parameters
from inference.guides import EmptyGuide, JointGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.segmenter import Segmenter, newest_run
from scene.conditional import ConditionalScene
from scene.discriminative import ClassifiedScene, SegmentedScene
from scene.labels import Labels
from scene.views import Schema

PETS = Labels(("background", "cat", "dog"))
SCHEMA = Schema(PETS, (32, 24))


def segmenter(kind=SegmentedScene, stage="mask+crf", **choices):
    torch.manual_seed(0)
    guide = EmptyGuide(SCHEMA, ("image",))
    if kind is ConditionalScene:
        guide = JointGuide(SCHEMA, ("image", "mask"), latent=4, width=2)
    model = kind(SCHEMA, width=4, **({"latent": 4} if kind is ConditionalScene else {}))
    return Segmenter(
        Assembly(model.eval(), guide.eval(), IWAE(1)), SCHEMA, stage, engine="exact", **choices
    )


def photo(height, width, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (3, height, width), generator=draw, dtype=torch.uint8)


@pytest.mark.parametrize("stage", ["mask", "mask+crf", "gradcam", "gradcam+crf"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (41, 27), (32, 24)])
def test_a_photograph_of_any_size_is_labelled_at_its_own_pixels(stage, size):
    kind = ClassifiedScene if stage.startswith("gradcam") else SegmentedScene
    result = segmenter(kind, stage).segment(photo(*size))
    assert result.mask.shape == size
    assert result.probs.shape == (3, *size)
    torch.testing.assert_close(result.probs.sum(0), torch.ones(size))


def test_the_whole_photograph_is_seen_and_the_crf_works_on_its_own_pixels():
    model, image = segmenter(), photo(41, 53)
    squashed = F.interpolate(image[None], (32, 24), mode="bilinear", antialias=True)
    with torch.no_grad():
        believed = model.assembly.model.net(squashed.float() / 255).softmax(1)
    probs = F.interpolate(believed, (41, 53), mode="bilinear", antialias=True)[0]
    kernels = USUAL.at((41, 53)).kernels()
    assert kernels[1].sigma_xy == pytest.approx(80 * (41 * 53 / (500 * 375)) ** 0.5, abs=0.1)
    colours = image.permute(1, 2, 0).numpy()
    expected = refine(probs.numpy(), colours, kernels=kernels, engine="exact")
    torch.testing.assert_close(model.segment(image).probs, torch.from_numpy(expected))
    plain = segmenter(stage="mask").segment(image).probs
    torch.testing.assert_close(plain, probs)


def test_a_photograph_too_large_for_the_crf_is_shrunk_for_it_and_for_nothing_else():
    image = photo(60, 40)
    model = segmenter(pixels=24 * 16)
    result = model.segment(image)
    assert result.grid.shape == (3, 24, 16)
    assert result.mask.shape == (60, 40)
    small = F.interpolate(image[None], (24, 16), mode="bilinear", antialias=True)[0]
    again = model.refine(
        model.probabilities(model.resized(image)[None])[0], small, None, model.crf
    )
    torch.testing.assert_close(result.grid, again.grid)
    assert segmenter(stage="mask", pixels=24 * 16).segment(image).grid.shape == (3, 32, 24)


def test_a_very_long_photograph_stays_within_bounds():
    result = segmenter(pixels=50).segment(photo(1, 4000))
    assert result.grid.shape == (3, 1, 50)
    assert result.mask.shape == (1, 4000)


def test_parameters_of_the_crf_are_obeyed():
    image = photo(20, 20)
    alone = Parameters(appearance_weight=0, smoothness_weight=0)
    off, plain = segmenter(crf=alone).segment(image), segmenter(stage="mask").segment(image)
    torch.testing.assert_close(off.probs, plain.probs, atol=1e-4, rtol=0)
    assert not segmenter().segment(image).probs.allclose(plain.probs, atol=1e-2)
    with pytest.raises(ValueError, match="fitted to 2 labels, but here are 3"):
        segmenter(crf=Parameters(compatibility=(1.0, 1.0)))


def test_a_width_that_is_asked_for_is_in_pixels_of_any_photograph():
    assert crf_parameters() == crf_parameters(iterations=10) == USUAL
    assert crf_parameters(appearance_sigma_xy=80.0) == Parameters()


def test_draws_are_seeded_and_average_over_z():
    image = photo(32, 24)
    model = segmenter(ConditionalScene, "mask", seed=3)
    first = model.segment(image).probs
    torch.manual_seed(77)
    assert model.segment(image).probs.equal(first)
    assert not segmenter(ConditionalScene, "mask", seed=4).segment(image).probs.equal(first)


def test_what_is_known_to_be_absent_is_not_in_the_mask():
    image, known = photo(20, 30), torch.tensor([0.0, 1.0])
    for stage, kind in (("mask+crf", SegmentedScene), ("gradcam+crf", ClassifiedScene)):
        result = segmenter(kind, stage).segment(image, known)
        assert (result.probs[1] == 0).all()
        torch.testing.assert_close(result.probs.sum(0), torch.ones(20, 30))


@pytest.mark.parametrize(
    ("stage", "how"),
    [(None, "train sec"), ("gradcam", "train classifier --data"), ("mask", "train segmenter")],
)
def test_without_a_run_there_is_a_way_to_one(tmp_path, monkeypatch, stage, how):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path))
    with pytest.raises(LookupError, match=rf"no trained model .* {how} .*--run\.$"):
        newest_run(stage)
