import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scene.discriminative import CoarseScene
from scene.labels import Labels
from scene.likelihoods import LabelMap
from scene.networks import segmentation
from scene.networks.classifiers import make_classifier
from scene.networks.segmentation import LargeFOV, SmallFCN, UNet
from scene.views import Schema, Views

PETS = Labels(("background", "cat", "dog"))


def scene(net="small", size=(32, 24), **more):
    torch.manual_seed(0)
    return CoarseScene(Schema(PETS, size), net, width=2, **more).eval()


@pytest.fixture
def narrow(monkeypatch):
    """Make LargeFOV a thousand times cheaper: the layout of VGG-16, with few channels."""
    blocks = tuple(tuple(c // 64 for c in block) for block in segmentation._BLOCKS)
    monkeypatch.setattr(segmentation, "_BLOCKS", blocks)

    def thin(inner, outer, kernel, dilation=1, make=segmentation._convolution):
        return make(_thin(inner), _thin(outer), kernel, dilation)

    def thin_scores(inner, labels, make=segmentation._scores):
        return make(_thin(inner), labels)

    monkeypatch.setattr(segmentation, "_convolution", thin)
    monkeypatch.setattr(segmentation, "_scores", thin_scores)


def _thin(channels):
    return channels // 64 if channels >= 64 else channels


@pytest.mark.parametrize("size", [(321, 321), (64, 64), (33, 50)])
@pytest.mark.parametrize("net", ["small", "largefov"])
def test_the_grid_is_as_large_as_the_model_says(narrow, net, size):
    model = scene(net, size)
    image = torch.rand(1, 3, *size)
    assert model.scores(image).shape == (1, 3, *model.cells)
    assert model.downsample(image).shape == (1, 3, *model.cells)


def test_largefov_labels_321_pixels_in_41_cells(narrow):
    assert scene("largefov", (321, 321)).cells == (41, 41)


@pytest.mark.parametrize("net", ["small", "largefov"])
def test_every_pixel_has_probabilities(narrow, net):
    likelihood = scene(net).decode(None, Views({"image": torch.rand(2, 3, 32, 24)}), ["mask"])
    assert isinstance(likelihood["mask"], LabelMap)
    probs = likelihood["mask"].probs
    assert probs.shape == (2, 3, 32, 24)
    torch.testing.assert_close(probs.sum(1), torch.ones(2, 32, 24))
    assert probs.min() > 0


def test_probabilities_are_interpolated_not_logits():
    model = scene()
    model.scores = lambda image: torch.zeros(1, 3, 8, 6).index_fill(1, torch.tensor(1), 50.0)
    model.scores(None)[0, :, :, :3] = 0
    result = model.decode(None, Views({"image": torch.rand(1, 3, 32, 24)}), ["mask"])
    soft = model.scores(None).softmax(1)
    expected = F.interpolate(soft, (32, 24), mode="bilinear").clamp(min=1e-5)
    torch.testing.assert_close(result["mask"].probs, expected / expected.sum(1, keepdim=True))


def test_cells_of_largefov_lie_on_every_eighth_pixel(narrow):
    """A bright pixel lights up the cell that lies on it most, in the image and in the network."""
    model = scene("largefov", (81, 65))
    image = torch.zeros(1, 3, 81, 65)
    image[..., 24, 32] = 1
    assert model.downsample(image)[0, 0].argmax() == 3 * 9 + 4
    probs = torch.zeros(1, 3, *model.cells)
    probs[0, 1, 3, 4] = 50
    model.scores = lambda image: probs
    result = model.decode(None, Views({"image": image}), ["mask"])["mask"].probs[0, 1]
    assert result.argmax() == 24 * 65 + 32


def test_cells_of_the_small_net_are_averages():
    image = torch.rand(1, 3, 32, 24)
    torch.testing.assert_close(
        scene().downsample(image)[0, :, 2, 1], image[0, :, 8:12, 4:8].mean((1, 2))
    )


def test_the_small_net_sees_what_the_classifier_saw():
    torch.manual_seed(0)
    source, image = make_classifier("small", 5, 4).eval(), torch.rand(2, 3, 40, 24)
    net, seen = SmallFCN(3, 4).eval(), []
    net.copy_weights(source)
    net.body[-1].register_forward_hook(lambda *call: seen.append(call[-1]))
    net(image)
    torch.testing.assert_close(seen[0], source.maps(image, "stride8"))


def test_a_classifier_of_another_width_is_refused():
    with pytest.raises(ValueError, match="weights are of another network"):
        SmallFCN(3, 4).copy_weights(make_classifier("small", 5, 8))


def test_largefov_takes_over_every_weight_of_vgg(narrow, monkeypatch):
    """Convolutions as they are; of fc6 and fc7 every fourth channel, and taps 0, 3 and 6."""
    vgg = Vgg()
    monkeypatch.setattr(segmentation, "pretrained", lambda name, weights: vgg)
    net = LargeFOV(3, "imagenet")
    ours, theirs = (
        [layer for layer in part if isinstance(layer, nn.Conv2d)]
        for part in (net.body, vgg.features)
    )
    assert len(ours) == 13
    for one, other in zip(ours, theirs, strict=True):
        assert one.weight.equal(other.weight)
        assert one.bias.equal(other.bias)
    fc6, fc7 = vgg.classifier[0], vgg.classifier[3]
    assert net.fc6.weight[5, :, 1, 2].equal(fc6.weight.view(64, 8, 7, 7)[20, :, 3, 6])
    assert net.fc6.bias[5] == fc6.bias[20]
    assert net.fc7.weight[5, 6] == fc7.weight[20, 24]
    assert net.fc7.bias[5] == fc7.bias[20]


class Vgg:
    """VGG-16 as torchvision lays it out, with few channels."""

    def __init__(self):
        layers, inner = [], 3
        for block in segmentation._BLOCKS:
            for outer in block:
                layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU()]
                inner = outer
            layers += [nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = {0: nn.Linear(8 * 49, 64), 3: nn.Linear(64, 64)}


def test_the_last_layer_starts_small(narrow):
    for net in (SmallFCN(200), LargeFOV(200)):
        assert net.scores.weight.std().item() == pytest.approx(0.01, rel=0.15)
        assert net.scores.bias.eq(0).all()


def test_dropout_is_for_training_only(narrow):
    for net in ("small", "largefov"):
        model, image = scene(net), torch.rand(1, 3, 32, 24)
        assert model.scores(image).equal(model.scores(image))
        model.net.dropout.train()
        assert not model.scores(image).equal(model.scores(image))


def test_what_does_not_exist_is_refused():
    with pytest.raises(LookupError, match="No network is called 'larch'"):
        scene("larch")
    with pytest.raises(ValueError, match="starts from a classifier or none, not imagenet"):
        scene("small", weights="imagenet")


def test_the_published_layout(narrow):
    """Strides, windows, dilations and channels (here a 64th of them), layer by layer."""
    net = LargeFOV(21)
    pools = [layer for layer in net.body if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d)]
    assert [(p.kernel_size, p.stride, p.padding) for p in pools] == [
        (3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1),
    ]  # fmt: skip
    assert isinstance(pools[-1], nn.AvgPool2d)
    convolutions = [layer for layer in net.body if isinstance(layer, nn.Conv2d)]
    assert [layer.dilation[0] for layer in convolutions] == [1] * 10 + [2] * 3
    channels = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [64 * layer.out_channels for layer in convolutions] == channels
    shapes = [tuple(layer.weight.shape) for layer in (net.fc6, net.fc7, net.scores)]
    assert shapes == [(16, 8, 3, 3), (16, 16, 1, 1), (21, 16, 1, 1)]
    assert net.fc6.dilation == (12, 12)
    assert net.dropout.p == 0.5


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (20, 18), (9, 40)])
def test_a_unet_labels_pictures_of_any_size(size):
    assert UNet(3, 4, 2)(torch.rand(2, 3, *size)).shape == (2, 4, *size)


