"""Settings: they survive JSON, and what cannot be is refused with what would do."""

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.settings.recipes import RECIPES, recipe
from inference.settings.settings import CHOICES, VIEWS, Settings, option
from scene import views


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(sorted(RECIPES)),
    st.builds(
        dict,
        size=st.tuples(st.integers(16, 200), st.integers(16, 200)),
        clip=st.floats(0, 10),
        count=st.none() | st.integers(1, 100),
        workers=st.integers(0, 9),
        schedule=st.sampled_from(CHOICES["schedule"]),
    ),
    st.floats(0, 100),
)
def test_settings_survive_json(name, choices, weight):
    weighs = recipe(name).form not in ("sec", "masks")
    weights = {recipe(name).explains[0]: weight} if weighs else None
    made = recipe(name).settings(**choices, weights=weights)
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
        ({"seed": -1}, ValueError, "--seed must be 0 or more, not -1."),
        ({"learning_rate": 0.0}, ValueError, "--learning-rate must be a positive number, not 0.0"),
        ({"learning_rate": math.nan}, ValueError, "--learning-rate must be a positive number"),
        ({"image_scale": -0.1}, ValueError, "--image-scale must be a positive number, not -0.1."),
        ({"image_scale": math.inf}, ValueError, "--image-scale must be a positive number"),
        ({"alpha": math.nan}, ValueError, "--alpha must be 0 or more, not nan."),
        ({"renyi_alpha": -0.5}, ValueError, "--renyi-alpha must be 0 or more, not -0.5."),
        ({"renyi_alpha": math.inf}, ValueError, "--renyi-alpha must be 0 or more, not inf."),
        ({"free_bits": -0.5}, ValueError, "--free-bits must be 0 or more, not -0.5."),
        ({"beta": -1.0}, ValueError, "--beta must be 0 or more, not -1.0."),
        ({"weak_weight": -0.1}, ValueError, "--weak-weight must be 0 or more, not -0.1."),
        ({"clip": math.inf}, ValueError, "--clip must be 0 or more, not inf."),
        ({"weights": {"mask": math.nan}}, ValueError, "--weight mask must be 0 or more, not nan."),
        ({"weights": {"mask": -2.0}}, ValueError, "--weight mask must be 0 or more, not -2.0."),
        ({"size": (8, 64)}, ValueError, "8x64 is too small"),
        ({"encode": ()}, ValueError, "--encode names one view or more, each once, not ''."),
        ({"encode": ("mask", "mask")}, ValueError, "each once, not 'mask,mask'."),
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


def test_the_views_are_those_of_a_scene():
    assert VIEWS == views.VIEWS


def test_every_setting_has_its_option():
    """What a message names can be typed."""
    from typer.main import get_command

    from cli.app import app

    train = get_command(app).commands["train"]
    known = {word for parameter in train.params for word in parameter.opts}
    named = {option(f.name) for f in fields(Settings)} - {"--recipe", "--weights"}
    assert named | {"--weight", "--weights"} <= known
