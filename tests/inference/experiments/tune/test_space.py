"""Spaces: read as typed, refused with a sentence, and spread over a grid."""

import pytest

from inference.experiments.tune.space import Choices, Range, given, grid, space


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("learning-rate=1e-4..1e-1:log", Range("learning-rate", 1e-4, 1e-1, log=True)),
        ("lr=1e-3,1e-2", Choices("learning-rate", (1e-3, 1e-2))),
        ("beta=0.5..2", Range("beta", 0.5, 2)),
        ("particles=1..8", Range("particles", 1, 8, whole=True)),
        ("count=8..80", Range("count", 8, 80, whole=True)),
        ("view-weights=mask=1..4", Range("view-weights mask", 1, 4)),
        ("flip=yes,no", Choices("flip", (True, False))),
        ("background=none,0.1", Choices("background", ("none", 0.1))),
        ("encode=image|image,mask", Choices("encode", ("image", "image,mask"))),
        ("guide=poe,../lab/flow.py:Flow", Choices("guide", ("poe", "../lab/flow.py:Flow"))),
    ],
)
def test_a_space_is_read_as_it_is_typed(text, read):
    assert space(text) == read


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latnt=1,2", "Did you mean 'latent'?"),
        ("device=cpu,cuda", "No option to search is called 'device'"),
        ("data=a,b", "No option to search is called 'data'"),
        ("latent", "gives nothing to choose from"),
        ("latent=16", "is a single value"),
        ("latent=1.5,2", "latent is a whole number, not '1.5'."),
        ("latent=16,16", "names 16 twice"),
        ("beta=2..1", "finite range"),
        ("beta=0..1:log", "must be above 0"),
        ("beta=0..1:ln", "only :log may follow"),
        ("beta=0..inf", "finite range"),
        ("noise=1..2", "noise has no range"),
        ("flip=yes,maybe", "flip is yes or no, not 'maybe'."),
        ("view-weights=msk=1..2", "Did you mean 'mask'?"),
        ("size=3x3,16x16", "too small"),
        ("encode=image,mask", "is a single value"),
    ],
)
def test_what_is_no_space_is_refused(text, sentence):
    with pytest.raises((LookupError, ValueError), match=r".") as refusal:
        space(text)
    assert sentence in str(refusal.value.args[0])


def test_a_grid_holds_every_crossing_once():
    spaces = [space("latent=1..3"), space("optimizer=adam,sgd"), space("lr=0.01..1:log")]
    points = grid(spaces, 3)
    assert len(points) == 3 * 2 * 3
    assert len({tuple(point.items()) for point in points}) == len(points)
    assert {point["learning-rate"] for point in points} == {0.01, 0.1, 1.0}


def test_a_range_is_spread_from_end_to_end():
    assert Range("latent", 1, 100, log=True, whole=True).grid_values(3) == (1, 10, 100)
    assert Range("latent", 1, 9, log=True, whole=True).grid_values(9) == tuple(range(1, 10))
    first, *_, last = Range("beta", 0.1, 0.7).grid_values(4)
    assert (first, last) == (0.1, 0.7)


def test_a_point_is_typed_beside_what_is_fixed():
    point = {"learning-rate": 0.1, "view-weights mask": 2.0}
    assert given(point, {"view_weights": "image=3", "size": "16x16"}) == {
        "view_weights": "image=3,mask=2.0", "size": "16x16", "learning_rate": 0.1
    }  # fmt: skip
