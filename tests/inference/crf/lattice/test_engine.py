"""Laws of the lattice engine: it is linear, differentiable, and near the exact one."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from inference.crf.engines import Field
from inference.crf.exact import Exact
from inference.crf.kernels import DEFAULT, Appearance, FeatureMap, Smoothness
from inference.crf.lattice.engine import Lattice

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


def check_adjoint(kernel, dtype, tolerance):
    """Hold <u, K v> = <Kᵀ u, v>, Kᵀ being what carries gradients back."""
    field = scene([kernel], dtype=dtype)
    u, v = smooth(4, 2, dtype=dtype), smooth(4, 3, dtype=dtype).requires_grad_()
    result = (u * Lattice().filtered(field, kernel, v)).sum()
    (back,) = torch.autograd.grad(result, v)
    scale = (u * v).abs().sum().item()
    torch.testing.assert_close((back * v).sum(), result, rtol=0, atol=tolerance * scale)
    other = smooth(4, 7, dtype=dtype)
    ahead = (u * Lattice().filtered(field, kernel, other)).sum()
    torch.testing.assert_close((back * other).sum(), ahead, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "mean"])
@pytest.mark.parametrize("name", KERNELS)
def test_the_gradient_is_the_adjoint(name, normalization):
    kernel = replace(KERNELS[name], normalization=normalization)
    check_adjoint(kernel, torch.float64, 1e-12)
    check_adjoint(kernel, torch.float32, 1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_filtering_is_linear(name):
    field = scene([KERNELS[name]], dtype=torch.float64)
    u, v = smooth(4, 2, dtype=torch.float64), smooth(4, 3, dtype=torch.float64)
    filtered = [Lattice().filtered(field, KERNELS[name], x) for x in (u, v, 2 * u - 3 * v)]
    torch.testing.assert_close(filtered[2], 2 * filtered[0] - 3 * filtered[1])


def test_smoothness_is_symmetric():
    field = scene([Smoothness()], dtype=torch.float64)
    u, v = smooth(4, 2, dtype=torch.float64), smooth(4, 3, dtype=torch.float64)
    ahead = (u * Lattice().filtered(field, Smoothness(), v)).sum()
    back = (Lattice().filtered(field, Smoothness(), u) * v).sum()
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
        expected = Exact().filtered(field, kernel, values)
        result = Lattice().filtered(field, kernel, values)
        assert (result - expected).norm() < error * expected.norm()


def test_marginals_are_near_the_exact_ones():
    field = scene([Smoothness(), Appearance(sigma_xy=15.0, sigma_rgb=30.0)])
    result, expected = Lattice().marginals(field, 10), Exact().marginals(field, 10)
    assert (result - expected).abs().sum(1).mean() / 2 < 0.02


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
    result = Lattice().marginals(field, 5)
    torch.testing.assert_close(Lattice().marginals(moved, 5), result[:, order])


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


@pytest.mark.parametrize(("dimensions", "error"), [(1, 0.03), (2, 0.03), (7, 0.05), (20, 0.15)])
def test_any_number_of_features_will_do(dimensions, error):
    kernel = FeatureMap(values=smooth(dimensions, 4)[0], sigma=2.0, normalization="after")
    field = scene([kernel])
    values = field.logits.softmax(1)
    expected = Exact().filtered(field, kernel, values)
    result = Lattice().filtered(field, kernel, values)
    assert (result - expected).norm() < error * expected.norm()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1), (17, 16)])
@pytest.mark.parametrize("labels", [1, 3])
def test_any_size_and_count_of_labels_will_do(size, labels):
    image = photo()[:, : size[0], : size[1]]
    kernels = (Smoothness(weight=1.0), Appearance(weight=1.0))
    logits = torch.randn(1, labels, *size, generator=torch.Generator().manual_seed(0))
    field = Field(logits, image, kernels)
    result = Lattice().marginals(field, 2)
    torch.testing.assert_close(result.sum(1), torch.ones(1, *size))
    torch.testing.assert_close(result, Exact().marginals(field, 2), atol=0.05, rtol=0)


def test_an_isolated_pixel_without_its_self_term_hears_nothing():
    far = FeatureMap(values=torch.arange(12.0).reshape(1, 3, 4), sigma=0.02, self_term=False)
    field = Field(torch.randn(1, 2, 3, 4), None, (far,))
    assert Lattice().filtered(field, far, torch.ones(1, 1, 3, 4)).abs().max() < 1e-6


def test_huge_widths_average_the_whole_image():
    kernels = [Smoothness(sigma=1e6, normalization="after")]
    kernels.append(Appearance(sigma_xy=1e6, sigma_rgb=1e6, normalization="after"))
    for kernel in kernels:
        field = scene([kernel])
        result = Lattice().filtered(field, kernel, field.logits)
        mean = field.logits.mean((2, 3), keepdim=True).expand_as(result)
        torch.testing.assert_close(result, mean, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("kernel", "width"),
    [
        (Appearance(sigma_rgb=1e-5), "sigma_rgb = 1e-05"),
        (Appearance(sigma_xy=1e-7), "sigma_xy = 1e-07"),
        (FeatureMap(values=KERNELS["depth"].values, sigma=1e-9), "sigma = 1e-09"),
    ],
)
def test_a_width_too_small_is_named_in_one_sentence(kernel, width):
    with pytest.raises(ValueError, match=f"^{width} of .* is so small .* use a larger") as error:
        Lattice().marginals(scene([kernel]), 1)
    assert "\n" not in str(error.value)


def test_void_pixels_are_heard_by_none():
    void = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    void[0, 10:20, 10:30] = True
    field = scene(DEFAULT, void=void)
    other = field.logits.clone()
    for kernel in DEFAULT:
        values = other.softmax(1)
        quiet = values.masked_fill(void.unsqueeze(1), 0.0)
        result = Lattice().filtered(field, kernel, values)
        torch.testing.assert_close(result, Lattice().filtered(field, kernel, quiet))


@pytest.mark.parametrize(
    "kernel",
    [
        Smoothness(sigma=torch.tensor(3.0, requires_grad=True)),
        Appearance(sigma_rgb=torch.tensor(13.0, requires_grad=True)),
        FeatureMap(values=KERNELS["depth"].values.clone().requires_grad_()),
    ],
)
def test_a_gradient_to_a_width_is_refused_and_exact_named(kernel):
    with pytest.raises(ValueError, match=r'gives no gradient to .* use engine="exact"'):
        Lattice().marginals(scene([kernel]), 1)
    with torch.no_grad():
        Lattice().marginals(scene([kernel]), 1)


def test_autocast_changes_nothing_either_way():
    compatibility = (torch.eye(4) - 0.3).requires_grad_()
    kernels = [Smoothness(compatibility=compatibility), Appearance()]

    def found():
        marginals = Lattice().marginals(scene(kernels), 3)
        return marginals, *torch.autograd.grad(marginals.square().sum(), compatibility)

    expected = found()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = found()
    for a, b in zip(cast, expected, strict=True):
        assert torch.equal(a, b)


def test_autograd_keeps_one_table_of_marginals_an_iteration():
    field = scene(DEFAULT, labels=16)
    weight = torch.tensor(3.0, requires_grad=True)
    field = Field(
        field.logits.requires_grad_(),
        field.image,
        (Smoothness(weight=weight), Appearance(weight=weight)),
    )

    def kept(iterations):
        storages = {}

        def keep(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            Lattice().marginals(field, iterations)
        return sum(one.untyped_storage().nbytes() for one in storages.values())

    rows = field.logits.numel() * 4
    assert kept(6) - kept(2) <= 4 * rows + 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same_answer():
    field = scene(DEFAULT, batch=2)
    device = Field(field.logits.cuda(), field.image.cuda(), field.kernels)
    result = Lattice().marginals(device, 5).cpu()
    torch.testing.assert_close(result, Lattice().marginals(field, 5), atol=1e-4, rtol=1e-3)
