"""Segmentation without training: groups that are present, their class maps, stable labels."""

from dataclasses import replace

import pytest
import torch

from inference.segmentation import imagenet
from inference.segmentation.gradcam import cams
from inference.segmentation.imagenet import CLASS_MAPS, ImageNetSegmenter, imagenet_segmenter
from scene.datasets.imagenet import groups_of, hypernym_groups
from scene.networks.trunks import make_trunk

PHOTO = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return make_trunk("test_resnet").eval().requires_grad_(False)


@pytest.fixture
def pets(net):
    return ImageNetSegmenter(net, groups_of(["cat", "dog", "tabby cat"][:2]), 0.3, crf=None)


def _logits(**values):
    logits = torch.zeros(1000)
    for index, value in values.items():
        logits[int(index[1:])] = value
    return logits


def test_a_group_is_present_where_its_classes_are(pets):
    assert pets.presence(_logits(c207=9.0)).tolist() == [False, True]
    assert pets.presence(_logits(c281=9.0, c207=11.0)).tolist() == [True, True]
    assert pets.presence(_logits(c700=9.0)).tolist() == [False, False]
    assert replace(pets, top=1).presence(_logits(c281=9.0, c207=11.0)).tolist() == [True, False]


def test_many_classes_alone_do_not_make_a_group_probable(net):
    groups = hypernym_groups()
    everything = ImageNetSegmenter(net, groups, 0.1, crf=None)
    assert not everything.presence(torch.zeros(1000)).any()
    likely = everything.presence(_logits(c339=6.0))
    assert [groups.names[g] for g in likely.nonzero().flatten()] == ["horse"]


def test_the_map_of_a_group_of_one_class_is_its_grad_cam(net):
    plain = replace(CLASS_MAPS, flip=False, affinity=0.0)
    one = ImageNetSegmenter(net, groups_of(["tabby"]), 0.0, crf=None, class_maps=plain)
    image = torch.rand(3, 64, 96)
    maps = one._maps(one._views(image[None]), net(image[None])[0], [0])
    assert torch.allclose(maps[:, 0], cams(net, image[None])[:, 281], atol=1e-5)


def test_maps_of_a_group_lie_between_those_of_its_classes(net):
    image, plain = torch.rand(3, 64, 96), replace(CLASS_MAPS, flip=False, affinity=0.0)
    logits = net(image[None])[0]
    both = ImageNetSegmenter(net, groups_of(["cat"]), 0.0, crf=None, class_maps=plain)
    share = logits[281:286].softmax(0)
    features = net.maps(image[None])
    weights = share @ net.judge[-1].weight[281:286] / features[0, 0].numel()
    expected = torch.einsum("k,bkhw->bhw", weights, features).relu()
    maps = both._maps(both._views(image[None]), logits, [0])
    assert torch.allclose(maps[:, 0], expected, atol=1e-5)


def test_what_is_known_decides_which_labels_there_are(pets):
    assert pets.segment(PHOTO, torch.tensor([0, 0])).mask.unique().tolist() == [0]
    mask = pets.segment(PHOTO, torch.tensor([0, 1]))
    assert set(mask.mask.unique().tolist()) <= {0, 2}
    assert mask.labels.names == ("background", "cat", "dog")
    assert mask.mask.shape == (50, 70)
    assert torch.allclose(mask.probs.sum(0), torch.ones(50, 70), atol=1e-4)


def test_doubtful_groups_have_less_where_nothing_is_known(pets):
    sure = replace(pets, threshold=0.0)
    doubting = replace(sure, class_maps=replace(CLASS_MAPS, certainty=1.0))
    animals = [each.segment(PHOTO).probs[1:].sum(0) for each in (doubting, sure)]
    assert (animals[0] <= animals[1] + 1e-6).all()
    assert animals[0].sum() < 0.9 * animals[1].sum()
    known = torch.tensor([1, 0])
    assert doubting.segment(PHOTO, known).probs.equal(sure.segment(PHOTO, known).probs)


def test_a_guess_says_how_probable_it_is(pets):
    sure = replace(pets, threshold=0.0)
    views = sure._views(imagenet._resized(PHOTO, imagenet.SIDE)[None])
    p = sure.probabilities(sure._logits(views))
    guessed = sure.segment(PHOTO)
    assert guessed.presence == pytest.approx({1: float(p[0]), 2: float(p[1])}, abs=1e-6)
    assert guessed.shares
    assert all(share.presence == guessed.presence.get(share.id) for share in guessed.shares)
    assert not sure.segment(PHOTO, torch.tensor([0, 1])).presence


def test_labels_stay_the_same_from_photograph_to_photograph(net):
    every = ImageNetSegmenter(net, hypernym_groups(), 0.0, top=2, crf=None)
    known = torch.zeros(len(every.groups.names))
    known[every.groups.names.index("dog")] = 1
    mask = every.segment(PHOTO, known)
    assert mask.labels == every.labels
    assert set(mask.mask.unique().tolist()) <= {0, 1 + every.groups.names.index("dog")}


def test_a_mirrored_photograph_has_mirrored_maps(pets):
    """Up to rounding, at most 0.0007 over 100 photographs of noise."""
    known = torch.tensor([1, 1])
    one, other = (pets.segment(x, known).grid for x in (PHOTO, PHOTO.flip(-1)))
    assert torch.allclose(one, other.flip(-1), atol=5e-3)


def test_large_photographs_are_held_at_fewer_pixels(net, monkeypatch):
    monkeypatch.setattr("inference.segmentation.segmenter.VALUES", 2 * 1000)
    every = ImageNetSegmenter(net, hypernym_groups(), 0.0, top=1)
    result = every.segment(PHOTO)
    assert result.grid.shape[0] == 2
    assert result.grid.shape[1] * result.grid.shape[2] <= 1000
    assert result.probs.shape == (112, 50, 70)


def test_photographs_of_several_shapes_are_read_together(pets):
    photos = [PHOTO, PHOTO.flip(-1), PHOTO.transpose(1, 2), PHOTO.flip(-2)]
    known = torch.tensor([1, 1])
    for finish, photo in zip(pets.prepare(photos, known), photos, strict=True):
        together, alone = finish(), pets.segment(photo, known)
        assert torch.allclose(together.grid, alone.grid, atol=1e-4)
        assert together.image is photo


def test_choices_out_of_range_are_refused(net):
    with pytest.raises(ValueError, match="--threshold is 0 or more and less than 1, not 1"):
        ImageNetSegmenter(net, hypernym_groups(), 1.0)
    with pytest.raises(ValueError, match="--top is 1 or more, not 0"):
        ImageNetSegmenter(net, hypernym_groups(), 0.1, top=0)


def test_names_and_defaults_of_a_segmenter(net, monkeypatch):
    monkeypatch.setattr(imagenet, "make_trunk", lambda *_: net)
    assert imagenet_segmenter().threshold == 0.1
    named = imagenet_segmenter(("cat", "dog"), top=1, device="cpu")
    assert (named.threshold, named.top, named.labels.names[1:]) == (0.3, 1, ("cat", "dog"))
