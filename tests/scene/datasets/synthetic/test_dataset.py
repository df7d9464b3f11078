"""Generated scenes are pure functions of their name, exact, and honest about colour."""

import itertools

import numpy as np
import pytest
import torch

from scene.datasets.base import SPLITS
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.datasets.synthetic.layout import SHAPES
from scene.datasets.synthetic.presets import PRESETS
from scene.datasets.synthetic.rendering import TEXTURES, grain, smooth_noise

presets = pytest.mark.parametrize("preset", PRESETS)
crowded = pytest.mark.parametrize("preset", ["default", "confounded"])


def everything(dataset):
    return dataset.views(range(len(dataset)))


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@presets
def test_a_scene_does_not_depend_on_how_many_there_are_or_what_was_asked_before(preset):
    few = everything(SyntheticScenes("train", preset, count=60))
    many = SyntheticScenes("train", preset)
    late = many[120]
    assert same(few, many.views(range(60)))
    assert torch.equal(late.image, SyntheticScenes("train", preset, count=121)[-1].image)


@presets
def test_a_batch_holds_the_scenes_asked_for_in_order(preset):
    dataset = SyntheticScenes("val", preset, count=70)
    views = dataset.views([65, 3, 3])
    for row, index in enumerate([65, 3, 3]):
        scene = dataset[index]
        assert torch.equal(views["image"][row], scene.image.float() / 255)
        assert torch.equal(views["mask"][row], scene.mask.long())
        assert torch.equal(views["classes"][row], scene.classes)


@presets
def test_no_scene_is_in_two_splits(preset):
    images = [
        image.numpy().tobytes()
        for split in SPLITS
        for image in everything(SyntheticScenes(split, preset, count=50))["image"]
    ]
    assert len(set(images)) == 50 * len(SPLITS)


@presets
@pytest.mark.parametrize("size", [(16, 16), (48, 80), (97, 33)])
def test_the_same_things_are_drawn_at_any_size(preset, size):
    there = everything(SyntheticScenes("tune", preset, size, count=40))
    here = everything(SyntheticScenes("tune", preset, count=40))
    assert there["image"].shape == (40, 3, *size)
    assert there["mask"].shape == (40, *size)
    assert (there["classes"] == here["classes"]).float().mean() > 0.97


@presets
def test_masks_hold_labels_only_and_the_class_vector_names_them(preset):
    dataset = SyntheticScenes("train", preset, count=400)
    views, labels = everything(dataset), dataset.schema.labels
    assert labels.names[0] == "background"
    assert len(labels.classes) >= 6
    assert views["mask"].max() < len(labels.names)
    assert torch.equal(views["classes"], labels.vector(views["mask"]))
    objects = set(views["classes"].sum(1).tolist())
    assert objects == ({1.0} if preset == "ambiguous" else {1.0, 2.0, 3.0})
    assert views["classes"].mean(0).min() > 0.08
    assert 0.1 < (views["mask"] > 0).float().mean() < 0.4


@crowded
def test_objects_hide_parts_of_each_other(preset):
    """Touching pairs are common, and what touches is drawn over what lies beneath."""
    masks = everything(SyntheticScenes("train", preset, count=200))["mask"]
    left, right = masks[..., :-1], masks[..., 1:]
    touching = ((left != right) & (left > 0) & (right > 0)).flatten(1).sum(1) > 3
    assert touching.float().mean() > 0.05


@presets
def test_colour_alone_does_not_give_the_class(preset):
    """A pixel's own RGB, looked up in a histogram of other scenes, reaches at most 25 mIoU."""
    train = SyntheticScenes("train", preset, count=1000)
    test = SyntheticScenes("test", preset, count=150)
    labels = len(train.schema.labels.names)
    (seen, truth), (arguments, answer) = (colours_and_labels(d) for d in (train, test))
    table = np.bincount(seen * labels + truth, minlength=16**3 * labels).reshape(-1, labels)
    for exponent in (0, 0.5, 1):  # from as frequent as they are to all labels alike
        guess = (table / table.sum(0) ** exponent).argmax(1)[arguments]
        hits = np.bincount(answer * labels + guess, minlength=labels**2).reshape(labels, labels)
        result = hits.diagonal()
        assert np.mean(result / (hits.sum(0) + hits.sum(1) - result)) <= 0.25


