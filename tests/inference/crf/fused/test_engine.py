"""What the fused engine owes the exact one, and what it bears: any size, threads, forks."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.crf.engines import Field
from inference.crf.exact import Exact
from inference.crf.fused import mean_field
from inference.crf.fused.engine import Fused
from inference.crf.kernels import Appearance, FeatureMap, Smoothness

EXACT = Exact()


def error(found, right):
    return float((found - right).norm() / right.norm())


def filter_error(field, kernel):
    values = field.logits.softmax(1)
    return error(Fused().filtered(field, kernel, values), EXACT.filtered(field, kernel, values))


@pytest.mark.parametrize("sigma", [0.25, 1.0, (0.5, 2.0), 2.4, (1.0, 9.0)])
def test_narrow_smoothness_is_the_exact_convolution(scene, sigma):
    kernel = Smoothness(sigma=sigma)
    assert filter_error(scene([kernel], batch=2), kernel) < 1e-5


@pytest.mark.parametrize(("sigma", "most"), [(2.5, 4e-3), (3.0, 2.5e-3), (6.0, 5e-4)])
def test_wide_smoothness_comes_nearer_to_it_the_wider_it_is(scene, sigma, most):
    kernel = Smoothness(sigma=sigma)
    assert filter_error(scene([kernel], (40, 51)), kernel) < most


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "mean", "none"])
@pytest.mark.parametrize("self_term", [True, False])
@pytest.mark.parametrize("some_void", [True, False])
def test_filters_are_near_the_exact_ones(scene, normalization, self_term, some_void):
    void = torch.rand(2, 24, 31, generator=torch.Generator().manual_seed(3)) < 0.3
    shared = {"normalization": normalization, "self_term": self_term}
    for kernel in (
        Smoothness(**shared),
        Smoothness(sigma=0.7, **shared),
        Appearance(sigma_xy=20.0, sigma_rgb=30.0, **shared),
        FeatureMap(values=torch.linspace(0, 5, 31).expand(1, 24, 31), sigma_xy=6.0, **shared),
    ):
        field = scene([kernel], batch=2, void=void if some_void else None)
        most = 0.1 if isinstance(kernel, Appearance) and normalization == "none" else 0.06
        assert filter_error(field, kernel) < most


def test_a_field_that_is_nearly_flat_is_filtered_nearly_exactly(scene):
    """One kernel wide enough for all pixels is a mean, whatever the lattice."""
    kernel = Appearance(sigma_xy=3000.0, sigma_rgb=3000.0)
    assert filter_error(scene([kernel]), kernel) < 5e-3


@pytest.mark.parametrize("form", ["potts", "diagonal", "full"])
@pytest.mark.parametrize("self_term", [True, False])
def test_labels_mix_as_compatibility_says(scene, form, self_term):
    """Exactly so, where the filters are exact."""
    full = torch.eye(4) + 0.3 * torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    chosen = {"potts": None, "diagonal": full.diagonal(), "full": full}[form]
    kernels = [
        Smoothness(sigma=sigma, weight=weight, compatibility=chosen, self_term=self_term)
        for sigma, weight in ((0.8, 1.0), (1.5, 0.5))
    ]
    field = scene(kernels, batch=2)
    assert error(Fused().marginals(field, 5), EXACT.marginals(field, 5)) < 1e-4


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_mixing_labels_before_or_after_a_lattice_is_the_same(scene, form):
    """To reward each label for itself is Potts, in whatever form it is written."""
    same = torch.ones(4) if form == "diagonal" else torch.eye(4)
    wide = {"sigma_xy": 20.0, "sigma_rgb": 30.0, "self_term": False}
    potts = scene([Smoothness(weight=2.0), Appearance(**wide, weight=2.0)])
    result = scene(
        [
            Smoothness(weight=2.0, compatibility=same),
            Appearance(**wide, weight=2.0, compatibility=same),
        ]
    )
    actual, right = Fused().marginals(result, 5), Fused().marginals(potts, 5)
    torch.testing.assert_close(actual, right, atol=1e-4, rtol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_lattices_of_different_dimensions_stand_side_by_side(scene, threads, batch):
    depth = FeatureMap(values=torch.linspace(0, 3, 31).expand(1, 24, 31), sigma=0.5, weight=2.0)
    kernels = (Appearance(sigma_xy=20.0, sigma_rgb=60.0, weight=1.0), depth)
    field = scene(kernels, batch=batch)
    result, right = Fused(threads).marginals(field, 3), EXACT.marginals(field, 3)
    error = (result - right).abs().mean()
    assert error < 5e-3
    for alone in kernels:  # each of them counts
        without = EXACT.marginals(replace(field, kernels=(alone,)), 3)
        assert (without - right).abs().mean() > 5 * error


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SIZES, st.integers(1, 4), st.booleans())
def test_any_size_is_shared_among_any_threads(size, threads, channels_first):
    """Rows are cut at odd places, scenes are fewer than threads, and logits are read in planes."""
    batch, _, height, width = size
    generator = torch.Generator().manual_seed(sum(size))
    logits = torch.randn(size, generator=generator)
    image = torch.randint(0, 256, (batch, height, width, 3), generator=generator).byte()
    kernels = (Smoothness(), Smoothness(sigma=0.9), Appearance(sigma_rgb=60.0))
    field = Field(logits, image, kernels)
    alone = Fused(1).marginals(field, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inference.crf.fused.engine.SMALL", 0)
        patch.setattr("inference.crf.fused.terms.SMALL", 0)
        patch.setattr(mean_field, "CHANNELS_LAST_BYTES", 0 if channels_first else 2**28)
        result = Fused(threads).marginals(field, 3)
    torch.testing.assert_close(result, alone, atol=2e-5, rtol=0)
    torch.testing.assert_close(result.sum(1), torch.ones(batch, height, width))


@pytest.mark.parametrize("labels", [1, 2, 8, 21, 24, 150, 257])
def test_any_number_of_labels(scene, labels):
    kernels = (Smoothness(sigma=1.0), Smoothness(sigma=6.0))
    field = scene(kernels, (12, 13), labels=labels)
    result = Fused().marginals(field, 4)
    torch.testing.assert_close(result, EXACT.marginals(field, 4), atol=2e-3, rtol=0)


def test_one_number_of_threads_gives_one_answer(scene):
    field = scene((Smoothness(), Appearance(sigma_rgb=30.0)), (130, 140))
    first, again = (Fused(2).marginals(field, 3) for _ in range(2))
    assert torch.equal(first, again)


def test_many_callers_at_once(scene):
    field = scene((Smoothness(), Appearance(sigma_rgb=30.0)), (130, 140))
    right = Fused(2).marginals(field, 2)
    with ThreadPoolExecutor(4) as callers:
        for result in callers.map(lambda _: Fused(2).marginals(field, 2), range(12)):
            assert torch.equal(result, right)


def _of_a_child(numbers):
    torch.set_num_threads(1)
    field = Field(torch.from_numpy(numbers), None, (Smoothness(),))
    return Fused(2).marginals(field, 2).numpy()


@pytest.mark.parametrize("way", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_may_use_it_too(scene, way):
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {way}")
    numbers = scene((), (130, 140)).logits.numpy()
    right = _of_a_child_here(numbers)
    with multiprocessing.get_context(way).Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(_of_a_child, (numbers,)), right)


def _of_a_child_here(numbers):
    field = Field(torch.from_numpy(numbers), None, (Smoothness(),))
    return Fused(2).marginals(field, 2).numpy()


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (Appearance(sigma_xy=1e-6), "sigma_xy = 1e-06"),
        (Appearance(sigma_rgb=1e-5), "sigma_rgb = 1e-05"),
        (FeatureMap(values=1e9 * torch.arange(31.0).expand(1, 24, 31)), "sigma = 1.0"),
    ],
)
def test_widths_too_small_for_keys_are_refused(scene, kernel, name):
    with pytest.raises(ValueError, match=f"{name} of {type(kernel).__name__} is so small"):
        Fused().marginals(scene([kernel]), 1)


def test_widths_almost_too_small_leave_each_pixel_alone(scene):
    """A pixel's only neighbour is then itself, and its filter the identity."""
    kernel = Appearance(sigma_xy=1e-3, sigma_rgb=1.0)
    assert filter_error(scene([kernel]), kernel) < 1e-2


@pytest.mark.parametrize("most", [0, 2**28])
def test_marginals_may_take_the_place_of_logits(scene, monkeypatch, most):
    monkeypatch.setattr(mean_field, "CHANNELS_LAST_BYTES", most)
    field = scene((Smoothness(), Appearance(sigma_rgb=30.0)), (130, 140))
    right = Fused(2).marginals(field, 3)
    result = Fused(2).marginals(replace(field, in_place=True), 3)
    assert torch.equal(result, right)
    assert result.data_ptr() == field.logits.data_ptr()


def test_the_field_is_left_as_it_was(scene):
    field = scene((Smoothness(), Appearance()), dtype=torch.float64)
    before = field.logits.clone()
    assert Fused().marginals(field, 2).dtype == torch.float64
    assert torch.equal(field.logits, before)
