"""Laws of kernels: what their features measure, and what they refuse."""

import numpy as np
import pytest
import torch

from inference.crf.kernels import (
    DEFAULT,
    Appearance,
    FeatureMap,
    Kernel,
    Smoothness,
    positions,
)

LIKE = torch.zeros(2, 4, 5, 7)


def _apart(features, one, other):
    """Give the distance of two pixels, (row, column), in feature space."""
    return float((features[0, :, *one] - features[0, :, *other]).norm())


def test_smoothness_measures_pixels_in_widths():
    features = Smoothness(sigma=2.0).features(None, LIKE)
    assert features.shape == (1, 2, 5, 7)
    assert _apart(features, (0, 0), (3, 4)) == pytest.approx(5 / 2)


def test_two_widths_are_vertical_and_horizontal():
    features = Smoothness(sigma=(1.0, 2.0)).features(None, LIKE)
    assert _apart(features, (0, 0), (4, 0)) == pytest.approx(4.0)
    assert _apart(features, (0, 0), (0, 6)) == pytest.approx(3.0)


def test_appearance_measures_pixels_and_colours(photo):
    image = photo((5, 7), batch=2)
    features = Appearance(sigma_xy=4.0, sigma_rgb=10.0).features(image, LIKE)
    colour = (image[0, 0, 0].double() - image[0, 1, 2].double()).norm() / 10
    place = 5**0.5 / 4
    assert features.shape == (2, 5, 5, 7)
    expected = (colour**2 + place**2) ** 0.5
    assert _apart(features, (0, 0), (1, 2)) == pytest.approx(float(expected), rel=1e-5)


def test_a_feature_map_of_colours_and_places_is_appearance(photo):
    image = photo((5, 7), batch=2)
    kernel = FeatureMap(values=image.permute(0, 3, 1, 2), sigma=10.0, sigma_xy=4.0)
    expected = Appearance(sigma_xy=4.0, sigma_rgb=10.0).features(image, LIKE)
    torch.testing.assert_close(kernel.features(None, LIKE), expected)


def test_a_feature_map_has_a_width_for_each_feature():
    values = torch.rand(3, 5, 7)
    result = FeatureMap(values=values, sigma=(1.0, 2.0, 4.0)).features(None, LIKE)
    torch.testing.assert_close(result, (values / torch.tensor([1, 2, 4]).view(3, 1, 1))[None])


def test_positions_are_about_the_centre():
    assert float(positions(3.0, LIKE).sum()) == pytest.approx(0, abs=1e-5)


def test_double_features_are_double_throughout():
    """A width of 0.1 is 0.1 in double precision, not what single precision makes of it."""
    like = LIKE.double()
    values = torch.ones(1, 5, 7, dtype=torch.float64)
    result = FeatureMap(values=values, sigma=0.1).features(None, like)
    assert float(result[0, 0, 0, 0]) == 1 / 0.1


def test_gradients_reach_every_width(photo):
    widths = [torch.tensor(w, requires_grad=True) for w in (3.0, 40.0, 13.0, 2.0)]
    kernels = (
        Smoothness(sigma=widths[0]),
        Appearance(sigma_xy=widths[1], sigma_rgb=widths[2]),
        FeatureMap(values=torch.rand(2, 5, 7), sigma=widths[3]),
    )
    sum(k.features(photo((5, 7), 2), LIKE).square().sum() for k in kernels).backward()
    assert all(width.grad != 0 for width in widths)


def test_defaults_are_those_of_the_reference():
    smoothness, appearance = DEFAULT
    assert (smoothness.sigma, smoothness.weight) == (3.0, 3.0)
    assert (appearance.sigma_xy, appearance.sigma_rgb, appearance.weight) == (80.0, 13.0, 10.0)


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Smoothness(sigma=0.0), "sigma must be positive"),
        (lambda: Smoothness(sigma=(1.0, -1.0)), "sigma must be positive .* not -1.0"),
        (lambda: Smoothness(sigma=float("inf")), "sigma must be positive"),
        (lambda: Smoothness(sigma=1e30), r"sigma is at most 1e\+06, .* not 1e\+30"),
        (lambda: Appearance(sigma_xy=10**400), r"sigma_xy is at most 1e\+06"),
        (lambda: Appearance(sigma_xy=NAN), "sigma_xy must be positive"),
        (lambda: Appearance(sigma_rgb=-3), "sigma_rgb must be positive"),
        (lambda: Smoothness(weight=NAN), "one finite number, not nan"),
        (lambda: Smoothness(weight=torch.ones(2)), "one finite number"),
        (lambda: Smoothness(normalization="sym"), "No normalization is called 'sym'; known: symm"),
        (lambda: Smoothness(compatibility=torch.ones(2, 3)), r"\(L, L\), or .* not \(2, 3\)"),
        (lambda: Smoothness(compatibility=torch.tensor(1.0)), r"\(L, L\), or"),
        (lambda: Smoothness(compatibility=torch.ones(0)), r"\(L, L\), or"),
        (lambda: Smoothness(compatibility=np.eye(2)), "must be a tensor, not ndarray"),
        (lambda: Smoothness(compatibility=torch.tensor([1.0, NAN])), "holds a NaN"),
        (lambda: FeatureMap(values=torch.ones(5, 7)), r"\(D, H, W\) or .* not \(5, 7\)"),
        (lambda: FeatureMap(values=torch.ones(0, 5, 7)), "with D ≥ 1"),
        (lambda: FeatureMap(values=np.ones((1, 5, 7))), "must be a tensor"),
        (lambda: FeatureMap(values=torch.full((1, 5, 7), NAN)), "holds a NaN"),
        (lambda: FeatureMap(values=torch.ones(2, 5, 7), sigma=(1, 2, 3)), "2 features but 3 wid"),
        (lambda: FeatureMap(values=torch.ones(2, 5, 7), sigma=(1, 0)), "sigma must be positive"),
        (lambda: FeatureMap(values=torch.ones(2, 5, 7), sigma_xy=0.0), "sigma_xy must be posi"),
        (lambda: Appearance().features(None, LIKE), "compares colours; pass an image"),
        (lambda: FeatureMap(values=torch.ones(1, 7, 5)).features(None, LIKE), "is 7×5 .* is 5×7"),
    ],
)
def test_what_is_no_kernel_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_kernel_of_ones_own_says_its_features():
    with pytest.raises(NotImplementedError):
        Kernel().features(None, LIKE)
