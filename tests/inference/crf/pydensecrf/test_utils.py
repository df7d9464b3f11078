"""Unary energies and features: what they mean; and that they are equal to those of pydensecrf."""

import numpy as np
import pytest

from inference.crf.pydensecrf import utils

RANDOM = np.random.default_rng(0)
PROBS = RANDOM.dirichlet(np.ones(3), (5, 7)).transpose(2, 0, 1)
LABELS = RANDOM.integers(0, 4, (5, 7))
IMAGE = RANDOM.integers(0, 256, (5, 7, 3)).astype(np.uint8)

CALLS = {
    "softmax": ("unary_from_softmax", (PROBS,)),
    "softmax, scaled": ("unary_from_softmax", (PROBS, 0.7)),
    "softmax, not clipped": ("unary_from_softmax", (PROBS.astype(np.float32), None, None)),
    "softmax, deprecated": ("softmax_to_unary", (PROBS, 0.9)),
    "labels": ("unary_from_labels", (LABELS, 3, 0.7)),
    "labels, all sure": ("unary_from_labels", (LABELS, 4, 0.7, False)),
    "labels, deprecated": ("compute_unary", (LABELS, 3)),
    "gaussian": ("create_pairwise_gaussian", ((2, 3), (5, 7))),
    "gaussian, volume": ("create_pairwise_gaussian", ((2, 3, 4), (5, 7, 2))),
    "bilateral": ("create_pairwise_bilateral", ((2, 3), (13, 20, 30), IMAGE, 2)),
    "bilateral, one width": ("create_pairwise_bilateral", ((2, 3), 13, IMAGE, 2)),
    "bilateral, channels first": ("create_pairwise_bilateral", ((3, 4), 13, IMAGE, 0)),
    "bilateral, grey": ("create_pairwise_bilateral", ((2, 3), 13, IMAGE[..., 0])),
}


def test_energies_give_probabilities_back():
    energies = utils.unary_from_softmax(PROBS)
    assert energies.dtype == np.float32
    np.testing.assert_allclose(np.exp(-energies), PROBS.reshape(3, -1), atol=1e-6)
    softer = np.exp(-utils.unary_from_softmax(PROBS, scale=0.5))
    np.testing.assert_allclose(softer, PROBS.reshape(3, -1) / 2 + 1 / 6, atol=1e-6)


def test_unknown_labels_are_uniform():
    probs = np.exp(-utils.unary_from_labels(LABELS, 3, 0.7))
    np.testing.assert_allclose(probs.sum(0), 1, atol=1e-6)
    np.testing.assert_allclose(probs[:, LABELS.flatten() == 0], 1 / 3, atol=1e-6)
    known = LABELS.flatten() == 2
    np.testing.assert_allclose(probs[1, known], 0.7, atol=1e-6)


def test_features_are_positions_and_channels_in_widths():
    features = utils.create_pairwise_bilateral((2, 4), (5, 10, 20), IMAGE, 2)
    place = 3 * 7 + 6
    right = [3 / 2, 6 / 4, *(IMAGE[3, 6] / np.array([5, 10, 20]))]
    np.testing.assert_allclose(features[:, place], right, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: utils.unary_from_softmax(PROBS, 1.5), "scale must be"),
        (lambda: utils.unary_from_labels(LABELS, 3, 1.0), "gt_prob must be"),
        (lambda: utils.unary_from_labels(LABELS, 2, 0.5), "labels run from 0 to 3"),
        (lambda: utils.unary_from_labels(LABELS, 1, 0.5), "n_labels must be 2"),
    ],
)
def test_numbers_out_of_range_are_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("name", CALLS)
def test_numbers_are_those_of_pydensecrf(name):
    real = pytest.importorskip(
        "pydensecrf.utils", reason="SKIPPED: the extra 'pydensecrf' is not installed"
    )
    function, args = CALLS[name]
    result, right = getattr(utils, function)(*args), getattr(real, function)(*args)
    assert result.dtype == right.dtype
    np.testing.assert_array_equal(result, right)
