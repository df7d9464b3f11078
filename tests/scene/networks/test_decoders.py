import pytest
import torch

from scene.networks.decoders import ClassDecoder, ClassesOfMask, Decoder

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
def test_the_log_odds_of_a_class_are_its_largest_margin(leading):
    logits = torch.randn(*leading, 4, 6, 5)
    found = ClassesOfMask((1, 3))(logits)
    for place, label in enumerate((1, 3)):
        others = logits[..., [i for i in range(4) if i != label], :, :].amax(-3)
        margin = (logits[..., label, :, :] - others).amax((-2, -1))
        torch.testing.assert_close(found[..., place], margin)


def test_a_class_is_probable_exactly_if_it_is_a_pixel_s_most_probable_label():
    logits = torch.randn(200, 5, 2, 2)
    found = ClassesOfMask((1, 2, 3, 4))(logits)
    shown = (logits.argmax(1)[:, None] == torch.arange(1, 5)[:, None, None]).any(-1).any(-1)
    assert torch.equal(found > 0, shown)
    assert 0 < shown.float().mean() < 1


def test_a_class_pulls_at_its_best_pixel_alone():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 4).requires_grad_()
    ClassesOfMask((1, 2))(logits)[0].backward()
    at = (logits[1] - logits[[0, 2]].amax(0)).detach().flatten().argmax()
    assert logits.grad.flatten(1).abs().sum(0).nonzero().flatten().tolist() == [int(at)]
    assert logits.grad.sum((1, 2))[1] > 0


@pytest.mark.parametrize("leading", LEADING)
def test_a_head_judges_classes_under_any_leading_dims(leading):
    assert ClassDecoder(4, 8, 3)(torch.randn(*leading, 4)).shape == (*leading, 3)
