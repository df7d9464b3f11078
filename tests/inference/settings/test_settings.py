"""Settings: they survive JSON, and what cannot be is refused with what would do."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.settings.fields import VIEWS
from inference.settings.recipes import RECIPES, recipe
from inference.settings.settings import OPTIONS, Settings, flag
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
        schedule=st.sampled_from(OPTIONS["schedule"].choice.choices),
    ),
    st.floats(0, 100),
)
def test_settings_survive_json(name, choices, weight):
    weighs = recipe(name).form not in ("sec", "masks", "flow", "details")
    weights = {recipe(name).explains[0]: weight} if weighs else None
    choices = {option: value for option, value in choices.items() if recipe(name).takes(option)}
    chosen_settings = recipe(name).settings(**choices, view_weights=weights)
    assert Settings.from_json(json.loads(json.dumps(chosen_settings.to_json()))) == chosen_settings


def test_json_holds_every_setting():
    plain = Settings("jvae").to_json()
    held = {(group, name) for group in plain if group != "recipe" for name in plain[group]}
    assert held == {(option.group, option.attribute) for option in OPTIONS.values()}


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
        (
            {"view_weights": {"mask": math.nan}},
            ValueError,
            "--view-weights mask must be 0 or",
        ),
        (
            {"view_weights": {"mask": -2.0}},
            ValueError,
            "weights mask must be 0 or more, not -2.0.",
        ),
        ({"size": (8, 64)}, ValueError, "8x64 is too small"),
        ({"encode": ()}, ValueError, "--encode names one view or more, each once, not ''."),
        ({"encode": ("mask", "mask")}, ValueError, "each once, not 'mask,mask'."),
        ({"noise": "norml"}, LookupError, "No noise is called 'norml'. Did you mean 'normal'?"),
        ({"precision": "fp16"}, LookupError, "No precision is called 'fp16'"),
        ({"encode": ("image", "masks")}, LookupError, "No view is called 'masks'"),
        ({"view_weights": {"class": 10.0}}, LookupError, "Did you mean 'classes'?"),
    ],
)
def test_a_bad_setting_is_refused_with_what_would_do(choice, error, sentence):
    with pytest.raises(error) as caught:
        Settings("telbo").changed(**choice)
    assert sentence in str(caught.value)


def test_settings_of_a_newer_run_are_refused():
    with pytest.raises(
        ValueError, match="no settings called 'zeal'; the run may come from a newer"
    ):
        Settings.from_json({"recipe": "telbo", "zeal": {}})
    with pytest.raises(
        ValueError, match=r"no setting called 'model\.zeal'; the run may come from a newer"
    ):
        Settings.from_json({"recipe": "telbo", "model": {"zeal": 1}})


def test_settings_without_a_recipe_are_refused():
    with pytest.raises(ValueError, match="name no recipe"):
        Settings.from_json({"training": {"steps": 10}})


def test_the_views_are_those_of_a_scene():
    assert VIEWS == views.VIEWS


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_lists_just_its_own_options_with_its_own_defaults(name):
    """What a message names can be typed, and help says what happens where it is not."""
    from cli.recipe_options import RecipeGroup

    class Group(RecipeGroup):
        function = staticmethod(lambda recipe, **values: None)

    command = Group(name="train").get_command(None, name)
    typed = {word: one for one in command.params for word in one.opts}
    own = recipe(name).options()
    assert {flag(option) for option in own} <= set(typed)
    assert not {flag(option) for option in OPTIONS if option not in own} & set(typed)
    for option in own.values():
        assert option.default == recipe(name).settings().value(option.name)
        assert option.help(option.default) == typed[option.flag].help
        if option.default not in (None, (), False, True):
            assert f"default: {option.show(option.default)}" in typed[option.flag].help


def test_python_and_the_command_line_train_the_same():
    """A class has the defaults of the settings that reach it."""
    import inspect

    from inference.guides import Guide
    from scene.conditional import ConditionalScene
    from scene.discriminative import ClassifiedScene, CoarseScene, SegmentedScene
    from scene.models import JointScene

    own = {one.attribute: one.default for one in OPTIONS.values() if one.group == "model"}
    for kind in (JointScene, ConditionalScene, SegmentedScene, ClassifiedScene, CoarseScene):
        for name, parameter in inspect.signature(kind).parameters.items():
            if name in own and name != "weights":
                assert parameter.default in (own[name], inspect.Parameter.empty), (kind, name)
    width = inspect.signature(Guide.__init__).parameters["width"].default
    assert width == OPTIONS["guide_width"].default


@pytest.mark.parametrize("name", RECIPES)
def test_every_help_text_is_whole(name):
    """It is a sentence with an end, and leans on no other."""
    for option in recipe(name).options().values():
        words = option.choice.help
        assert words[0].isupper() or words[0] in "β", words
        assert words.endswith("."), words
        assert words.split()[0] not in ("Its", "Of", "Likewise", "Their", "Same"), words
