import pytest
import torch

from scene.networks.decoders import ClassesOfMask, Decoder

SIZES = [(16, 16), (17, 31), (33, 64), (1, 1), (20, 18)]
LEADING = [(), (3,), (2, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("leading", LEADING)
def test_a_decoder_returns_images_of_any_size_under_any_leading_dims(size, leading):
    decoder = Decoder(4, 5, size, width=2)
    z = torch.randn(*leading, 4)
    pictures = decoder(z)
    assert pictures.shape == (*leading, 5, *size)
    flat = decoder(z.reshape(-1, 4)).reshape(pictures.shape)
    torch.testing.assert_close(pictures, flat)


@pytest.mark.parametrize("leading", LEADING)
def test_the_log_odds_of_a_class_are_those_of_its_best_pixel(leading):
    logits = torch.randn(*leading, 4, 6, 5)
    probs = logits.softmax(-3)
    found = ClassesOfMask((1, 3))(logits)
    best = probs[..., [1, 3], :, :].amax((-2, -1))
    torch.testing.assert_close(found, best.logit(), rtol=1e-4, atol=1e-4)


def test_a_class_pulls_at_its_best_pixel_alone():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 4, requires_grad=True)
    ClassesOfMask((1, 2))(logits)[0].backward()
    at = logits.detach().softmax(0)[1].flatten().argmax()
    assert logits.grad.flatten(1).abs().sum(0).nonzero().flatten().tolist() == [int(at)]
    assert logits.grad[1].sum() > 0
