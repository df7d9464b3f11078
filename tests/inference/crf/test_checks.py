"""Bad input is answered in one sentence that says what came and what to pass instead."""

import numpy as np
import pytest
import torch

from inference.crf.kernels import Appearance, FeatureMap, Smoothness
from inference.crf.meanfield import refine, refine_labels, refine_logits

LABELS, HEIGHT, WIDTH = 3, 4, 6
IMAGE = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
PROBS = np.full((LABELS, HEIGHT, WIDTH), 1 / 3, dtype=np.float32)
NAN = float("nan")
COLOURS = np.arange(IMAGE.size, dtype=np.uint8).reshape(IMAGE.shape) * 3
DOUBTS = np.stack([np.full((HEIGHT, WIDTH), 0.5), *np.mgrid[:HEIGHT, :WIDTH]]).astype(np.float32)
DOUBTS /= DOUBTS.sum(0)


def spoiled(value):
    return np.where(np.arange(WIDTH) == 2, value, PROBS)


@pytest.mark.parametrize(
    ("probs", "sentence"),
    [
        (PROBS.transpose(1, 2, 0), "axis -1, not over labels: pass .L, H, W."),
        (PROBS.transpose(1, 0, 2), "axis -2, not over labels"),
        (PROBS * 1.1, "sum to one over labels .axis -3., but somewhere sum to 1.1"),
        (spoiled(NAN), "hold a NaN or an infinity"),
        (spoiled(np.inf), "hold a NaN or an infinity"),
        (spoiled(-1.0), "negative numbers; if they are logits, use refine_logits"),
        (PROBS[0], r"must be \(L, H, W\) or .* not 4×6"),
        (PROBS[:0], "there must be 1 label or more"),
        (PROBS[:, :0], "there is no pixel"),
        (PROBS.astype(complex), "numbers, not complex128"),
        (np.array("cat"), "numbers, not <U3"),
    ],
)
def test_what_are_no_probabilities(probs, sentence):
    refused(sentence, refine, probs, IMAGE)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (IMAGE.transpose(1, 0, 2), "is 6×4 but the probs are 3×4×6 .* transposed"),
        (IMAGE.transpose(2, 0, 1), "channels first: pass .H, W, 3."),
        (IMAGE[:2], "2×6×3 .H, W, 3., but the probs are 3×4×6 .L, H, W.; resize"),
        (IMAGE[..., 0], "is 4×6, but colours are 3 channels, .* FeatureMap.values=....*1, H, W"),
        (IMAGE[..., :1], "is 4×6×1, but colours are 3 channels, .* FeatureMap"),
        (IMAGE[..., [0, 1, 2, 2]], "4×6×4, but colours are 3 channels, .* FeatureMap.*4, H, W"),
        (IMAGE[..., [0, 1, 2, 2, 2]], "4×6×5, but colours are 3 channels, .* FeatureMap"),
        (IMAGE[..., [0, 1, 2, 2]].transpose(2, 0, 1), "4×4×6, but colours are 3 channels"),
        (
            IMAGE.astype(np.uint16) + 256,
            "whole numbers up to .*; divide a 16-bit image by 257, or",
        ),
        (IMAGE[None], "expected, for the probs are"),
        (np.full(IMAGE.shape, NAN, np.float32), "image holds a NaN"),
        (np.full(IMAGE.shape, 0.5, np.float32), "in .0, 1., but colours are on the scale 0-255"),
        (np.array([["red"]]), "the image must be an array"),
    ],
)
def test_an_image_that_does_not_fit(image, sentence):
    refused(sentence, refine, PROBS, image)


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.uint64, np.int64, np.float64])
def test_numbers_of_any_width_are_colours_alike(kind):
    expected = refine(DOUBTS, COLOURS, engine="exact")
    assert not np.allclose(expected, DOUBTS, atol=0.1)
    for image in (COLOURS.astype(kind), torch.from_numpy(COLOURS.astype(kind))):
        np.testing.assert_allclose(refine(DOUBTS, image, engine="exact"), expected, rtol=1e-5)


def test_channels_are_looked_at_as_features():
    """Colours as a map, at Appearance's widths, are what they are to Appearance."""
    five = torch.from_numpy(COLOURS[..., [0, 1, 2, 2, 2]].astype(np.float32)).permute(2, 0, 1)
    map_ = FeatureMap(values=five[:3], sigma=13.0, sigma_xy=80.0, weight=10.0)
    expected = refine(DOUBTS, COLOURS, kernels=(Appearance(),), engine="exact")
    np.testing.assert_allclose(
        refine(DOUBTS, kernels=(map_,), engine="exact"), expected, rtol=1e-4
    )
    assert refine(DOUBTS, kernels=(FeatureMap(values=five),)).shape == DOUBTS.shape


