"""Maps of ImageNet's classes are averaged with those of a classifier that began with them."""

import pytest
import torch

from inference.build import Assembly
from inference.segmentation import imagenet_maps
from inference.segmentation.cues import CueSettings, maps_of
from inference.segmentation.gradcam import cams, normalised
from inference.segmentation.imagenet_maps import groups_of_labels, odds_against, with_imagenet
from scene.discriminative import ClassifiedScene
from scene.labels import Labels
from scene.networks.trunks import make_trunk
from scene.views import Schema

LABELS = Labels(("background", "cat", "person", "dog"))


@pytest.fixture
def known(monkeypatch):
    """Have a network with ImageNet's classes, and count how often it is made."""
    imagenet_maps._made.cache_clear()
    torch.manual_seed(2)
    net, made = make_trunk("test_resnet", None, "none", 16), []
    monkeypatch.setattr(imagenet_maps, "make_trunk", lambda *how: made.append(how) or net)
    yield net, made
    imagenet_maps._made.cache_clear()


def classifier(weights="package", backbone="test_resnet"):
    torch.manual_seed(0)
    model = ClassifiedScene(Schema(LABELS, (64, 96)), backbone=backbone, tuned_stages=1, width=2)
    model.first_weights = weights
    return model.eval()


def test_labels_have_the_classes_of_their_names():
    pets = groups_of_labels(Labels(("background", "person", "Golden Retriever", "cat", "zebu")))
    assert pets == {1: (207,), 2: (281, 282, 283, 284, 285)}


def test_a_label_of_one_class_has_the_mean_of_two_grad_cams(known):
    model, images = classifier(), torch.rand(2, 3, 64, 96)
    net, made = known
    tabby = Labels(("background", "person", "tabby"))
    model.labels = tabby
    ours = cams(model.net, images)[:, :2]
    mixed = with_imagenet(ours, model, images)
    theirs = normalised(cams(net.eval(), images)[:, 281:282])
    torch.testing.assert_close(mixed[:, :1], normalised(ours[:, :1]))
    torch.testing.assert_close(mixed[:, 1:], (normalised(ours[:, 1:]) + theirs) / 2)
    with_imagenet(ours, model, images)
    assert made == [("test_resnet", None, "imagenet", 16)]


def test_a_cell_that_is_rather_scenery_has_less_of_a_map(known):
    """In each cell, the map is multiplied by p of its classes against water and mountains."""
    model, images = classifier(), torch.rand(2, 3, 64, 96)
    net, _ = known
    ours = cams(model.net, images)
    plain, against = (with_imagenet(ours, model, images, scenery=k) for k in (0.0, 0.5))
    logits = net.judge[-1](net.eval().maps(images).movedim(1, -1)).movedim(-1, 1)
    places = [970, 972, 976, 979, 980, 971, 974, 975, 977, 978]
    cats = logits[:, 281:286].logsumexp(1) - logits[:, places].logsumexp(1)
    torch.testing.assert_close(against[:, 0], plain[:, 0] * (cats / 2).sigmoid())
    torch.testing.assert_close(against[:, 1], plain[:, 1])  # people have no classes
    torch.testing.assert_close(odds_against(logits, [range(281, 286)], [places])[:, 0], cats)


def test_what_a_dataset_labels_itself_is_no_scenery(known):
    model, images = classifier(), torch.rand(1, 3, 64, 96)
    model.labels = Labels(("mountain", "cat", "water"))
    ours = cams(model.net, images)
    plain, same = (with_imagenet(ours, model, images, scenery=k) for k in (0.0, 0.5))
    assert torch.equal(plain, same)


@pytest.mark.parametrize("scenery", [0.0, 0.5])
def test_mirrored_images_have_mirrored_maps(known, scenery):
    assembly, images = Assembly(classifier(), None, None), torch.rand(1, 3, 64, 96)
    settings = CueSettings(imagenet=True, flip=True, scenery=scenery)
    one, other = (maps_of(assembly, x, settings) for x in (images, images.flip(-1)))
    torch.testing.assert_close(one, other.flip(-1))


@pytest.mark.parametrize(
    ("weights", "backbone"),
    [("none", "test_resnet"), ("mine.pt", "test_resnet"), ("none", "small")],
)
def test_a_classifier_that_began_otherwise_has_its_own_maps(known, weights, backbone):
    if backbone == "small":
        model = ClassifiedScene(Schema(LABELS, (64, 96)), width=2).eval()
    else:
        model = classifier(weights, backbone)
    images = torch.rand(1, 3, 64, 96)
    maps = cams(model.net, images)
    torch.testing.assert_close(with_imagenet(maps, model, images), normalised(maps))
    assert not known[1]


def test_weights_that_are_gone_are_a_sentence(monkeypatch):
    def gone(*how):
        raise LookupError("No installed package has ImageNet weights of test_resnet.")

    monkeypatch.setattr(imagenet_maps, "make_trunk", gone)
    with pytest.raises(LookupError, match=r"test_resnet\. Or leave .* out: --no-imagenet-maps"):
        with_imagenet(torch.rand(1, 3, 4, 6), classifier(), torch.rand(1, 3, 64, 96))
