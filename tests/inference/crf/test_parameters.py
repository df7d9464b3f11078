"""Parameters: what they refuse, the kernels they stand for, and the file they are kept in."""

import json

import pytest

from inference.crf.kernels import Appearance, Smoothness
from inference.crf.parameters import USUAL, Parameters, load, save

FITTED = Parameters(appearance_sigma_xy=41.5, compatibility=((1.0, 0.25), (0.25, 1.0)))


def test_the_defaults_are_the_kernels_defaults():
    smooth, look = Parameters().kernels()
    assert (smooth.sigma, smooth.weight) == (Smoothness().sigma, Smoothness().weight)
    assert look.sigma_xy == Appearance().sigma_xy
    assert (look.sigma_rgb, look.weight) == (Appearance().sigma_rgb, Appearance().weight)


def test_a_kernel_of_weight_0_is_left_out():
    (only,) = Parameters(smoothness_weight=0).kernels()
    assert isinstance(only, Appearance)
    assert Parameters(smoothness_weight=0, appearance_weight=0).kernels() == ()


def test_usual_widths_are_in_proportion_to_the_photograph(tmp_path):
    assert USUAL.at((375, 500)) == Parameters()
    half = USUAL.at((250, 750 // 4))
    assert half.appearance_sigma_xy == pytest.approx(40, rel=0.01)
    assert half.smoothness_sigma == Parameters().smoothness_sigma
    assert USUAL.at((1, 1)).appearance_sigma_xy == 1
    assert Parameters().at((250, 188)) == Parameters()
    save(tmp_path / "crf.json", USUAL, {})
    assert load(tmp_path / "crf.json") == USUAL


def test_what_is_written_is_read(tmp_path):
    save(tmp_path / "new" / "crf.json", FITTED, {"note": "whatever"})
    assert load(tmp_path / "new" / "crf.json") == FITTED
    assert all(k.compatibility.tolist() == [[1.0, 0.25], [0.25, 1.0]] for k in FITTED.kernels())


def test_a_compatibility_holds_for_its_own_number_of_labels():
    FITTED.require(2)
    Parameters().require(7)
    with pytest.raises(ValueError, match="fitted to 2 labels, but here are 3"):
        FITTED.require(3)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"smoothness_sigma": 0}, "smoothness-sigma must be positive, not 0"),
        ({"appearance_sigma_rgb": float("nan")}, "appearance-sigma-rgb must be positive, not nan"),
        ({"appearance_weight": -1}, "appearance-weight must be 0 or more, not -1"),
        ({"iterations": -1}, "iterations must be 0 or more"),
        ({"relative": 1}, "relative is true or false, not 1"),
        ({"compatibility": ()}, "square matrix"),
        ({"compatibility": ((1.0, 2.0),)}, "square matrix"),
        ({"compatibility": (1.0, "2")}, "square matrix"),
        ({"compatibility": "12"}, "square matrix"),
        ({"compatibility": {"a": 1}}, "square matrix"),
        ({"compatibility": 3}, "square matrix"),
        ({"compatibility": (True,)}, "square matrix"),
        ({"compatibility": (((1.0,),),)}, "square matrix"),
        ({"compatibility": (10**400,)}, "entries of at most 1e"),
        ({"smoothness_sigma": 1e30}, "smoothness-sigma is at most 1e"),
        ({"smoothness_sigma": 10**400}, "smoothness-sigma is at most 1e"),
        ({"smoothness_sigma": "wide"}, "smoothness-sigma must be positive, not 'wide'"),
        ({"appearance_weight": True}, "appearance-weight must be 0 or more, not True"),
        ({"appearance_weight": 1e38}, "appearance-weight is at most 1e"),
        ({"iterations": 999999999999999999999}, "iterations are at most 10000, not 9999"),
        ({"iterations": 2.0}, "iterations must be 0 or more"),
        ({"iterations": [1]}, "iterations must be 0 or more"),
    ],
)
def test_what_are_no_parameters(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Parameters(**wrong)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON that can be read: its brackets are nested too deeply"),
        (
            '{"format": 1, "parameters": {"compatibility": ' + "[" * 99 + "]" * 99 + "}}",
            "square",
        ),
        ('{"format": 1, "parameters": {"iterations": {}}}', "iterations must be 0 or more"),
        ("[]", 'does not say "format": 1'),
        (json.dumps({"format": 1}), "a table of names"),
        (json.dumps({"format": 1, "parameters": {"sigma": 3}}), "no CRF parameter called 'sigma'"),
        (json.dumps({"format": 1, "parameters": {"iterations": 2.5}}), "iterations must be"),
    ],
)
def test_a_file_that_holds_none(tmp_path, text, sentence):
    (tmp_path / "crf.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path / "crf.json")
