import pytest
import torch

from scene.networks.decoders import ClassDecoder, Decoder

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
def test_a_head_judges_classes_under_any_leading_dims(leading):
    assert ClassDecoder(4, 8, 3)(torch.randn(*leading, 4)).shape == (*leading, 3)
