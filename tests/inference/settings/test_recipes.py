"""Recipes: what is given outvotes what is theirs, and what would be ignored is refused."""

import subprocess
import sys

import pytest

from inference.settings.parts import GUIDES, OBJECTIVES, PRIORS
from inference.settings.recipes import DERIVED, RECIPES, recipe
from inference.settings.settings import OPTIONS, Settings
from scene.registry import load


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_by_its_name(name):
    assert recipe(name).name == name
    assert recipe(name).settings().recipe == name
    assert recipe(name).about.endswith(".")


def test_a_misspelt_recipe_is_answered_with_the_nearest():
    with pytest.raises(LookupError, match=r"'teblo'. Did you mean 'telbo'"):
        recipe("teblo")


TABLES = [GUIDES, OBJECTIVES, PRIORS, {k: r.model for k, r in RECIPES.items()}]


@pytest.mark.parametrize("table", TABLES)
def test_every_name_in_the_tables_loads(table):
    assert all(isinstance(load(name, table, "thing"), type) for name in table)


def test_options_override_the_recipe_and_the_recipe_the_defaults():
    assert Settings("segmenter").optimizer.learning_rate == 1e-2
    assert recipe("segmenter").settings().optimizer.learning_rate == 4e-3
    assert recipe("segmenter").settings(learning_rate=0.1).optimizer.learning_rate == 0.1
    assert recipe("segmenter").settings(learning_rate=None).optimizer.learning_rate == 4e-3


IGNORED = {
    "classifier": {"latent": 8, "particles": 5, "noise": "laplace", "weak_weight": 0.5},
    "sec": {
        "weak_weight": 0.5,
        "backbone": "vgg16",
        "particles": 2,
        "noise": "laplace",
        "beta": 2.0,
    },
    "supervised": {"foreground": 0.5, "crf_rgb": 9.0, "latent": 3, "layer": "stride4"},
    "cvae": {"subsets": "all", "alpha": 3.0, "noise": "laplace", "retrofit": "own"},
    "jvae": {"subsets": "all", "alpha": 3.0, "retrofit": "own", "net": "vgg16"},
    "jmvae": {"retrofit": "own", "encode": ("image",), "threshold": 0.4},
    "telbo": {"hybrid": 0.5, "encode": ("image",), "layer": "stride4", "run": "runs/a"},
    "prior": {"latent": 8, "size": (32, 32), "data": "voc2012", "particles": 5, "flow_of": "jvae"},
    "details": {"latent": 8, "size": (32, 32), "flow_width": 8, "particles": 5},
    "segmenter": {
        "renyi_alpha": 0.5,
        "free_bits": 1.0,
        "guide": "poe",
        "latent": 8,
        "particles": 5,
        "beta": 2.0,
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_setting_that_would_change_nothing_is_refused(name):
    for setting, value in IGNORED[name].items():
        assert not recipe(name).takes(setting)
        with pytest.raises(ValueError, match=rf"^The recipe {name} does not use --.*; leave it"):
            recipe(name).settings(**{setting: value})


def test_every_setting_is_used_by_some_recipe():
    names = set(OPTIONS)
    assert {setting for r in RECIPES.values() for setting in r.uses} <= names
    assert all(any(r.takes(name) for r in RECIPES.values()) for name in names - DERIVED)
    assert recipe("segmenter").takes("width")


@pytest.mark.parametrize(("setting", "bound"), [("renyi_alpha", "renyi"), ("free_bits", "elbo")])
def test_a_setting_of_a_bound_that_is_not_chosen_is_refused(setting, bound):
    for name in ("cvae", "jvae", "jmvae", "telbo"):
        settings = recipe(name).settings(objective=bound, **{setting: 0.2})
        assert settings.value(setting) == 0.2
        more = {"retrofit_objective": "iwae"} if name == "telbo" else {}
        with pytest.raises(ValueError, match=f"is used by the objective {bound} only; leave it o"):
            recipe(name).settings(objective="dreg", **more, **{setting: 0.2})
    assert recipe("telbo").settings(retrofit_objective=bound, **{setting: 0.2})
    assert recipe("jvae").settings(objective="lab/bound.py:Mine", **{setting: 0.2})


def test_the_weight_of_a_view_that_is_not_explained_is_refused():
    assert recipe("cvae").settings(view_weights={"mask": 2.0}).objective.view_weights["mask"] == 2
    with pytest.raises(
        ValueError, match="use --view-weights classes, --view-weights image; leave t"
    ):
        recipe("cvae").settings(view_weights={"image": 1.0, "classes": 3.0})


@pytest.mark.parametrize("name", ["sec", "supervised"])
def test_what_weighs_no_views_takes_no_weights(name):
    with pytest.raises(ValueError, match="does not use --view-weights mask; leave it out"):
        recipe(name).settings(view_weights={"mask": 2.0})


def test_a_net_brings_settings_that_options_override():
    assert recipe("sec").settings(net="small").data.size == (64, 64)
    assert recipe("sec").settings(net="largefov").data.size == (321, 321)
    assert recipe("sec").settings(net="largefov", size=(65, 65)).data.size == (65, 65)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_explains_what_its_model_does(name):
    assert recipe(name).explains == load(recipe(name).model, {}, "model").views


def test_names_are_listed_without_torch():
    """`scene --help` must not wait for torch."""
    code = "import sys, inference.settings.recipes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_weight_leaves_those_of_other_views_as_they_are():
    own = recipe("telbo").settings().objective.view_weights
    inputs = recipe("telbo").settings(view_weights={"mask": 2.0}).objective.view_weights
    assert inputs == {**own, "mask": 2.0}
    assert recipe("telbo").settings(view_weights={"classes": 3.0}).objective.view_weights == {
        **own,
        "classes": 3.0,
    }


@pytest.mark.parametrize(
    ("name", "prior"), [("telbo", "learned"), ("jvae", "gaussian"), ("cvae", "flow")]
)
def test_a_prior_that_a_recipe_has_not_is_refused(name, prior):
    with pytest.raises(ValueError, match=f"has the priors .*, not {prior}; choose one of them"):
        recipe(name).settings(prior=prior)
    assert prior not in recipe(name).options()["prior"].choice.choices