def test_a_unet_judges_each_picture_on_its_own():
    net = UNet(3, 4, 2).eval()
    pictures = torch.rand(3, 3, 16, 24)
    torch.testing.assert_close(net(pictures)[1:2], net(pictures[1:2]), atol=1e-5, rtol=1e-4)


def test_a_trunk_labels_a_grid_of_its_stride():
    for stride, cells in ((16, (3, 4)), (32, (2, 2))):
        model = CoarseScene(Schema(PETS, (48, 64)), "test_resnet", stride=stride).eval()
        assert model.cells == cells
        assert model.scores(torch.rand(2, 3, 48, 64)).shape == (2, len(PETS.names), *cells)


def test_a_trunk_takes_the_stages_of_a_classifier_of_its_kind():
    torch.manual_seed(0)
    source = make_classifier("test_resnet", 3).eval()
    model = CoarseScene(
        Schema(PETS, (48, 64)), "test_resnet", weights="classifier", tuned_stages=1
    ).eval()
    model.net.copy_weights(source)
    image = torch.rand(1, 3, 48, 64)
    assert model.net.trunk.maps(image).equal(source.maps(image))
    learning = {name.split(".")[2] for name, p in model.named_parameters() if p.requires_grad}
    assert learning <= {"stages", "weight", "bias"}
    assert not any(p.requires_grad for p in model.net.trunk.stages.layer3.parameters())
    with pytest.raises(ValueError, match="of another network"):
        model.net.copy_weights(make_classifier("small", 3, 4))
