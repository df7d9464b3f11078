"""The drop-in for pydensecrf: marginals are ours, and near those of pydensecrf if installed."""

import numpy as np
import pytest
import torch

from inference.crf.kernels import Appearance, FeatureMap, Smoothness
from inference.crf.meanfield import refine_logits
from inference.crf.pydensecrf import densecrf, utils

WIDTH, HEIGHT, LABELS = 61, 48, 4

PENALTIES = -4 * np.eye(LABELS, dtype=np.float32)
PENALTIES += np.random.default_rng(0).normal(size=PENALTIES.shape).astype(np.float32) / 2
DIAGONAL = -np.arange(1, LABELS + 1, dtype=np.float32)

CALLS = {
    "gaussian": ("addPairwiseGaussian", (3, 3)),
    "gaussian, two widths": ("addPairwiseGaussian", ((2, 6), 3)),
    "gaussian, diagonal": ("addPairwiseGaussian", (3, DIAGONAL)),
    "gaussian, before": ("addPairwiseGaussian", (3, 3, 1, 1)),
    "bilateral": ("addPairwiseBilateral", (20, 13, "image", 4)),
    "bilateral, five widths": ("addPairwiseBilateral", ((10, 30), (13, 40, 9), "image", 4)),
    "bilateral, matrix": ("addPairwiseBilateral", (20, 30, "image", PENALTIES)),
    "bilateral, after": ("addPairwiseBilateral", (20, 13, "image", 4, 2, 2)),
    "energy": ("addPairwiseEnergy", ("features", 3)),
}

SYMMETRIC = torch.from_numpy(-(PENALTIES + PENALTIES.T) / 2)
KERNELS = {
    "gaussian": Smoothness(sigma=3.0, weight=3.0),
    "gaussian, two widths": Smoothness(sigma=(6.0, 2.0), weight=3.0),
    "gaussian, diagonal": Smoothness(
        sigma=3.0, weight=1.0, compatibility=torch.from_numpy(-DIAGONAL)
    ),
    "gaussian, before": Smoothness(sigma=3.0, weight=3.0, normalization="before"),
    "bilateral": Appearance(sigma_xy=20.0, sigma_rgb=13.0, weight=4.0),
    "bilateral, matrix": Appearance(
        sigma_xy=20.0, sigma_rgb=30.0, weight=1.0, compatibility=SYMMETRIC
    ),
    "bilateral, after": Appearance(
        sigma_xy=20.0, sigma_rgb=13.0, weight=4.0, normalization="after"
    ),
}


@pytest.fixture
def image(photo):
    return photo((HEIGHT, WIDTH))[0].numpy()


@pytest.fixture
def unary(scene):
    """Make energies ``(L, N)`` from noisy probabilities."""
    probs = scene((), (HEIGHT, WIDTH), labels=LABELS).logits[0].softmax(0).numpy()
    return utils.unary_from_softmax(probs)


@pytest.fixture
def build(image, unary):
    """Give a function that makes a CRF of a module, ours or pydensecrf's, from names of calls."""
    arrays = {"image": image, "features": utils.create_pairwise_bilateral((9, 20), 30, image, 2)}

    def make(module, *names):
        crf = module.DenseCRF2D(WIDTH, HEIGHT, LABELS)
        crf.setUnaryEnergy(unary)
        for name in names:
            method, args = CALLS[name]
            inputs = [arrays[a] if isinstance(a, str) else a for a in args]
            getattr(crf, method)(*inputs)
        return crf

    return make


@pytest.mark.parametrize("name", KERNELS)
def test_marginals_are_those_of_the_front_door(build, image, unary, name):
    result = build(densecrf, name).inference(5)
    logits = torch.from_numpy(-unary).reshape(LABELS, HEIGHT, WIDTH)
    right = refine_logits(logits, torch.from_numpy(image), kernels=[KERNELS[name]], iterations=5)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, right.reshape(LABELS, -1).numpy())


def test_colour_widths_of_their_own_are_a_feature_map(build, image, unary):
    result = build(densecrf, "bilateral, five widths").inference(3)
    logits = torch.from_numpy(-unary).reshape(LABELS, HEIGHT, WIDTH)
    colours = torch.from_numpy(image).permute(2, 0, 1).float()
    kernel = FeatureMap(values=colours, sigma=(13, 40, 9), sigma_xy=(30.0, 10.0), weight=4.0)
    right = refine_logits(logits, kernels=[kernel], iterations=3)
    np.testing.assert_allclose(result, right.reshape(LABELS, -1), atol=1e-5)


def test_steps_are_iterations(build):
    crf = build(densecrf, "gaussian", "bilateral")
    q, *rest = crf.startInference()
    np.testing.assert_allclose(q, crf.inference(0), atol=1e-6)
    for _ in range(4):
        crf.stepInference(q, *rest)
    np.testing.assert_allclose(q, crf.inference(4), atol=1e-4)
    np.testing.assert_array_equal(crf.map(4), crf.inference(4).argmax(0))


def test_iterations_lower_the_divergence(build):
    """Mean field minimises it, where messages are counted as the divergence counts pairs."""
    crf = build(densecrf, "gaussian")
    assert crf.klDivergence(crf.inference(5)) < crf.klDivergence(crf.inference(0))


