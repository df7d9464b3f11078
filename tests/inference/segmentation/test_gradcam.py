from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F

from inference.segmentation.gradcam import cams, normalised, resized, weights
from scene.networks.feature_maps import Classifier

LAYERS = [
    ("small", "stride1", (21, 18)),
    ("small", "stride4", (32, 32)),
    ("small", "stride8", (50, 37)),
    ("vgg16", "conv5_1", (64, 48)),
    ("vgg16", "conv5_3", (64, 48)),
    ("headed", "low", (26, 22)),
    ("headed", "high", (26, 22)),
    ("resnet50", "layer2", (64, 48)),
    ("resnet50", "layer4", (64, 48)),
]
CLOSED = [case for case in LAYERS if case[1] in ("stride8", "conv5_3", "layer4", "high")]


def images(size, count=2):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1))


def alike(found, expected):
    """Agree to 1e-5 of the largest value."""
    assert found.shape == expected.shape
    assert float((found - expected).abs().max() / expected.max()) < 1e-5


@pytest.mark.parametrize(("name", "layer", "size"), LAYERS)
def test_one_batched_pass_is_a_pass_for_each_class(nets, literal, name, layer, size):
    net = nets(name)
    result = cams(net, images(size), layer, method="batched")
    alike(result, literal(net, images(size), layer))
    assert result.amax((-2, -1)).gt(0).any()


@pytest.mark.parametrize(("name", "layer", "size"), CLOSED)
def test_the_closed_form_is_the_backward_pass(nets, name, layer, size):
    seen = images(size)
    closed = cams(nets(name), seen, layer, method="closed")
    alike(closed, cams(nets(name), seen, layer, method="batched"))
    torch.testing.assert_close(cams(nets(name), seen, layer), closed)


@pytest.mark.parametrize(("name", "layer", "size"), LAYERS)
def test_maps_are_those_of_captum(nets, name, layer, size):
    captum = pytest.importorskip("captum.attr")
    net, seen = nets(name), images(size)
    theirs = captum.LayerGradCam(net, getattr(net.stages, layer))
    each = [theirs.attribute(seen, target=c, relu_attributions=True) for c in range(5)]
    alike(cams(net, seen, layer), torch.cat(each, 1).detach())


def test_several_layers_give_the_mean_of_their_maps(nets):
    """Each map counts alike, whatever its scale, on the grid of the finest layer."""
    net, seen = nets("small"), images((32, 32))
    result = cams(net, seen, "stride8+stride2")
    fine, coarse = (normalised(cams(net, seen, name)) for name in ("stride2", "stride8"))
    torch.testing.assert_close(result, (fine + resized(coarse, (16, 16))) / 2)
    with pytest.raises(LookupError, match="stride9"):
        cams(net, seen, "stride8+stride9")


def test_maps_of_a_batch_are_those_of_its_images(nets):
    seen = images((32, 32), count=3)
    alone = torch.cat([cams(nets(), image[None], "stride4") for image in seen])
    torch.testing.assert_close(cams(nets(), seen, "stride4"), alone, rtol=1e-4, atol=1e-6)


def test_a_map_is_what_global_pooling_makes_of_the_head(nets):
    """With global average pooling α is the head's weight over the number of cells: CAM."""
    net, seen = nets(), images((32, 32))
    maps = net.maps(seen).detach()
    alpha = weights(net, maps)
    torch.testing.assert_close(alpha, (net.judge[-1].weight / 16).expand(2, -1, -1))


def test_scales_that_no_memory_holds_are_refused(nets):
    for scales in ((), (0.0,), (1.0, 1e9), (float("nan"),)):
        with pytest.raises(ValueError, match="all above 0 and at most 8, not"):
            cams(nets(), torch.zeros(1, 3, 32, 32), scales=scales)


def test_scales_are_averaged_on_the_finest_grid(nets, literal):
    net, seen = nets(), images((32, 48))
    large = F.interpolate(seen, (64, 96), mode="bilinear", align_corners=False)
    low = literal(net, seen, "stride8")
    fine = literal(net, large, "stride8")
    low = F.interpolate(low, (8, 12), mode="bilinear", align_corners=False)
    alike(cams(net, seen, scales=(1.0, 2.0)), (low + fine) / 2)
    alike(cams(net, seen, scales=(2.0,)), fine)


def test_a_mirrored_look_is_averaged_in(nets, literal):
    net, seen = nets(), images((32, 48))
    mirrored = literal(net, seen.flip(-1), "stride8").flip(-1)
    alike(cams(net, seen, flip=True), (literal(net, seen, "stride8") + mirrored) / 2)


def test_flipped_images_have_flipped_maps_once_both_are_averaged(nets):
    seen = images((32, 32))
    result = cams(nets(), seen, "stride4", scales=(0.5, 1.0), flip=True)
    back = cams(nets(), seen.flip(-1), "stride4", scales=(0.5, 1.0), flip=True).flip(-1)
    torch.testing.assert_close(result, back, rtol=1e-4, atol=1e-6)


def test_looking_leaves_no_trace(nets):
    net = nets()
    net.train()
    net.zero_grad()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    cams(net, images((32, 32)), "stride2")
    assert net.training
    net.eval()
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())


def test_maps_can_be_had_where_gradients_are_off(nets):
    seen = images((32, 32))
    with torch.no_grad():
        result = cams(nets(), seen, "stride4")
    torch.testing.assert_close(result, cams(nets(), seen, "stride4"))
    assert not result.requires_grad


def test_a_head_that_bends_has_no_closed_form(nets):
    with pytest.raises(
        ValueError, match=r"after stride2 are not only pooling .* method='batched'"
    ):
        cams(nets(), images((32, 32)), "stride2", method="closed")


def test_a_head_with_a_relu_last_has_none_either(nets):
    net = nets()
    judge = torch.nn.Sequential(*net.judge, torch.nn.ReLU())
    bent = Classifier(OrderedDict(net.stages.named_children()), judge, net.layer).eval()
    with pytest.raises(ValueError, match="no closed form"):
        cams(bent, images((32, 32)), method="closed")


@pytest.mark.parametrize("scales", [(), (0.0, 1.0), (-1.0,)])
def test_scales_that_are_none_are_refused(nets, scales):
    with pytest.raises(ValueError, match="one scale or more, all above 0"):
        cams(nets(), images((32, 32)), scales=scales)


def test_maps_are_resized_between_centres():
    ramp = torch.tensor([[[[0.0, 1.0]]]])
    torch.testing.assert_close(resized(ramp, (1, 4)), torch.tensor([[[[0.0, 0.25, 0.75, 1.0]]]]))
    assert resized(ramp, (1, 2)) is ramp
