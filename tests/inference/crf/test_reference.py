"""The reference engine: its signs and sizes are ours, and nothing it is given makes it crash."""

import builtins

import pytest
import torch

from inference.crf.engines import Field
from inference.crf.exact import Exact
from inference.crf.kernels import Appearance, FeatureMap, Smoothness
from inference.crf.meanfield import refine, refine_logits


@pytest.fixture
def reference():
    """Make the engine, or say that it is not installed."""
    pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")
    from inference.crf.reference import Reference

    return Reference()


def test_without_it_a_sentence_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(LookupError, match=r"pip install 'scene-suite.pydensecrf.'"):
        refine(torch.ones(1, 2, 2), kernels=(), engine="pydensecrf")


SYMMETRIC = torch.tensor(
    [[1.0, 0.3, -0.2, 0], [0.3, 0.5, 0, 0], [-0.2, 0, 1, 0.1], [0, 0, 0.1, 2]]
)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after"])
@pytest.mark.parametrize("compatibility", [None, torch.tensor([1.0, -0.5, 0.2, 2.0]), SYMMETRIC])
def test_conventions_are_the_same(scene, reference, normalization, compatibility):
    """Signs of compatibilities, order of axes and of widths, each normalisation."""
    more = {"normalization": normalization, "compatibility": compatibility, "weight": 2.0}
    depth = torch.linspace(0, 3, 31).expand(1, 24, 31)
    kernels = (
        Smoothness(sigma=(2.0, 4.0), **more),
        Appearance(sigma_xy=(20.0, 10.0), sigma_rgb=40.0, **more),
        FeatureMap(values=depth, sigma=0.5, sigma_xy=5.0, **more),
    )
    for kernel in kernels:
        field = scene([kernel], batch=2)
        exact = Exact().marginals(field, 4)
        moved = (exact - field.logits.softmax(1)).abs().mean()
        assert (exact - reference.marginals(field, 4)).abs().mean() < 0.25 * moved


@pytest.mark.parametrize("kernel", [Smoothness(), Appearance(sigma_xy=15.0, sigma_rgb=60.0)])
def test_its_filter_is_read_off_its_marginals(scene, reference, kernel):
    field = scene([kernel], batch=2)
    values = 100 * field.logits
    result, right = (e.filtered(field, kernel, values) for e in (reference, Exact()))
    assert (result - right).norm() < 0.1 * right.norm()
    torch.testing.assert_close(reference.filtered(field, kernel, 2 * values), 2 * result)


def test_colours_between_bytes_are_taken_as_features(scene, reference):
    kernel = Appearance(sigma_xy=15.0, sigma_rgb=60.0)
    field = scene([kernel])
    shifted = Field(field.logits, field.image + 0.25, field.kernels)
    result, right = reference.marginals(shifted, 3), reference.marginals(field, 3)
    assert 0 < (result - right).abs().mean() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 3)])
@pytest.mark.parametrize("labels", [1, 2, 5, 130])
def test_every_size_and_number_of_labels_is_survived(scene, reference, size, labels):
    field = scene([Smoothness(), Appearance()], size, labels=labels)
    result = reference.marginals(field, 2)
    torch.testing.assert_close(result.sum(1), torch.ones(1, *size))


@pytest.mark.parametrize("kernel", [Smoothness(sigma=1e-4), Appearance(sigma_rgb=1e-3)])
def test_widths_that_would_overflow_its_lattice_are_refused(scene, reference, kernel):
    with pytest.raises(ValueError, match="overflows pydensecrf's lattice; use wider ones"):
        reference.marginals(scene([kernel]), 1)


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        (Smoothness(self_term=False), "always keeps the self term"),
        (Smoothness(normalization="none"), "symmetric, before, after, but not 'none'"),
        (Smoothness(normalization="mean"), "but not 'mean'"),
        (Smoothness(compatibility=torch.eye(4).roll(1, 0)), "only .* that are symmetric"),
    ],
)
def test_what_it_cannot_do_is_refused(scene, reference, kernel, sentence):
    with pytest.raises(ValueError, match=sentence):
        reference.marginals(scene([kernel]), 1)


def test_void_pixels_are_refused(scene, reference):
    void = torch.zeros(1, 24, 31, dtype=torch.bool)
    with pytest.raises(ValueError, match="does not support void pixels"):
        reference.marginals(scene([Smoothness()], void=void), 1)


def test_what_does_not_fit_in_memory_is_refused(scene, reference):
    """The field is a view of one number, so that making it costs nothing."""
    huge = torch.zeros(1, 1, 1, 1).expand(1, 10_000, 2_000, 2_000)
    with pytest.raises(ValueError, match="4000000 pixels with 10000 labels are too many"):
        reference.marginals(Field(huge, None, (Smoothness(),)), 1)


def test_it_has_no_gradients(reference):
    logits = torch.zeros(2, 3, 3, requires_grad=True)
    with pytest.raises(ValueError, match="gives no gradients; use exact or lattice"):
        refine_logits(logits, kernels=(Smoothness(),), engine="pydensecrf")


def test_learned_parameters_are_read_without_their_gradients(scene, reference):
    held = {name: torch.tensor(2.0, requires_grad=True) for name in ("sigma", "weight")}
    field = scene([Smoothness(**held)])
    expected = reference.marginals(scene([Smoothness(sigma=2.0, weight=2.0)]), 2)
    torch.testing.assert_close(reference.marginals(field, 2), expected)
