"""The exact engine against loops over every pair of pixels, tile by tile, and its gradients."""

import math
from dataclasses import replace

import pytest
import torch

from inference.crf import exact, tiles
from inference.crf.engines import Field
from inference.crf.exact import Exact, gram
from inference.crf.kernels import Appearance, FeatureMap, Smoothness

SIZE = (3, 4)
NORMALIZATIONS = ("symmetric", "before", "after", "mean", "none")
MATRIX = torch.tensor([[0.5, 0.1, -0.3], [0.0, 1.0, 0.2], [-0.4, 0.0, 0.7]])
COMPATIBILITIES = {"Potts": None, "diagonal": torch.tensor([0.2, 1.0, -0.5]), "full": MATRIX}


class Tiled(Exact):
    """Hold no matrix, however small."""

    largest_matrix = 0


@pytest.fixture
def small_tiles(monkeypatch):
    """Cut even a few pixels into tiles, and look at few pairs at once."""
    monkeypatch.setitem(tiles.TILE_SIZE, "cpu", 3)
    monkeypatch.setitem(tiles.AT_ONCE, "cpu", 30)


def literal(field, iterations):
    """Do mean field as the page says, one number at a time: plain Python, no tensors."""
    _, labels, height, width = field.logits.shape
    pixels = range(height * width)
    logits = field.logits[0].flatten(1).tolist()
    silent = [False] * len(pixels) if field.void is None else field.void[0].flatten().tolist()
    terms = [(kernel, *pairs(kernel, field, pixels, silent)) for kernel in field.kernels]
    q = [softmax([logits[m][i] for m in range(labels)]) for i in pixels]
    for _ in range(iterations):
        new = []
        for i in pixels:
            total = [logits[m][i] for m in range(labels)]
            for kernel, k, before, after in terms:
                heard = [0.0] * labels
                for j in pixels:
                    if not silent[j] and (kernel.self_term or i != j):
                        for m in range(labels):
                            heard[m] += after[i] * k[i][j] * before[j] * q[j][m]
                for label in range(labels):
                    for m in range(labels):
                        mu = compatibility(kernel, label, m)
                        total[label] += float(kernel.weight) * mu * heard[m]
            new.append(softmax(total))
        q = new
    return torch.tensor(q, dtype=torch.float64).T.reshape(1, labels, height, width)


def pairs(kernel, field, pixels, silent):
    """Give k of every pair, and what is multiplied before and after, from D = K·1."""
    f = kernel.features(field.image, field.logits)[0].flatten(1).T.tolist()
    k = [[math.exp(-0.5 * math.dist(f[i], f[j]) ** 2) for j in pixels] for i in pixels]
    d = [sum(k[i][j] for j in pixels if not silent[j]) for i in pixels]
    one, mean = [1.0] * len(d), sum(d) / len(d)
    before, after = {
        "symmetric": ([x**-0.5 for x in d], [x**-0.5 for x in d]),
        "before": ([1 / x for x in d], one),
        "after": (one, [1 / x for x in d]),
        "mean": (one, [1 / mean for _ in d]),
        "none": (one, one),
    }[kernel.normalization]
    return k, before, after


def compatibility(kernel, label, m):
    if kernel.compatibility is not None and kernel.compatibility.ndim == 2:
        return float(kernel.compatibility[label, m])
    diagonal = 1.0 if kernel.compatibility is None else float(kernel.compatibility[label])
    return diagonal if label == m else 0.0


def softmax(values):
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def kernels(**more):
    depth = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(4))
    return (
        Smoothness(sigma=(0.7, 1.5), weight=1.3, **more),
        Appearance(sigma_xy=2.0, sigma_rgb=40.0, weight=0.8, **more),
        FeatureMap(values=depth, sigma=(0.3, 0.6), sigma_xy=3.0, weight=torch.tensor(0.9)),
    )


def agrees(field, iterations=3):
    expected = literal(field, iterations)
    for engine in (Exact(), Tiled()):
        result = engine.marginals(field, iterations)
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_term", [True, False])
def test_marginals_are_those_of_the_page(scene, normalization, self_term, small_tiles):
    some = kernels(normalization=normalization, self_term=self_term)
    agrees(scene(some, SIZE, labels=3, dtype=torch.float64))


@pytest.mark.parametrize("name", COMPATIBILITIES)
def test_compatibilities_are_those_of_the_page(scene, name, small_tiles):
    some = kernels(compatibility=COMPATIBILITIES[name])
    agrees(scene(some, SIZE, labels=3, dtype=torch.float64))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_void_pixels_say_nothing_and_count_for_nothing(scene, normalization, small_tiles):
    void = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(1)) < 0.4
    some = kernels(normalization=normalization)
    agrees(scene(some, SIZE, labels=3, dtype=torch.float64, void=void))


def test_a_penalty_is_a_negative_compatibility(scene):
    """Potts as papers write it, a penalty of 1 between labels that differ, is the identity."""
    penalty = 1 - torch.eye(3)
    field = scene(kernels(), SIZE, labels=3)
    explicit = replace(field, kernels=kernels(compatibility=-penalty))
    explicit = replace(explicit, kernels=(*explicit.kernels[:2], field.kernels[2]))
    # adding one row to all rows changes nothing
    torch.testing.assert_close(Exact().marginals(field, 4), Exact().marginals(explicit, 4))


