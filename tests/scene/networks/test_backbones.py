import urllib.error

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from scene.conditional import ConditionalScene
from scene.networks.encoders import Encoder
from scene.networks.image_encoders import Vgg16, make_backbone
from scene.views import Schema


class Tiny(nn.Module):
    """As VGG-16 is seen from outside: 512 channels, 32 pixels a cell."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(32), nn.Conv2d(3, 512, 1))
        self.classifier = nn.Linear(512, 10)


@pytest.fixture
def vgg(monkeypatch):
    """Stand in for torchvision's network; the list says which weights were asked for."""
    requests = []

    def make(weights=None):
        requests.append(weights)
        return Tiny()

    monkeypatch.setattr(torchvision.models, "vgg16", make)
    return requests


@pytest.fixture
def square(schema):
    return Schema(schema.labels, (64, 96))


def test_the_small_backbone_is_a_stem(schema):
    net = make_backbone("small", schema, 2)
    assert isinstance(net, Encoder)
    assert net(torch.rand(2, 3, *schema.size)).shape == (2, net.features)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (300, 256)])
def test_vgg_gives_as_many_features_as_it_says(vgg, schema, size):
    net = make_backbone("vgg16", Schema(schema.labels, size), 2)
    assert net(torch.rand(2, 3, *size)).shape == (2, net.features)
    assert vgg == [None]


def test_vgg_sees_images_as_imagenet_was_seen(vgg, square):
    net = Vgg16(square.size)
    grey = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1).expand(1, 3, 64, 96)
    bias = net.convolutions[1].bias.detach().repeat_interleave(6)
    torch.testing.assert_close(net(grey).detach()[0], bias, atol=1e-5, rtol=0)


def test_channel_statistics_are_not_saved(vgg, square):
    assert {key.split(".")[0] for key in Vgg16(square.size).state_dict()} == {"convolutions"}


def test_a_state_dict_is_loaded_from_safetensors(vgg, square, tmp_path):
    donor = Tiny()
    save_file(donor.state_dict(), tmp_path / "vgg.safetensors")
    net = make_backbone("vgg16", square, 2, str(tmp_path / "vgg.safetensors"))
    assert net.convolutions[1].weight.equal(donor.features[1].weight)


def test_imagenet_weights_are_asked_of_torchvision(vgg, square):
    make_backbone("vgg16", square, 2, "imagenet")
    assert vgg == [torchvision.models.VGG16_Weights.IMAGENET1K_V1]


def test_a_conditional_scene_can_read_with_vgg(vgg, square):
    model = ConditionalScene(square, latent=4, width=2, backbone="vgg16", hidden=8)
    views = {"image": torch.rand(2, 3, 64, 96)}
    assert model.decode(torch.randn(2, 4), views, ("mask",))["mask"].batch_shape == (2,)


def test_without_a_network_imagenet_weights_are_refused_with_what_would_do(monkeypatch, square):
    for error in (urllib.error.URLError("no route"), RuntimeError("no route: invalid hash")):

        def unreachable(weights=None, error=error):
            raise error

        monkeypatch.setattr(torchvision.models, "vgg16", unreachable)
        with pytest.raises(LookupError, match=r"not be downloaded .*no route.* --weights none"):
            make_backbone("vgg16", square, 2, "imagenet")


def test_weights_that_are_not_there_are_refused(vgg, square, tmp_path):
    with pytest.raises(LookupError, match=r"There are no weights at .*gone"):
        make_backbone("vgg16", square, 2, str(tmp_path / "gone"))


@pytest.mark.parametrize("wrong", ["another network", "no safetensors"])
def test_weights_of_something_else_are_refused(vgg, square, tmp_path, wrong):
    path = tmp_path / "wrong.safetensors"
    if wrong == "another network":
        save_file({"weight": torch.zeros(3)}, path)
    else:
        path.write_bytes(b"not tensors at all")
    with pytest.raises(ValueError, match=r"does not hold the weights of vgg16: .*[a-z]") as caught:
        make_backbone("vgg16", square, 2, str(path))
    assert "Error(s) in loading" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_small_backbone_takes_no_weights(schema):
    with pytest.raises(ValueError, match="always trained from scratch"):
        make_backbone("small", schema, 2, "imagenet")


def test_images_too_small_for_vgg_are_refused(schema):
    with pytest.raises(ValueError, match="images of 32×32 or more, not 20×18"):
        make_backbone("vgg16", schema, 2)


def test_an_unknown_backbone_is_refused(schema):
    with pytest.raises(LookupError, match=r"No network is called 'resnet'. Did you mean 'resnet"):
        make_backbone("resnet", schema, 2)
