import pytest
import torch

from scene.datasets.augment import augmenter
from scene.datasets.base import ImageLevel, WeightedWeakMasks
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes


@pytest.fixture
def hidden():
    return ImageLevel(SyntheticScenes("train", "confounded", (16, 16), 6))


def test_no_mask_is_seen(hidden):
    assert len(hidden) == 6
    assert all(hidden[i].mask is None for i in range(6))
    assert hidden.views([0, 4]).names == ("image", "classes")


def test_images_and_classes_are_those_of_the_dataset(hidden):
    for name in ("image", "classes"):
        assert torch.equal(hidden.views([1, 3])[name], hidden.scenes.views([1, 3])[name])
        assert torch.equal(getattr(hidden[2], name), getattr(hidden.scenes[2], name))
    assert (hidden.name, hidden.source, hidden.augmentation) == (
        "synthetic-confounded", "synthetic:confounded", "none",
    )  # fmt: skip


def test_a_crop_cannot_tell_which_class_it_left_out(hidden):
    """With the mask it can: then image-level labels would be finer than they are."""
    vary = augmenter("crop", hidden.schema.labels)
    assert all(
        torch.equal(vary(hidden[i], seed).classes, hidden[i].classes)
        for i in range(6)
        for seed in range(5)
    )


@pytest.fixture
def mixed(voc_folder):
    """Open a folder whose photos 4 to 7 have weak masks, and 8 to 11 none."""
    names = "".join(f"photo_{i:02d}\n" for i in range(4, 8))
    (voc_folder / "ImageSets" / "Segmentation" / "weak.txt").write_text(names)
    return VOCScenes(voc_folder, "train", (16, 16))


def equal(one, other):
    return all(torch.equal(one[n], other[n]) for n in one) and all(
        torch.equal(one.present[n], other.present[n]) for n in one
    )


def test_weak_masks_count_less_and_all_else_is_as_it_was(mixed):
    every = range(len(mixed))
    weak = torch.tensor([entry.weak for entry in mixed.entries])
    assert 0 < weak.sum() == mixed.weak < len(weak)
    result, plain = WeightedWeakMasks(mixed, 0.25).views(every), mixed.views(every)
    assert equal(result, plain)
    assert result.likelihood_weights["mask"].equal(torch.where(weak, 0.25, 1.0))
    assert all(result.likelihood_weights[name].eq(1).all() for name in ("image", "classes"))
    assert all(weights.eq(1).all() for weights in plain.likelihood_weights.values())


def test_weak_masks_of_weight_0_are_not_there(mixed, voc_folder):
    """As if they had never been made: such scenes are those with image-level labels only."""
    names = [entry.name for entry in mixed.entries]
    result = WeightedWeakMasks(mixed, 0.0).views(range(len(mixed)))
    path = voc_folder / "ImageSets" / "Segmentation" / "train.txt"
    (path.parent / "weak.txt").unlink()
    path.write_text("".join(f"photo_{i:02d}\n" for i in range(4)))
    without = VOCScenes(voc_folder, "train", (16, 16))
    known = {entry.name: i for i, entry in enumerate(without.entries)}
    both = [name for name in names if name in known]
    rows = torch.tensor([names.index(name) for name in both])
    assert len(both) > 8
    assert equal(result.rows(rows), without.views([known[name] for name in both]))
    assert result.present["classes"].all()
    assert WeightedWeakMasks(mixed, 0.0).weak == 0


def test_classes_read_from_a_weak_mask_are_as_weak(mixed, voc_folder):
    for path in (voc_folder / "ImageSets" / "Main").glob("*_train.txt"):
        path.unlink()
    scenes = VOCScenes(voc_folder, "train", (16, 16))
    every = range(len(scenes))
    weak = torch.tensor([entry.weak for entry in scenes.entries])
    result, hidden = (
        WeightedWeakMasks(scenes, 0.5).views(every),
        WeightedWeakMasks(scenes, 0.0).views(every),
    )
    assert result.likelihood_weights["classes"].equal(torch.where(weak, 0.5, 1.0))
    assert result.present["classes"].equal(result.present["mask"])
    assert hidden.present["classes"].equal(hidden.present["mask"])
    assert hidden.present["mask"].equal(result.present["mask"] & ~weak)


def test_a_crop_of_a_weak_mask_leaves_known_classes_alone(mixed):
    vary = augmenter("crop", mixed.schema.labels)
    for i, entry in enumerate(mixed.entries):
        varied = [vary(mixed[i], seed) for seed in range(8)]
        assert not entry.weak or all(v.classes.equal(mixed[i].classes) for v in varied)
        assert entry.mask is None or not all(v.mask.equal(mixed[i].mask) for v in varied)


def test_data_without_weak_masks_cannot_be_trusted_less(hidden):
    with pytest.raises(
        ValueError, match="of synthetic-confounded has no weak masks for a weight of"
    ):
        WeightedWeakMasks(hidden.scenes, 0.3)