def colours_and_labels(dataset):
    """Each pixel's RGB as one of 16³ bins, and its label."""
    views = everything(dataset)
    bins = (views["image"] * 255 // 16).long()
    colour = (bins[:, 0] * 16 + bins[:, 1]) * 16 + bins[:, 2]
    return colour.flatten().numpy(), views["mask"].flatten().numpy()


@pytest.mark.parametrize(
    ("preset", "version", "classes", "areas", "means", "middles"),
    [
        (
            "default",
            1,
            [("ring",), ("triangle", "star"), ("cross",)],
            [1241, 1307, 750],
            [72.8, 79.5, 69.4],
            [[91, 34, 15], [59, 132, 181], [45, 62, 43]],
        ),
        (
            "confounded",
            1,
            [("triangle", "star"), ("square",), ("diamond",)],
            [743, 729, 316],
            [144.0, 142.3, 132.8],
            [[219, 173, 157], [146, 102, 121], [163, 123, 77]],
        ),
        (
            "ambiguous",
            1,
            [("disc",), ("house",), ("disc",)],
            [1331, 1338, 989],
            [104.0, 88.8, 96.5],
            [[205, 226, 207], [52, 178, 197], [129, 64, 170]],
        ),
    ],
)
def test_a_version_of_a_preset_is_frozen(preset, version, classes, areas, means, middles):
    """Whoever changes what is drawn raises the version, and writes the new scenes down here."""
    dataset = SyntheticScenes("test", preset, count=3)
    views = everything(dataset)
    grey = views["image"] * 255
    assert dataset.difficulty.version == version
    assert [dataset.schema.labels.decode(row) for row in views["classes"]] == classes
    assert np.allclose((views["mask"] > 0).sum((1, 2)), areas, atol=2)
    assert np.allclose(grey.mean((1, 2, 3)), means, atol=0.2)
    assert np.allclose(grey[:, :, 32, 32], middles, atol=2)


def test_shapes_stay_shapes_when_turned():
    """Turned any way, no two classes of `default` cover the same points."""
    axis = np.linspace(-1.3, 1.3, 60, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    still = {name: SHAPES[name](u, v) for name in PRESETS["default"].classes}
    for angle, (one, other) in itertools.product(
        np.linspace(0, np.pi, 12, dtype=np.float32), itertools.permutations(still, 2)
    ):
        cos, sin = np.cos(angle), np.sin(angle)
        turned = SHAPES[other](cos * u + sin * v, cos * v - sin * u)
        assert (still[one] & turned).sum() < 0.85 * (still[one] | turned).sum()


@pytest.mark.parametrize("texture", [name for name in TEXTURES if name != "plain"])
def test_a_texture_repeats_and_stays_in_range(texture):
    axis = np.linspace(-4, 4, 81, dtype=np.float32)
    pattern = TEXTURES[texture](*np.meshgrid(axis, axis))
    assert abs(pattern).max() <= 1.61
    assert pattern.std() > 0.3


@pytest.mark.parametrize("size", [(64, 64), (32, 96), (128, 128)])
def test_noise_has_unit_variance_whatever_the_size(size):
    """Within 3 % over seeds."""
    rng = np.random.default_rng(0)
    assert smooth_noise(rng, 400, 5, size).var() == pytest.approx(1, abs=0.2)
    middle = (slice(None), *(slice(side // 4, -side // 4) for side in size))
    assert grain(rng, 20, size)[middle].var() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "trian"}, "No split is called 'trian'. Did you mean 'train'?"),
        ({"preset": "defualt"}, "Did you mean 'default'? Known: ambiguous, confounded, default"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest(arguments, message):
    with pytest.raises(LookupError) as error:
        SyntheticScenes(**arguments)
    assert message in str(error.value)


@pytest.mark.parametrize("arguments", [{"count": 0}, {"size": (64, 15)}])
def test_there_must_be_something_to_see(arguments):
    with pytest.raises(ValueError, match="at least"):
        SyntheticScenes(**arguments)
