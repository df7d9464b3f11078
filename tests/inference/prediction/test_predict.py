"""Prediction: probabilities averaged over draws of z, from a seed, where the model can."""

import pytest
import torch

from inference.prediction.predict import able, draw, predict, trained
from scene.views import VIEWS

ALL = frozenset(VIEWS)


@pytest.fixture
def build(built, schema):
    def ready(name="telbo", **choices):
        assembly = built(schema, name, **choices)
        assembly.model.eval()
        assembly.guide.eval()
        return assembly

    return ready


@pytest.mark.parametrize("given", [("image",), ("image", "mask"), VIEWS])
def test_a_prediction_is_the_average_of_probabilities_over_draws(build, views, given):
    assembly = build()
    torch.manual_seed(0)
    result = predict(assembly, views.only(given), VIEWS, draws=5)
    torch.manual_seed(0)
    with torch.no_grad():
        zs = assembly.guide.posterior(views.only(given)).sample(torch.Size((5,)))
        masks, classes, images = [], [], []
        for z in zs:  # slowly, one draw at a time
            one = assembly.model.decode(z, None, VIEWS)
            masks.append(one["mask"].logits.softmax(-3))
            classes.append(one["classes"].probs)
            images.append(one["image"].mean)
    torch.testing.assert_close(result.views["mask"], sum(masks) / 5)
    torch.testing.assert_close(result.views["classes"], sum(classes) / 5)
    torch.testing.assert_close(result.views["image"], sum(images) / 5)
    assert result.mask.equal(result.views["mask"].argmax(1))


def test_a_cvae_averages_over_draws_of_its_prior(build, views):
    assembly = build("cvae")
    torch.manual_seed(0)
    result = predict(assembly, views.only(["image"]), ["mask"], draws=3).views["mask"]
    torch.manual_seed(0)
    with torch.no_grad():
        samples = [
            assembly.model.decode(z, views.only(["image"]), ["mask"])["mask"]
            for z in torch.randn(3, 6, 4)
        ]
    torch.testing.assert_close(result, sum(x.logits.softmax(-3) for x in samples) / 3)


def test_probabilities_add_up_to_one(build, views):
    result = predict(build(), views.only(["classes"]), ["mask", "classes"])
    torch.testing.assert_close(result.views["mask"].sum(1), torch.ones(6, 20, 18))
    assert ((result.views["classes"] >= 0) & (result.views["classes"] <= 1)).all()


def test_a_prediction_does_not_see_what_was_not_given(build, views):
    """Scenes that differ in the mask only are predicted alike from their images."""
    assembly, seen = build(), []
    for mask in (views["mask"], 2 - views["mask"].clamp(max=2)):
        other = type(views)({**dict(views.items()), "mask": mask})
        torch.manual_seed(0)
        seen.append(predict(assembly, other.only(["image"]), ["mask"]).views["mask"])
    assert seen[0].equal(seen[1])


def test_the_mean_needs_no_draws(build, views):
    assembly = build()
    one, other = (
        predict(assembly, views.only(["mask"]), ["mask"], at_mean=True).views["mask"]
        for _ in range(2)
    )
    assert one.equal(other)
    many = predict(assembly, views.only(["mask"]), ["mask"], draws=400).views["mask"]
    assert (many - one).abs().max() < 0.1


def test_a_segmenter_has_nothing_to_draw(build, views):
    assembly = build("segmenter")
    assert draw(assembly, views.only(["image"]), 8, 6) is None
    assert predict(assembly, views.only(["image"]), ["mask"]).views["mask"].shape == (6, 3, 20, 18)


def test_without_views_the_posterior_is_the_prior(build):
    z = draw(build(), None, 2000, 3)
    assert z.shape == (2000, 3, 4)
    assert z.mean().abs() < 0.05
    assert (z.std() - 1).abs() < 0.05
    result = predict(build(), None, VIEWS, scenes=3)
    assert {name: view.shape[0] for name, view in result.views.items()} == dict.fromkeys(VIEWS, 3)


def test_a_guide_without_a_posterior_given_these_views_refuses(build, views):
    with pytest.raises(ValueError, match="has no posterior given only image"):
        predict(build("jvae"), views.only(["image"]), ["mask"])


SETS = (("image",), ("classes",), ("mask",), ("image", "classes"), ("image", "mask"),
        ("classes", "mask"), VIEWS)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "choices", "possible", "learned"),
    [
        ("cvae", {}, {("image",), ("image", "mask")}, {("image",), ("image", "mask")}),
        ("segmenter", {}, {("image",)}, {("image",)}),
        ("jvae", {}, {("image", "classes")}, {("image", "classes")}),
        ("jvae", {"encode": ("image",)}, {("image",)}, {("image",)}),
        ("telbo", {"subsets": "report"}, SETS, {("image", "classes"), ("mask",), VIEWS}),
        ("telbo", {"subsets": "singles"}, SETS, {("image",), ("classes",), ("mask",), VIEWS}),
        ("telbo", {"subsets": "all"}, SETS, SETS),
        ("jmvae", {}, SETS, {("image",), ("classes",), ("mask",), VIEWS}),
        ("jmvae", {"subsets": "report"}, SETS, {("image", "classes"), ("mask",), VIEWS}),
    ],
)
def test_what_a_recipe_can_infer_and_what_of_it_was_trained(
    build, name, choices, possible, learned
):
    assembly = build(name, **choices)
    assert {inputs for inputs in SETS if able(assembly, inputs, "mask")} == set(possible)
    assert {g for g in SETS if able(assembly, g, "mask") and trained(assembly, g)} == set(learned)
    explained = {n for n in VIEWS if able(assembly, next(iter(possible)), n)}
    assert explained == ({"mask"} if name in ("cvae", "segmenter") else set(VIEWS))