def test_without_kernels_the_divergence_is_the_entropy_and_the_energy(build, unary):
    q = np.random.default_rng(0).dirichlet(np.ones(LABELS), WIDTH * HEIGHT).T.astype(np.float32)
    right = (q * np.log(q)).sum(dtype=float) + (q * unary).sum(dtype=float)
    assert build(densecrf).klDivergence(q) == pytest.approx(right, rel=1e-5)


def test_variables_need_no_image(unary, build):
    """Any features will do, in any number of dimensions: as the 2-D class, of its features."""
    crf = densecrf.DenseCRF(WIDTH * HEIGHT, LABELS)
    crf.setUnary(densecrf.ConstUnary(unary))
    crf.addPairwiseEnergy(utils.create_pairwise_gaussian((8, 8), (HEIGHT, WIDTH)), compat=3)
    two = densecrf.DenseCRF2D(WIDTH, HEIGHT, LABELS)
    two.setUnaryEnergy(unary)
    two.addPairwiseEnergy(utils.create_pairwise_gaussian((8, 8), (HEIGHT, WIDTH)), compat=3)
    np.testing.assert_allclose(crf.inference(3), two.inference(3), atol=1e-4)


def test_what_was_passed_is_copied(image, unary):
    crf = densecrf.DenseCRF2D(WIDTH, HEIGHT, LABELS)
    energies, colours = unary.copy(), image.copy()
    crf.setUnaryEnergy(energies)
    crf.addPairwiseBilateral(20, 13, colours, 3)
    before = crf.inference(2)
    energies[:], colours[:] = 0, 0
    np.testing.assert_array_equal(crf.inference(2), before)


WRONG = {
    "energies of another shape": (
        lambda d, u, i: d.setUnaryEnergy(u.reshape(LABELS, HEIGHT, WIDTH)),
        "Bad shape for unary energy",
    ),
    "energies that are infinite": (
        lambda d, u, i: d.setUnaryEnergy(np.full_like(u, np.inf)),
        "clip probabilities",
    ),
    "a logistic unary": (
        lambda d, u, i: d.setUnaryEnergy(u, u),
        "Logistic unaries are not supported",
    ),
    "an image turned": (
        lambda d, u, i: d.addPairwiseBilateral(20, 13, i.transpose(1, 0, 2), 3),
        "width first",
    ),
    "an image of floats": (
        lambda d, u, i: d.addPairwiseBilateral(20, 13, i.astype(float), 3),
        "must be uint8",
    ),
    "no normalisation": (
        lambda d, u, i: d.addPairwiseGaussian(3, 3, normalization=densecrf.NO_NORMALIZATION),
        "use NORMALIZE_SYMMETRIC",
    ),
    "another compatibility": (
        lambda d, u, i: d.addPairwiseGaussian(3, np.ones(LABELS + 1)),
        f"compat must be a number, {LABELS} numbers",
    ),
    "a width of 0": (lambda d, u, i: d.addPairwiseGaussian(0, 3), "sigma must be positive"),
    "features of other pixels": (
        lambda d, u, i: d.addPairwiseEnergy(np.zeros((2, 7)), 3),
        "Bad shape for pairwise energy",
    ),
    "iterations below 0": (lambda d, u, i: d.inference(-1), "iterations must be"),
    "marginals of another type": (
        lambda d, u, i: d.stepInference(u.astype(float), u, u),
        "Q must be a float32 array",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_done_is_refused_with_a_sentence(unary, image, name):
    call, sentence = WRONG[name]
    with pytest.raises(ValueError, match=sentence):
        call(densecrf.DenseCRF2D(WIDTH, HEIGHT, LABELS), unary, image)


@pytest.fixture
def real():
    """Import pydensecrf itself, or say that it is not installed."""
    return pytest.importorskip(
        "pydensecrf.densecrf", reason="SKIPPED: the extra 'pydensecrf' is not installed"
    )


def test_constants_have_the_same_numbers(real):
    for name in dir(densecrf):
        if name.startswith("NORMALIZE") or name.endswith(("_KERNEL", "_NORMALIZATION")):
            assert int(getattr(densecrf, name)) == int(getattr(real, name)), name


@pytest.mark.parametrize("name", CALLS)
def test_one_iteration_is_near_pydensecrf(build, real, name):
    """Each filters 2-5 % off what is exact, which several iterations amplify."""
    ours, theirs = build(densecrf, name).inference(1), np.array(build(real, name).inference(1))
    assert (ours.argmax(0) == theirs.argmax(0)).mean() > 0.97
    assert np.abs(ours - theirs).mean() < 0.01
    assert np.abs(ours - theirs).max() < 0.2


@pytest.mark.parametrize("name", CALLS)
def test_ten_iterations_mostly_end_where_pydensecrf_does(build, real, name):
    ours, theirs = build(densecrf, name).inference(10), np.array(build(real, name).inference(10))
    assert (ours.argmax(0) == theirs.argmax(0)).mean() > 0.95
    assert np.abs(ours - theirs).mean() < 0.02


@pytest.mark.parametrize("names", [["gaussian"], ["gaussian, diagonal"], ["bilateral, after"]])
def test_divergences_are_counted_as_in_pydensecrf(build, real, names):
    theirs = build(real, *names)
    q = theirs.inference(3)
    right = theirs.klDivergence(q)
    assert build(densecrf, *names).klDivergence(np.array(q)) == pytest.approx(right, rel=0.03)