def test_without_its_self_term_a_sharp_kernel_does_nothing(scene):
    """At a quarter of a pixel K is the identity: all a pixel hears is itself."""
    sharp = Smoothness(sigma=0.1, weight=5.0, self_term=False)
    field = scene([sharp], SIZE)
    torch.testing.assert_close(Exact().marginals(field, 5), field.logits.softmax(1))


def test_tiles_leave_out_less_than_they_say(scene, monkeypatch):
    """Row sums of what is missing, in each normalised matrix, are below the bound."""
    monkeypatch.setitem(tiles.TILE_SIZE, "cpu", 16)
    field = scene([Appearance(sigma_xy=6.0, sigma_rgb=15.0)], dtype=torch.float64)
    features = field.kernels[0].features(field.image, field.logits).flatten(2)
    whole, one = gram(features)[0], torch.eye(features.shape[-1], dtype=torch.float64)
    mass = whole.sum(0)
    for bound in (1e-2, 1e-5):
        tiled = tiles.tile(features[0], bound)
        missing = whole - tiles.product(features[0], one, tiled)
        assert missing.min() > -1e-12
        assert not tiled.kept.all()
        roots = mass.rsqrt().outer(mass.rsqrt())
        for scaled in (missing * roots, missing / mass, missing.T / mass):
            assert 0 < scaled.sum(0).max() < bound


def test_with_no_bound_tiles_leave_out_nothing(scene, small_tiles):
    field = scene([Smoothness()], dtype=torch.float64)
    features = field.kernels[0].features(None, field.logits).flatten(2)
    assert tiles.tile(features[0], 0.0).kept.all()


def test_tiles_hold_every_pixel_once(small_tiles):
    tiled = tiles.tile(torch.rand(2, 23))
    assert tiled.order[tiled.real].sort().values.tolist() == list(range(23))
    values = torch.rand(4, 23)
    torch.testing.assert_close(tiled.scatter(tiled.gather(values)), values)


def test_tiles_and_matrices_agree_in_single_precision(scene, photo):
    some = (Smoothness(), Appearance(sigma_xy=20.0))
    field = scene(some, batch=2)
    torch.testing.assert_close(
        Tiled().marginals(field, 10), Exact().marginals(field, 10), rtol=0, atol=1e-4
    )


def test_many_scenes_are_done_as_many_at_once_as_fit(scene, monkeypatch):
    some = (Smoothness(), Appearance(sigma_xy=20.0))
    field = scene(some, batch=5, dtype=torch.float64, size=(8, 9))
    expected = Exact().marginals(field, 3)
    monkeypatch.setattr(Exact, "largest_matrix", 2 * 72**2)
    torch.testing.assert_close(Exact().marginals(field, 3), expected)


@pytest.mark.parametrize("kind", [Exact, Tiled])
def test_gradients_reach_all_there_is(kind, scene, small_tiles):
    """Logits, image, features, widths, weights and compatibilities, in double precision."""
    inputs = scene((), SIZE, labels=3, dtype=torch.float64)
    values = torch.rand(1, *SIZE, dtype=torch.float64)
    start = (inputs.logits, inputs.image.double(), values, MATRIX.double())
    start += tuple(torch.tensor(x, dtype=torch.float64) for x in (1.5, 2.0, 40.0, 0.4, 1.1))
    start = tuple(part.clone().requires_grad_() for part in start)

    def marginals(logits, image, values, matrix, sigma, near, colour, depth, weight):
        some = (
            Smoothness(sigma=sigma, weight=weight),
            Appearance(sigma_xy=near, sigma_rgb=colour, compatibility=matrix),
            FeatureMap(values=values, sigma=depth, self_term=False, normalization="after"),
        )
        return kind().marginals(Field(logits, image, some), 2)

    assert torch.autograd.gradcheck(marginals, start, fast_mode=True)


def test_reduced_precision_is_kept_out(scene):
    """Neither autocasting nor a setting for fast products makes the oracle less exact."""
    field = scene((Smoothness(), Appearance(sigma_xy=20.0)))
    expected = Exact().marginals(field, 5)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu"):
            torch.testing.assert_close(Exact().marginals(field, 5), expected, rtol=0, atol=0)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_matrix_of_distant_features_is_as_exact_as_that_of_near_ones():
    """Far from the origin, and from each other, distances keep their digits."""
    features = torch.rand(1, 5, 50) + 1000 * (torch.arange(50) % 2)
    expected = torch.exp(-0.5 * torch.cdist(features.double().mT, features.double().mT) ** 2)
    torch.testing.assert_close(gram(features).double(), expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("kind", [Exact, Tiled])
def test_a_gpu_gives_the_same_marginals(kind, scene):
    field = scene((Smoothness(), Appearance(sigma_xy=20.0)), batch=2)
    there = Field(field.logits.cuda(), field.image.cuda(), field.kernels)
    result = kind().marginals(there, 10).cpu()
    torch.testing.assert_close(result, exact.Exact().marginals(field, 10), rtol=0, atol=1e-4)