def test_probabilities_with_labels_last_are_recognised_by_the_image():
    logits = np.zeros((HEIGHT, WIDTH, LABELS), dtype=np.float32)
    refused(r"look like \(H, W, L\): pass them with labels first", refine_logits, logits, IMAGE)


def test_a_batch_needs_an_image_each():
    refused("There are 1 images for 2 scenes", refine, PROBS[None].repeat(2, 0), IMAGE[None])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iterations": -1}, "whole number, 0 or more, not -1"),
        ({"iterations": 2.0}, "whole number, 0 or more, not 2.0"),
        ({"iterations": True}, "whole number"),
        ({"iterations": 10**21}, "iterations are at most 10000, not 1000"),
        ({"kernels": Smoothness()}, "must be a sequence of kernels"),
        ({"kernels": ("smoothness",)}, "must be a sequence of kernels"),
        ({"kernels": (Smoothness(compatibility=torch.eye(4)),)}, "is 4×4, but there are 3 labels"),
        ({"kernels": (Smoothness(compatibility=torch.ones(2)),)}, "3×3 or 3 numbers are expected"),
        ({"kernels": (FeatureMap(values=torch.ones(2, 1, 4, 6)),)}, "2 feature maps for 1 scenes"),
        ({"kernels": (FeatureMap(values=torch.ones(1, 6, 4)),)}, "6×4 .height × width., but"),
        ({"void": np.zeros((6, 4), bool)}, r"bool of shape \(4, 6\), not torch.bool of 6×4"),
        ({"void": np.zeros((4, 6), int)}, "bool of shape"),
    ],
)
def test_options_that_do_not_fit(options, sentence):
    refused(sentence, refine, PROBS, IMAGE, engine="exact", **options)


def test_an_engine_nobody_knows():
    with pytest.raises(LookupError, match="Did you mean 'lattice'"):
        refine(PROBS, IMAGE, engine="latice")


def test_an_appearance_kernel_without_an_image():
    refused("pass an image, or leave the kernel out", refine, PROBS, engine="exact")


@pytest.mark.parametrize(
    ("labels", "options", "sentence"),
    [
        ([[0, 3]], {}, "labels hold 3, but with 3 labels ids run from 0 to 2, and 255"),
        ([[0, -1]], {}, "labels hold -1"),
        ([0, 1], {}, r"must be \(H, W\) or \(B, H, W\)"),
        ([[0.0, 1.0]], {}, "must be integers, not torch.float64"),
        ([[0, 1]], {"confidence": 1.0}, "between 1/3 .a guess. and 1"),
        ([[0, 1]], {"confidence": 0.3}, "between 1/3"),
        ([[0, 1]], {"count": 0}, "1 or more, not 0"),
        ([[0, 1]], {"count": 3.0}, "1 or more, not 3.0"),
    ],
)
def test_what_are_no_labels(labels, options, sentence):
    refused(sentence, refine_labels, np.array(labels), **{"count": 3, **options})


def test_lists_must_be_as_long_as_each_other():
    refused("2 scenes but 1 images", refine, [PROBS, PROBS], [IMAGE])


@pytest.mark.parametrize("odd", ["read-only", "reversed", "big-endian", "strided", "integers"])
def test_odd_arrays_are_taken(odd):
    """What other libraries hand out: no warning, and the same answer."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), (HEIGHT, WIDTH)).astype(np.float32)
    probs = np.ascontiguousarray(probs.transpose(2, 0, 1))
    inputs = {
        "read-only": probs.copy(),
        "reversed": probs[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        "big-endian": probs.astype(">f4"),
        "strided": np.repeat(probs, 2, axis=2)[..., ::2],
        "integers": probs,
    }[odd]
    image = IMAGE.astype(np.int64) if odd == "integers" else IMAGE.copy()
    inputs.flags.writeable = image.flags.writeable = odd != "read-only"
    kernels = (Smoothness(), Appearance())
    expected = refine(probs, IMAGE, kernels=kernels, engine="exact")
    np.testing.assert_array_equal(refine(inputs, image, kernels=kernels, engine="exact"), expected)


def refused(sentence, do, *given, **options):
    with pytest.raises(ValueError, match=sentence) as caught:
        do(*given, **options)
    assert "\n" not in str(caught.value)
