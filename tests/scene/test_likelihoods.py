import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Laplace, Normal

from scene.labels import VOID
from scene.likelihoods import ClassVector, LabelMap, Pixels

FAMILIES = {"normal": Normal, "laplace": Laplace}
BATCHES = [(), (3,), (2, 3)]


def _draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def _likelihoods(batch):
    return {
        "normal": Pixels(_draw(*batch, 3, 4, 5), 0.3),
        "laplace": Pixels(_draw(*batch, 3, 4, 5), 0.3, "laplace"),
        "mask": LabelMap(_draw(*batch, 6, 4, 5)),
        "classes": ClassVector(_draw(*batch, 7)),
    }


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("noise", FAMILIES)
@pytest.mark.parametrize("scale", [0.1, torch.tensor(1.7)])
def test_pixels_are_independent_noise_on_every_value(batch, noise, scale):
    loc, value = _draw(*batch, 3, 4, 5), torch.rand(3, 3, 4, 5) if batch else torch.rand(3, 4, 5)
    expected = FAMILIES[noise](loc, scale).log_prob(value).sum((-3, -2, -1))
    torch.testing.assert_close(Pixels(loc, scale, noise).log_prob(value), expected)


@pytest.mark.parametrize("batch", BATCHES)
def test_label_maps_are_categorical_and_void_says_nothing(batch):
    logits = _draw(*batch, 6, 4, 5)
    value = torch.randint(6, (3, 4, 5) if batch else (4, 5))
    value[..., 0, :] = VOID
    seen = value != VOID
    pixels = Categorical(logits=logits.movedim(-3, -1)).log_prob(value.where(seen, 0))
    torch.testing.assert_close(LabelMap(logits).log_prob(value), (pixels * seen).sum((-2, -1)))
    empty = LabelMap(logits).log_prob(torch.full_like(value, VOID))
    torch.testing.assert_close(empty, torch.zeros(batch))


@pytest.mark.parametrize("batch", BATCHES)
def test_class_vectors_are_bernoullis(batch):
    logits, value = _draw(*batch, 7), torch.randint(2, (3, 7) if batch else (7,)).float()
    expected = Bernoulli(logits=logits).log_prob(value).sum(-1)
    torch.testing.assert_close(ClassVector(logits).log_prob(value), expected)


@pytest.mark.parametrize("name", ["normal", "laplace", "mask", "classes"])
def test_a_likelihood_scores_whatever_it_draws(name):
    likelihood = _likelihoods((2, 3))[name]
    drawn = likelihood.sample((5,))
    assert drawn.shape == (5, 2, 3, *likelihood.event_shape)
    scores = likelihood.log_prob(drawn)
    assert scores.shape == (5, 2, 3)
    torch.testing.assert_close(scores[4], likelihood.log_prob(drawn[4]))


@pytest.mark.parametrize("name", ["normal", "laplace", "mask", "classes"])
def test_expanding_repeats_the_density(name):
    likelihood = _likelihoods((3,))[name]
    value = likelihood.sample()
    wide = likelihood.expand((4, 3))
    assert wide.batch_shape == (4, 3)
    assert wide.event_shape == likelihood.event_shape
    torch.testing.assert_close(wide.log_prob(value), likelihood.log_prob(value).expand(4, 3))


@pytest.mark.parametrize("noise", FAMILIES)
def test_drawn_images_scatter_as_they_are_scored(noise):
    torch.manual_seed(0)
    loc, scale = torch.rand(3, 2, 2), 0.2
    drawn = Pixels(loc, scale, noise).rsample((20_000,))
    known = FAMILIES[noise](loc, scale)
    torch.testing.assert_close(drawn.mean(0), known.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(drawn.std(0), known.stddev, atol=0.01, rtol=0)


def test_drawn_images_are_differentiable_in_mean_and_scale():
    loc, scale = torch.zeros(3, 2, 2, requires_grad=True), torch.ones((), requires_grad=True)
    torch.manual_seed(0)
    drawn = Pixels(loc, scale).rsample((10,))
    drawn.sum().backward()
    torch.testing.assert_close(loc.grad, torch.full_like(loc, 10.0))
    torch.testing.assert_close(scale.grad, drawn.detach().sum())


def test_drawn_masks_and_classes_are_as_frequent_as_likely():
    torch.manual_seed(0)
    mask, classes = LabelMap(_draw(4, 2, 3)), ClassVector(_draw(5))
    drawn = mask.sample((20_000,))
    result = torch.stack([(drawn == c).float().mean(0) for c in range(4)])
    torch.testing.assert_close(result, mask.probs, atol=0.02, rtol=0)
    torch.testing.assert_close(classes.sample((20_000,)).mean(0), classes.probs, atol=0.02, rtol=0)


def test_the_mean_of_pixels_is_the_likeliest_image():
    pixels = Pixels(torch.rand(2, 3, 4, 4), 0.1)
    assert (pixels.log_prob(pixels.mean) > pixels.log_prob(pixels.mean + 0.01)).all()


@pytest.mark.parametrize("noise", FAMILIES)
def test_the_best_scale_is_that_of_the_errors(noise):
    """A learnt scale settles at the root mean square, or mean absolute, error."""
    error = _draw(3, 8, 8)
    best = error.square().mean().sqrt() if noise == "normal" else error.abs().mean()
    scale = best.clone().requires_grad_()
    Pixels(torch.zeros(3, 8, 8), scale, noise).log_prob(error).backward()
    assert abs(scale.grad) < 1e-3


def test_noise_that_is_neither_normal_nor_laplace_is_refused():
    with pytest.raises(ValueError, match="normal or laplace noise, not as 'lapalce'"):
        Pixels(torch.zeros(3, 2, 2), 1.0, "lapalce")
