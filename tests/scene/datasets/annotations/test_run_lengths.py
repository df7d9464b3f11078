"""Run lengths of every tool are read back exactly, and damaged ones refused."""

import numpy as np
import pytest
from fuzz_brush import brush_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from scene.datasets.annotations.run_lengths import (
    compress,
    decompress,
    filled_runs,
    label_studio_alpha,
    runs_of,
)

MASKS = st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1)
).map(lambda drawn: np.random.default_rng(drawn[2]).random(drawn[:2]) < drawn[3])


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_runs_are_those_of_pycocotools(mask):
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert compress(runs_of(mask.T)) == text
    read = filled_runs(decompress(text), mask.size).reshape(mask.shape[::-1]).T
    assert (read == mask).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_any_run_lengths_are_read_back(counts):
    assert decompress(compress(np.array(counts))).tolist() == counts


@settings(max_examples=40, deadline=None)
@given(MASKS, st.integers(0, 9))
def test_a_brush_is_read_back(mask, literal):
    alpha = label_studio_alpha(bytes(brush_of(mask, literal=literal)), mask.size)
    assert (alpha == mask.reshape(-1)).all()


@pytest.mark.parametrize("counts", [[3], [5, 5], [-1, 11], [2**63 - 1, 2**63 - 1]])
def test_run_lengths_of_another_size_are_refused(counts):
    with pytest.raises(ValueError, match="its run lengths"):
        filled_runs(np.array(counts, dtype=np.int64), 9)


@pytest.mark.parametrize("text", ["\n", "é", "z", "o" * 20 + "0", "oo"])
def test_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match="compressed run lengths are damaged"):
        decompress(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_a_damaged_brush_is_refused_and_nothing_else_happens(data):
    whole = (64).to_bytes(4) + data
    for brush in (data, whole):
        said = ""
        try:
            assert label_studio_alpha(brush, 16).shape == (16,)
        except ValueError as error:
            said = str(error)
        assert said.startswith("its brush") or not said
