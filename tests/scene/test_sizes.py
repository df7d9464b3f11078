"""Sizes as people write them, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene.sizes import LARGEST, SMALLEST, STOCK_SIZE, parse_size


@given(st.integers(SMALLEST, LARGEST), st.integers(SMALLEST, LARGEST))
def test_what_is_written_is_read(height, width):
    for text in (f"{height}x{width}", f" {height} × {width} ", f"{height}X{width}"):
        assert parse_size(text) == (height, width)


@pytest.mark.parametrize(
    "text", ["", "64", "64x", "x64", "64*64", "64x64x3", "-64x64", "6.4x64", "axb", "64 64"]
)
def test_nonsense_is_answered_with_how_to_write_one(text):
    with pytest.raises(ValueError, match=r"is not a size; write height x width .* like 96x64\.$"):
        parse_size(text)


@pytest.mark.parametrize("text", ["15x64", "64x15", "0x0"])
def test_a_size_too_small_for_the_networks_is_refused(text):
    with pytest.raises(ValueError, match=f"{text} is too small.*at least {SMALLEST} pixels"):
        parse_size(text)


@pytest.mark.parametrize("text", [f"64x{LARGEST + 1}", "99999x64"])
def test_a_size_too_large_for_the_networks_is_refused(text):
    with pytest.raises(ValueError, match=f"{text} is too large.*at most {LARGEST} pixels"):
        parse_size(text)


def test_the_stock_size_is_a_size():
    assert parse_size("x".join(map(str, STOCK_SIZE))) == STOCK_SIZE
