"""Reports: what they say of runs, and that the page holds it."""

import shlex

import pytest
import torch

from inference.report.contents import _differences, command_of
from inference.report.pictures import SceneRanking, confusion_picture, scores_picture
from inference.settings.recipes import RECIPES, recipe
from inference.settings.settings import OPTIONS
from scene.labels import Labels

CHANGES = {
    "cvae": {"spatial": 4, "prior": "learned"},
    "jvae": {"encode": ("image", "classes"), "size": (32, 48)},
    "telbo": {"particles": 7, "prior": "standard", "view_weights": {"mask": 3.0}},
    "sec": {"net": "tf_efficientnet_lite0", "scenery": 0.5, "flip": False},
    "classifier": {"backbone": "tf_efficientnet_lite0", "backbone_weights": "package"},
    "segmenter": {"data": "my pets", "augment": "flip"},
}


def option_of(word):
    return next(
        option for option in OPTIONS.values() if word in (option.flag, f"--no-{option.flag[2:]}")
    )


def read_back(command):
    """Read the settings that a command line asks for."""
    _, _, name, *words = shlex.split(command)
    values = {}
    while words:
        word = words.pop(0)
        option = option_of(word)
        values[option.name] = word == option.flag if option.base is bool else words.pop(0)
    return recipe(name).settings(**values)


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_trains_a_run_of_the_same_settings(name):
    for changes in ({}, CHANGES.get(name, {"steps": 12})):
        settings = recipe(name).settings(**changes)
        assert read_back(command_of(settings)) == settings


def test_the_command_names_no_more_than_what_differs():
    assert command_of(recipe("telbo").settings()) == "scene train telbo"
    assert command_of(recipe("jvae").settings(steps=12)) == "scene train jvae --steps 12"


def test_runs_differ_in_what_both_use():
    each = [recipe("telbo").settings(particles=5), recipe("segmenter").settings(steps=7)]
    rows = dict(_differences(each))
    assert rows["recipe"] == ["telbo", "segmenter"]
    assert rows["--steps"] == ["900", "7"]
    assert "--particles" not in rows
    same = [recipe("telbo").settings(particles=k) for k in (1, 5)]
    assert _differences(same) == [("--particles", ["1", "5"])]


def test_the_words_for_a_confusion_matrix_name_the_worst_mistake():
    labels = Labels(("background", "cat", "a<b"))
    counts = torch.tensor([[90, 10, 0], [30, 60, 10], [0, 45, 55]])
    ranking = SceneRanking("image → mask", [0], [50.0], {}, counts)
    words = confusion_picture(ranking, labels).words
    assert "a<b for cat, 45 % of its pixels" in words


def test_runs_without_a_direction_in_common_have_no_chart():
    assert scores_picture(["a", "b"], [None, None]) is None
