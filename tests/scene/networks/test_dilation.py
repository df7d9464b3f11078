"""Dilation: the maps of a finer stride hold those of the coarser one."""

import pytest
import timm
import torch
from torch import nn

from scene.networks.classifiers import make_classifier
from scene.networks.dilation import dilate
from scene.networks.trunks import make_trunk

SIZES = [(96, 128), (97, 75)]


def maps(net, image):
    with torch.no_grad():
        return net.eval()(image)


def net(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v2", "test_resnet"])
def test_every_nth_cell_is_one_of_the_coarse_maps(name, stride, size):
    torch.manual_seed(0)
    coarse = make_trunk(name, 3)
    fine = make_trunk(name, 3)
    fine.load_state_dict(coarse.state_dict())
    dilate(fine.stages, stride)
    image, step = torch.rand(1, 3, *size), 32 // stride
    with torch.no_grad():
        few, many = coarse.eval().maps(image), fine.eval().maps(image)
    assert many.shape[-2:] == tuple(-(-extent // stride) for extent in size)
    torch.testing.assert_close(many[..., ::step, ::step], few, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True)],
        [nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, padding=1)],
        [nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 4, 2, stride=2), nn.MaxPool2d(3, 1, 1)],
        [nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 3, padding=1)],
    ],
)
def test_even_kernels_keep_size_and_place(layers):
    few, image = net(*layers), torch.rand(1, 3, 32, 48)
    coarse = maps(few, image)
    dilate(few, 2)
    assert maps(few, image).shape[-2:] == (16, 24)
    torch.testing.assert_close(maps(few, image)[..., ::2, ::2], coarse)


def test_where_timm_dilates_its_maps_are_close():
    """timm's first block of a dilated stage keeps the kernel of the stage before: other borders
    of the field of view, so values differ, not the grid."""
    torch.manual_seed(0)
    source = timm.create_model("resnet18").eval()
    theirs = timm.create_model("resnet18", output_stride=8).eval()
    theirs.load_state_dict(source.state_dict())
    ours = make_trunk("resnet18", 3)
    ours.stages.load_state_dict(_stages(source))
    dilate(ours.stages, 8)
    image = torch.rand(1, 3, 97, 64)
    mean, deviation = ours.mean, ours.deviation
    with torch.no_grad():
        one = ours.eval().maps(image)
        other = theirs.forward_features((image - mean) / deviation)
    assert one.shape == other.shape
    assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.8


def _stages(model):
    from scene.networks import trunks

    return nn.Sequential(trunks._stages(model)).state_dict()


@pytest.mark.parametrize(
    ("name", "layer", "stride", "cells"),
    [
        ("vgg16", "conv5_3", 16, (4, 6)),
        ("vgg16", "conv5_3", 8, (8, 12)),
        ("resnet50", "layer4", 16, (4, 6)),
    ],
)
def test_torchvisions_networks_have_the_stride_that_is_asked_for(name, layer, stride, cells):
    net = make_classifier(name, 3, stride=stride).eval()
    assert net.layer == layer
    with torch.no_grad():
        assert net.maps(torch.rand(1, 3, 64, 96)).shape[-2:] == cells


def test_the_names_of_weights_stay():
    plain, fine = make_trunk("mobilenet_v2", 3), make_trunk("mobilenet_v2", 3, stride=8)
    assert list(plain.state_dict()) == list(fine.state_dict())


def test_what_is_no_convolution_cannot_be_dilated():
    class Halves(nn.Module):
        def forward(self, x):
            return x[..., ::4, ::4]

    with pytest.raises(ValueError, match="coarser than 2 pixels, whatever its convolutions"):
        dilate(Halves(), 2)


def test_statistics_and_modes_stay():
    model = net(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, 2, 1))
    model[1].eval()
    dilate(model, 2)
    assert model.training
    assert not model[1].training
    assert model[1].num_batches_tracked == 0
