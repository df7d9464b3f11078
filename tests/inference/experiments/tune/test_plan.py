"""Plans: what cannot be searched is refused; the command is the settings."""

import shlex

import pytest

from inference.experiments.tune.plan import Plan
from inference.experiments.tune.space import space


def _plan(*over, recipe="jvae", **more):
    return Plan(recipe, tuple(map(space, over)), **more)


@pytest.mark.parametrize(
    ("over", "more", "sentence"),
    [
        ((), {}, "No option to search"),
        (("latent=4,8", "latent=1..2"), {}, "latent is given twice"),
        (("latent=4,8",), {"fixed": {"latent": 4}}, "both searched and given"),
        (
            ("view-weights=mask=1,2",),
            {"fixed": {"view_weights": "mask=2"}},
            "both searched and given",
        ),
        (("alpha=1,2",), {}, "does not use --alpha"),
        (("latent=0..4",), {}, "--latent must be 1 or more"),
        (("optimizer=adam,sdg",), {}, "Did you mean 'sgd'?"),
        (("latent=4..8",), {"sampler": "grid"}, "A grid needs lists, but latent is a range"),
        (("latent=4..8",), {"sampler": "grid", "points": 1}, "--points must be 2 or more"),
        (("lr=0.1..1", "beta=0..1"), {"sampler": "grid", "points": 1000}, "is too large"),
        (("beta=0.5,1",), {"metric": "loss"}, "losses cannot be compared"),
        (("free-bits=0,1",), {"metric": "loss"}, "losses cannot be compared"),
        (("renyi-alpha=0,1",), {"metric": "loss"}, "losses cannot be compared"),
        (("hybrid=0,0.5",), {"metric": "loss", "recipe": "cvae"}, "losses cannot be compared"),
        (("turns=all,scene",), {"metric": "loss", "recipe": "telbo"}, "losses cannot be compared"),
        (("beta=0.5,1",), {"prune": True}, "add --no-prune"),
        (("image-scale=0.1,1",), {"prune": True}, "stop the wrong trials; add --no-prune"),
        (("size=16x16,32x32",), {"metric": "elbo"}, "cannot be compared"),
        (("lr=0.1,1",), {"recipe": "supervised", "metric": "elbo"}, "no latent"),
        (("lr=0.1,1",), {"metric": "loss", "views": ("image",)}, "--given goes with"),
        (("lr=0.1,1",), {"views": ("imago",)}, "Did you mean 'image'?"),
        (("lr=0.1,1",), {"seeds": 0}, "--seeds must be 1 or more, not 0."),
        (("seed=0,1",), {"seeds": 2}, "--over seed and --seeds contradict"),
        (("lr=0.1,1",), {"split": "test"}, "never on 'test'"),
        (("lr=0.1,1",), {"recipe": "jave"}, "Did you mean 'jvae'?"),
    ],
)
def test_what_cannot_be_searched_is_refused(over, more, sentence):
    with pytest.raises((LookupError, ValueError), match=r".") as refusal:
        _plan(*over, **more)
    assert sentence in str(refusal.value.args[0])


def test_weights_of_other_views_may_be_fixed():
    plan = _plan("view-weights=mask=1..4", fixed={"view_weights": "image=3"})
    result = plan.settings({"view-weights mask": 2.0}).objective.view_weights
    assert (result["image"], result["mask"]) == (3.0, 2.0)


def test_the_command_trains_with_the_settings_of_its_point(monkeypatch):
    from typer.testing import CliRunner

    from cli.app import app

    plan = _plan(
        "lr=1e-5..1:log", "view-weight=mask=1..4", "learn-scale=yes,no", "encode=image|image,mask",
        fixed={"size": "16x32", "view_weights": "classes=9.0", "data": "my pets", "seed": 3},
    )  # fmt: skip
    point = {"learning-rate": 1 / 3e3, "view-weights mask": 10 / 3, "learn-scale": False}
    point["encode"] = "image,mask"
    seen = {}
    from inference.settings.recipes import Recipe

    original = Recipe.settings

    def noted(self, **given):
        seen["settings"] = original(self, **given)
        raise KeyboardInterrupt

    expected = plan.settings(point)
    monkeypatch.setattr(Recipe, "settings", noted)
    words = shlex.split(plan.command(point))
    assert words[:3] == ["scene", "train", "jvae"]
    CliRunner().invoke(app, words[1:])
    assert seen["settings"] == expected
    assert expected.data.size == (16, 32)
