"""The front door: what is given comes back refined, as what it was."""

import numpy as np
import pytest
import torch

from inference.crf.kernels import Appearance, FeatureMap, Smoothness
from inference.crf.meanfield import FLOOR, refine, refine_labels, refine_logits

OPTIONS = {"kernels": (Smoothness(), Appearance(sigma_xy=20.0)), "engine": "exact"}


@pytest.fixture
def given(scene):
    """Make probabilities and an image, as arrays."""
    field = scene((), (9, 12), labels=3)
    return field.logits[0].softmax(0).numpy(), field.image[0].numpy()


def test_arrays_and_tensors_are_taken_alike(given):
    probs, image = given
    arrays = refine(probs, image, **OPTIONS)
    tensors = refine(torch.from_numpy(probs), torch.from_numpy(image), **OPTIONS)
    assert isinstance(arrays, np.ndarray)
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_array_equal(arrays, tensors.numpy())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_of_the_probabilities_comes_back(given, dtype):
    probs, image = given
    result = refine(probs.astype(dtype), image, **OPTIONS)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, refine(probs, image, **OPTIONS), atol=3e-3)
    half = refine(torch.from_numpy(probs).bfloat16(), image, **OPTIONS)
    assert half.dtype == torch.bfloat16


def test_double_precision_is_double_within(given):
    probs, image = given
    sums = refine(probs.astype(np.float64), image, **OPTIONS, iterations=2).sum(0)
    np.testing.assert_allclose(sums, 1, atol=1e-15)


def test_probabilities_of_whole_numbers_give_floats(given):
    probs, image = given
    certain = np.eye(3, dtype=np.int64)[probs.argmax(0)].transpose(2, 0, 1)
    assert refine(certain, image, **OPTIONS).dtype == np.float32


def test_probabilities_are_logits_of_their_logarithms(given):
    probs, image = given
    expected = refine_logits(np.log(np.maximum(probs, FLOOR)), image, **OPTIONS)
    np.testing.assert_allclose(refine(probs, image, **OPTIONS), expected, atol=1e-6)


def test_no_iteration_gives_the_probabilities_back(given):
    probs, image = given
    result = refine(probs, image, **{**OPTIONS, "iterations": 0})
    np.testing.assert_allclose(result, probs, atol=1e-4)


def test_colours_are_taken_as_bytes_or_floats(given):
    probs, image = given
    result = refine(probs, image.astype(np.float32), **OPTIONS)
    np.testing.assert_allclose(result, refine(probs, image, **OPTIONS), atol=1e-6)


def test_a_list_of_scenes_may_differ_in_size(scene):
    fields = [scene((), size, labels=3) for size in ((5, 6), (7, 4))]
    probs = [field.logits[0].softmax(0) for field in fields]
    images = [field.image[0] for field in fields]
    result = refine(probs, images, **OPTIONS)
    for one, prob, image in zip(result, probs, images, strict=True):
        torch.testing.assert_close(one, refine(prob, image, **OPTIONS))


def test_a_void_pixel_pulls_no_other_whatever_it_holds(given):
    probs, image = given
    void = np.zeros(probs.shape[1:], dtype=bool)
    void[2:4, 3:6] = True
    other = np.where(void, probs[::-1], probs)
    result, same = (refine(p, image, void=void, **OPTIONS) for p in (probs, other))
    np.testing.assert_allclose(result, same, atol=1e-6)
    seen = refine(probs, image, **OPTIONS)
    assert np.abs(result - seen)[:, ~void].max() > 1e-3


def test_voids_of_all_pixels_leave_no_opinion(given):
    probs, image = given
    result = refine(probs, image, void=np.ones(probs.shape[1:], dtype=bool), **OPTIONS)
    np.testing.assert_allclose(result, 1 / 3, atol=1e-6)


def test_labels_are_believed_with_their_confidence(given):
    _, image = given
    labels = np.arange(image[..., 0].size).reshape(image.shape[:2]) % 3
    result = refine_labels(labels, image, count=3, confidence=0.8, **{**OPTIONS, "iterations": 0})
    np.testing.assert_allclose(result.max(0), 0.8, atol=1e-5)
    np.testing.assert_array_equal(result.argmax(0), labels)


def test_labels_unknown_are_filled_in_by_their_neighbours(given):
    _, image = given
    labels = np.ones(image.shape[:2], dtype=np.uint8)
    labels[4, 4] = 255
    result = refine_labels(labels, image, count=3, **OPTIONS)
    assert (result.argmax(0) == 1).all()


def test_one_label_is_certain():
    np.testing.assert_array_equal(refine_labels(np.zeros((4, 5), int), count=1, kernels=()), 1.0)


def test_lists_and_batches_of_labels():
    labels = torch.tensor([[[0, 1], [1, 255]], [[0, 0], [0, 0]]])
    options = {"count": 2, "kernels": (Smoothness(),), "engine": "exact"}
    batch = refine_labels(labels, **options)
    assert batch.shape == (2, 2, 2, 2)
    for one, alone in zip(batch, refine_labels(list(labels), **options), strict=True):
        torch.testing.assert_close(one, alone)


def test_gradients_flow_through_the_front_door(given):
    probs, image = given
    start = torch.from_numpy(probs).requires_grad_()
    weight = torch.tensor(2.0, requires_grad=True)
    kernels = (Appearance(sigma_xy=20.0, weight=weight),)
    refine(start, image, kernels=kernels)[0].sum().backward()
    assert start.grad.abs().sum() > 0
    assert weight.grad != 0


def test_a_map_of_features_needs_no_image(given):
    probs, image = given
    values = torch.from_numpy(image).permute(2, 0, 1)
    kernel = FeatureMap(values=values, sigma=13.0, sigma_xy=20.0, weight=10.0)
    result = refine(probs, kernels=(kernel,), engine="exact")
    expected = refine(probs, image, kernels=(Appearance(sigma_xy=20.0),), engine="exact")
    np.testing.assert_allclose(result, expected, atol=1e-5)
