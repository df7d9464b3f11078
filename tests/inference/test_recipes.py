import json
import subprocess
import sys
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.recipes import CHOICES, GUIDES, OBJECTIVES, RECIPES, Settings, recipe
from scene.registry import load


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_by_its_name(name):
    assert recipe(name).name == name
    assert recipe(name).settings().recipe == name
    assert recipe(name).about.endswith(".")


def test_a_misspelt_recipe_is_answered_with_the_nearest():
    with pytest.raises(LookupError, match=r"'teblo'. Did you mean 'telbo'"):
        recipe("teblo")


@pytest.mark.parametrize("table", [GUIDES, OBJECTIVES, {k: r.model for k, r in RECIPES.items()}])
def test_every_name_in_the_tables_loads(table):
    assert all(isinstance(load(name, table, "thing"), type) for name in table)


def test_what_is_given_outvotes_the_recipe_and_the_recipe_the_defaults():
    assert Settings("segmenter").learning_rate == 1e-2
    assert recipe("segmenter").settings().learning_rate == 4e-3
    assert recipe("segmenter").settings(learning_rate=0.1).learning_rate == 0.1
    assert recipe("segmenter").settings(learning_rate=None).learning_rate == 4e-3


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(sorted(RECIPES)),
    st.builds(
        dict,
        size=st.tuples(st.integers(16, 200), st.integers(16, 200)),
        encode=st.permutations(("image", "classes", "mask")).map(tuple),
        weights=st.dictionaries(st.sampled_from(("image", "mask")), st.floats(0, 100)),
        beta=st.floats(0, 10),
        count=st.none() | st.integers(1, 100),
        particles=st.integers(1, 9),
        noise=st.sampled_from(CHOICES["noise"]),
        learn_scale=st.booleans(),
    ),
)
def test_settings_survive_json(name, choices):
    made = recipe(name).settings(**choices)
    assert Settings.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_json_holds_every_setting():
    assert set(Settings("jvae").to_json()) == {f.name for f in fields(Settings)}


@pytest.mark.parametrize(
    ("choice", "error", "sentence"),
    [
        ({"steps": 0}, ValueError, "--steps must be 1 or more, not 0"),
        ({"batch_size": -1}, ValueError, "--batch-size must be 1 or more"),
        ({"particles": 0}, ValueError, "--particles must be 1 or more"),
        ({"guide_width": 0}, ValueError, "--guide-width must be 1 or more"),
        ({"retrofit_particles": 0}, ValueError, "--retrofit-particles must be 1 or more"),
        ({"learning_rate": 0.0}, ValueError, "must be positive"),
        ({"image_scale": -0.1}, ValueError, "must be positive"),
        ({"noise": "norml"}, LookupError, "No noise is called 'norml'. Did you mean 'normal'?"),
        ({"precision": "fp16"}, LookupError, "No precision is called 'fp16'"),
        ({"encode": ("image", "masks")}, LookupError, "No view is called 'masks'"),
        ({"weights": {"class": 10.0}}, LookupError, "Did you mean 'classes'?"),
    ],
)
def test_a_bad_setting_is_refused_with_what_would_do(choice, error, sentence):
    with pytest.raises(error) as caught:
        Settings("telbo", **choice)
    assert sentence in str(caught.value)


def test_settings_of_a_newer_run_are_refused():
    with pytest.raises(ValueError, match="no setting called 'zeal'; is the run newer"):
        Settings.from_json({"recipe": "telbo", "zeal": 1})


def test_settings_without_a_recipe_are_refused():
    with pytest.raises(ValueError, match="name no recipe"):
        Settings.from_json({"steps": 10})


def test_names_are_listed_without_torch():
    """`scene --help` must not wait for torch."""
    code = "import sys, inference.recipes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_weight_leaves_those_of_other_views_as_they_are():
    own = recipe("telbo").settings().weights
    given = recipe("telbo").settings(weights={"mask": 2.0}).weights
    assert given == {**own, "mask": 2.0}
    assert recipe("telbo").settings(weights={"classes": 3.0}).weights == {**own, "classes": 3.0}
