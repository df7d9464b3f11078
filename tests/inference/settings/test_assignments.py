"""Lists of settings: what they say is what the options of the command line would say."""

import pytest

from inference.settings.assignments import assignments, option_spelled, pairs
from inference.settings.recipes import recipe
from inference.settings.settings import OPTIONS

_CONDITIONAL = ("renyi_alpha", "free_bits", "view_weights")
"""Options that not every bound or form of a recipe takes."""


@pytest.mark.parametrize("name", ["classifier", "sec", "telbo"])
def test_a_list_of_all_defaults_changes_nothing(name):
    one = recipe(name)
    listed = {
        option.flag[2:]: "yes" if option.default is True else
        "no" if option.default is False else option.show(option.default)
        for option in one.options().values()
        if option.default not in (None, ()) and option.name not in _CONDITIONAL
    }  # fmt: skip
    text = ",".join(f"{key}={value}" for key, value in listed.items())
    assert one.settings(**assignments("--x", [text], one)) == one.base


def test_every_spelling_leads_to_its_option():
    for option in OPTIONS.values():
        for flag in (option.flag, *option.choice.also):
            if flag != "--crf":
                assert option_spelled(flag[2:]) is option
        assert option_spelled(option.name) is option


def test_commas_within_a_value_stay():
    read = pairs("--x", ["scales=0.5,1,flip=yes", " cue-crf=10,25,5 ,"])
    assert read == [("scales", "0.5,1"), ("flip", "yes"), ("cue-crf", "10,25,5")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps", "--x takes NAME=VALUE, as steps=300,learning-rate=1e-3, not 'steps'."),
        ("=3", "not '=3'."),
        ("steps=1,steps=2", "--x sets steps twice; leave one out."),
        ("stepz=1", "No setting of sec is called 'stepz'. Did you mean 'steps'?"),
        ("flip=perhaps", "--x flip is yes or no, not 'perhaps'."),
        ("data=pets", "--x cannot set data, which all stages share."),
    ],
)
def test_what_says_nothing_is_refused(text, sentence):
    with pytest.raises((LookupError, ValueError)) as refusal:
        assignments("--x", [text], recipe("sec"), without=("data",))
    assert sentence in str(refusal.value.args[0])
