"""Laws of the lattice engine: it is linear, symmetric, differentiable, and near the exact one."""

import pytest
import torch
import torch.nn.functional as F

from inference.crf.engines import Field
from inference.crf.exact import Exact
from inference.crf.kernels import DEFAULT, Appearance, FeatureMap, Smoothness
from inference.crf.lattice import Lattice

HEIGHT, WIDTH = 30, 41
NORMALIZATIONS = ("symmetric", "before", "after", "mean", "none")


def smooth(channels, seed, batch=1, dtype=torch.float32):
    """Draw fields that vary over some ten pixels, about as photographs do."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, channels, 4, 5, generator=generator, dtype=dtype)
    return F.interpolate(coarse, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=True)


def photo(seed=0, batch=1):
    return (128 + 50 * smooth(3, seed, batch)).clamp(0, 255).permute(0, 2, 3, 1).contiguous()


def scene(kernels, labels=4, batch=1, dtype=torch.float32, **more):
    logits = 2 * smooth(labels, 1, batch, dtype)
    return Field(logits, photo(batch=batch), tuple(kernels), **more)


KERNELS = {
    "smoothness": Smoothness(),
    "fine": Smoothness(sigma=(0.8, 1.5)),
    "wide": Smoothness(sigma=9.0),
    "appearance": Appearance(sigma_xy=15.0, sigma_rgb=30.0),
    "depth": FeatureMap(values=smooth(1, 5)[0], sigma=0.5, sigma_xy=10.0),
    "one": FeatureMap(values=smooth(1, 6)[0], sigma=0.5),
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_matrix_is_symmetric(name):
    """<u, K v> = <K u, v>, so K is its own adjoint."""
    field = scene([KERNELS[name]], dtype=torch.float64)
    u, v = smooth(4, 2, dtype=torch.float64), smooth(4, 3, dtype=torch.float64)
    ahead = (u * Lattice().filtered(field, KERNELS[name], v)).sum()
    back = (Lattice().filtered(field, KERNELS[name], u) * v).sum()
    torch.testing.assert_close(ahead, back, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_term", [True, False])
def test_filtering_is_near_the_exact_one(normalization, self_term):
    more = {"normalization": normalization, "self_term": self_term}
    for kernel, error in (
        (Smoothness(**more), 0.01),
        (Smoothness(sigma=1.5, **more), 1e-3),
        (Appearance(sigma_xy=15.0, sigma_rgb=30.0, **more), 0.2),
    ):
        field = scene([kernel])
        values = field.logits.softmax(1)
        wanted = Exact().filtered(field, kernel, values)
        found = Lattice().filtered(field, kernel, values)
        assert (found - wanted).norm() < error * wanted.norm()


def test_marginals_are_near_the_exact_ones():
    field = scene([Smoothness(), Appearance(sigma_xy=15.0, sigma_rgb=30.0)])
    found, wanted = Lattice().marginals(field, 10), Exact().marginals(field, 10)
    assert (found - wanted).abs().sum(1).mean() / 2 < 0.01


def test_a_constant_image_has_the_mass_of_smoothness():
    """Of one colour, appearance is position alone: D is that of smoothness as wide."""
    image = torch.full((1, HEIGHT, WIDTH, 3), 77, dtype=torch.uint8)
    logits = torch.zeros(1, 1, HEIGHT, WIDTH)
    masses = []
    for kernel in (
        Appearance(sigma_xy=6.0, normalization="none"),
        Smoothness(sigma=6.0, normalization="none"),
    ):
        field = Field(logits, image, (kernel,))
        masses.append(Lattice().filtered(field, kernel, torch.ones_like(logits)))
    ratio = masses[0] / masses[1]
    assert abs(ratio.mean() - 1) < 0.05
    assert (ratio - 1).abs().max() < 0.2


def test_a_batch_is_its_images_one_by_one_bit_by_bit():
    depth = smooth(1, 8, batch=3)
    shared = FeatureMap(values=smooth(1, 9)[0], sigma=0.7, sigma_xy=8.0, normalization="after")
    kernels = [*DEFAULT, FeatureMap(values=depth, sigma=0.5), shared]
    void = smooth(1, 4, batch=3)[:, 0] > 1
    together = Lattice().marginals(scene(kernels, batch=3, void=void), 3)
    whole = scene(kernels, batch=3)
    for i in range(3):
        own = (*DEFAULT, FeatureMap(values=depth[i], sigma=0.5), shared)
        alone = Field(whole.logits[[i]], whole.image[[i]], own, void[[i]])
        assert torch.equal(Lattice().marginals(alone, 3)[0], together[i])


def test_permuting_labels_permutes_the_answer():
    field, order = scene(DEFAULT, labels=5), torch.tensor([3, 1, 4, 0, 2])
    moved = Field(field.logits[:, order], field.image, field.kernels)
    found = Lattice().marginals(field, 5)
    torch.testing.assert_close(Lattice().marginals(moved, 5), found[:, order])


def little(kernel_of, normalization="symmetric", self_term=True):
    """Make a function of logits, weight and compatibility of a 4×5 scene of three labels."""
    image = photo()[:, :4, :5]

    def marginals(logits, weight, compatibility):
        kernels = kernel_of(
            weight=weight,
            compatibility=compatibility,
            normalization=normalization,
            self_term=self_term,
        )
        void = torch.zeros(1, 4, 5, dtype=torch.bool)
        void[0, 1, 2] = True
        return Lattice().marginals(Field(logits, image, (kernels, Smoothness()), void), 3)

    return marginals


@pytest.mark.parametrize("form", ["potts", "diagonal", "full"])
@pytest.mark.parametrize(
    ("normalization", "self_term"), [("symmetric", True), ("before", False), ("after", True)]
)
@pytest.mark.parametrize("kind", [Smoothness, Appearance])
def test_gradients_agree_with_differences(form, normalization, self_term, kind):
    torch.manual_seed(0)
    call = little(kind, normalization, self_term)
    logits = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    sizes = {"potts": None, "diagonal": (3,), "full": (3, 3)}[form]
    if sizes is None:
        assert torch.autograd.gradcheck(
            lambda a, w: call(a, w, None), (logits, weight), fast_mode=True
        )
        return
    compatibility = torch.randn(sizes, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call, (logits, weight, compatibility), fast_mode=True)
