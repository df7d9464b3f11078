import pytest
import torch
from torch import nn

from scene.networks.classifiers import CLASSIFIERS, make_classifier


@pytest.fixture(scope="module")
def made():
    """Make each classifier at most once: VGG-16 has 134 million weights to draw."""
    nets = {}

    def make(name):
        if name not in nets:
            torch.manual_seed(0)
            nets[name] = make_classifier(name, 5, width=4).eval()
        return nets[name]

    return make


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_layer_can_be_looked_at_on_the_way(made, name):
    net, images = made(name), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        logits = net(images)
        assert logits.shape == (2, 5)
        for layer in (net.layers[0], net.layers[-2], net.layer):
            maps = net.maps(images, layer)
            assert maps.min() >= 0
            torch.testing.assert_close(net.head(maps, layer), logits)


@pytest.mark.parametrize(
    ("name", "layer", "cells"),
    [
        ("small", None, (8, 8)),
        ("small", "stride4", (16, 16)),
        ("small", "stride1", (64, 64)),
        ("vgg16", None, (4, 4)),
        ("vgg16", "conv4_3", (8, 8)),
        ("resnet50", None, (2, 2)),
        ("resnet50", "layer3", (4, 4)),
    ],
)
def test_a_layer_has_the_grid_one_expects(made, name, layer, cells):
    with torch.no_grad():
        assert made(name).maps(torch.rand(1, 3, 64, 64), layer).shape[-2:] == cells


def test_several_layers_can_be_read_in_one_pass(made):
    net, images = made("small").eval(), torch.rand(2, 3, 32, 32)
    first, last = net.layers[0], net.layers[-1]
    usual, early, late = net.several(images, [None, first, last])
    assert early.equal(net.maps(images, first))
    assert late.equal(net.maps(images, last))
    assert usual.equal(net.maps(images))


def test_the_small_classifier_takes_any_size(made):
    with torch.no_grad():
        assert made("small").maps(torch.rand(1, 3, 50, 37)).shape[-2:] == (7, 5)


def test_no_relu_overwrites_what_a_layer_gave(made):
    relus = [m for n in CLASSIFIERS for m in made(n).modules() if isinstance(m, nn.ReLU)]
    assert not any(relu.inplace for relu in relus)


def test_resnet_gives_what_torchvision_gives(made):
    """Cutting them into stages changed nothing but the names."""
    from torchvision import models

    images = torch.rand(1, 3, 64, 64)
    normal = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    net = made("resnet50")
    reference = models.resnet50(num_classes=5).eval()
    pairs = zip(reference.state_dict().values(), net.state_dict().values(), strict=True)
    assert all(a.shape == b.shape for a, b in pairs)
    reference.load_state_dict(
        dict(zip(reference.state_dict(), net.state_dict().values(), strict=True))
    )
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(normal), rtol=1e-4, atol=1e-4)


def test_an_unknown_layer_is_answered_with_the_nearest(made):
    with pytest.raises(LookupError, match=r"'stride16'. Did you mean 'stride1'"):
        made("small").maps(torch.rand(1, 3, 16, 16), "stride16")


def test_an_unknown_classifier_is_refused():
    with pytest.raises(LookupError, match=r"network is called 'vgg'. Did you mean 'vgg\d\d'"):
        make_classifier("vgg", 5)


def test_the_small_classifier_takes_no_weights():
    with pytest.raises(ValueError, match="always trained from scratch"):
        make_classifier("small", 5, weights="imagenet")


def test_frozen_stages_keep_their_weights_and_statistics():
    torch.manual_seed(0)
    net = make_classifier("small", 3, width=4)
    net.freeze(1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    net.train()
    net(torch.rand(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    changed = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    assert {name.split(".")[1] for name in changed if name.startswith("stages")} == {"stride8"}
    assert any(name.startswith("judge") for name in changed)
    assert set(before) == set(make_classifier("small", 3, width=4).state_dict())
