import pytest
import torch

from scene.labels import VOID, Labels
from scene.networks.decoders import Decoder
from scene.networks.encoders import (
    Encoder,
    GaussianHead,
    MaskEncoder,
    Norm,
    coarsest_grid,
    make_encoder,
)
from scene.views import VIEWS, Schema

SIZES = [(16, 16), (17, 31), (33, 64), (1, 1), (20, 18)]
LEADING = [(), (3,), (2, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("view", VIEWS)
def test_an_encoder_reads_views_of_any_size_under_any_leading_dims(size, leading, view):
    net = make_encoder(view, Schema(Labels(("background", "cat", "dog")), size), width=2)
    inputs = {
        "image": torch.rand(*leading, 3, *size),
        "mask": torch.randint(3, (*leading, *size)),
        "classes": torch.randint(2, (*leading, 2)).float(),
    }[view]
    result = net(inputs)
    assert result.shape == (*leading, net.features)
    event = inputs.shape[len(leading) :]
    torch.testing.assert_close(result, net(inputs.reshape(-1, *event)).reshape(result.shape))


def test_an_encoder_sees_a_small_picture_as_one_on_grey():
    torch.manual_seed(0)
    small, large = Encoder(3, (20, 18), 2), Encoder(3, (32, 32), 2)
    large.load_state_dict(small.state_dict())
    picture = torch.rand(2, 3, 20, 18)
    grey = torch.full((2, 3, 32, 32), 0.5)
    grey[..., :20, :18] = picture
    torch.testing.assert_close(small(picture), large(grey))


def test_an_encoder_sees_every_pixel():
    net, picture = Encoder(3, (20, 18), 4), torch.rand(1, 3, 20, 18, requires_grad=True)
    net(picture).square().sum().backward()
    assert (picture.grad.abs().sum((0, 1)) > 0).float().mean() > 0.95


def test_void_pixels_are_zero_in_every_channel():
    net = MaskEncoder(3, (16, 16), 2)
    blank = net.convolutions(torch.zeros(1, 3, 16, 16)).flatten(1)
    torch.testing.assert_close(net(torch.full((1, 16, 16), VOID)), blank)
    assert not net(torch.zeros(1, 16, 16, dtype=torch.long)).equal(blank)


def test_no_encoder_reads_what_is_no_view():
    with pytest.raises(LookupError, match="There is no encoder for the view 'sound'"):
        make_encoder("sound", Schema(Labels(("cat",)), (16, 16)), 2)


@pytest.mark.parametrize("size", [0.0, 1e3, -1e3])
def test_scales_are_positive_whatever_was_seen(size):
    torch.manual_seed(0)
    loc, scale = GaussianHead(3, 8, 5)(torch.full((2, 4, 3), size))
    assert loc.shape == scale.shape == (2, 4, 5)
    assert (scale >= 1e-4).all()
    assert scale.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
def test_the_grid_covers_the_picture_and_no_cell_is_idle(size):
    for cells, pixels in zip(coarsest_grid(size), size, strict=True):
        assert 16 * (cells - 1) < pixels <= 16 * cells


@pytest.mark.parametrize(("kind", "given"), [("image", torch.rand(2, 3, 20, 18))])
def test_networks_write_single_precision_under_autocast(kind, given):
    net = make_encoder(kind, Schema(Labels(("cat",)), (20, 18)), 2)
    decoder = Decoder(net.features, 3, (20, 18), 2)
    with torch.autocast("cpu", torch.bfloat16):
        result = net(given)
        assert result.dtype == decoder(result).dtype == torch.float32


def test_a_lone_value_is_normalised_by_what_was_seen_before():
    """One value a channel has no statistics of its own; anything more has."""
    norm = Norm(2)
    norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.running_var.fill_(4.0)
    alone = norm(torch.tensor([3.0, 3.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(alone.flatten(), torch.tensor([1.0, 2.0]), atol=1e-4, rtol=0)
    assert norm.running_mean.tolist() == [1.0, -1.0]
    together = norm(torch.randn(5, 2, 3, 3) + 7)
    torch.testing.assert_close(together.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
