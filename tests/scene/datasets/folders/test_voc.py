"""VOC-layout scenes: what is given agrees with what is stored, in every view."""

import pytest
import torch
from PIL import Image

from scene.datasets.folders import scenes as folder_scenes
from scene.datasets.folders.voc import VOCScenes
from scene.images.io import read_image, read_mask, write_image, write_mask
from scene.labelmap import VOC

SIZE = (24, 32)


@pytest.fixture
def val(voc_folder):
    return VOCScenes(voc_folder, "val", SIZE)


def test_every_view_has_the_size_asked_for(voc_folder):
    scenes = VOCScenes(voc_folder, "train", SIZE)
    views = scenes.views(range(len(scenes)))
    assert views["image"].shape == (len(scenes), 3, *SIZE)
    assert views["mask"].shape == (len(scenes), *SIZE)
    assert views.present["image"].all()
    assert views.present["classes"].all()
    masked = [entry.mask is not None for entry in scenes.entries]
    assert views.present["mask"].tolist() == masked


def test_the_classes_of_a_masked_scene_are_those_left_in_its_frame(voc_folder):
    """A bird at the very edge is cropped away, whatever ImageSets/Main says of it."""
    path = voc_folder / "SegmentationClass" / "photo_13.png"
    scenes = VOCScenes(voc_folder, "val", (24, 24))
    mask = torch.zeros(40, 32, dtype=torch.uint8)
    mask[:2] = 3
    mask[20:24] = 1
    mask[30:] = 255
    write_mask(path, mask, scenes.schema.labels)
    assert scenes.schema.labels.decode(scenes.original(1).classes) == ("cat", "bird")
    assert scenes.schema.labels.decode(scenes[1].classes) == ("cat",)


def test_the_original_is_what_is_stored(val):
    entry, scene = val.entries[0], val.original(0)
    assert torch.equal(scene.image, read_image(entry.image))
    assert torch.equal(scene.mask, read_mask(entry.mask, val.schema.labels))
    assert scene.name == entry.name == "photo_12"


def test_restoring_a_scenes_own_mask_gives_the_original_back(val):
    for index in range(len(val)):
        own = torch.nn.functional.one_hot(val[index].mask.long(), 4).permute(2, 0, 1).float()
        probs, covered = val.restore(own, index)
        stored = val.original(index).mask
        assert covered.shape == stored.shape
        assert (probs.argmax(0) == stored)[covered].float().mean() > 0.95


@pytest.mark.parametrize("size", [(32, 32), (24, 32), (16, 40)])
def test_coverage_is_counted_over_the_masks_of_every_scene(voc_folder, size):
    """Upright and lying pictures lose unequal shares; those without a mask do not count."""
    scenes = VOCScenes(voc_folder, "train", size)
    blank = torch.zeros(1, *size)
    covered = [scenes.restore(blank, i)[1] for i, e in enumerate(scenes.entries) if e.mask]
    expected = sum(x.sum() for x in covered) / sum(x.numel() for x in covered)
    assert scenes.coverage() == pytest.approx(float(expected))
    assert len({round(float(x.float().mean()), 3) for x in covered}) > 1


def test_what_has_no_mask_loses_nothing(voc_folder):
    for split in ("train", "val"):
        (voc_folder / "ImageSets" / "Segmentation" / f"{split}.txt").unlink()
    assert VOCScenes(voc_folder, "val", SIZE).coverage() == 1


def test_scenes_too_small_for_the_networks_are_refused(voc_folder):
    with pytest.raises(ValueError, match="8x32 is too small"):
        VOCScenes(voc_folder, "val", (8, 32))


def test_a_turned_photograph_is_restored_turned(val):
    """A camera's rotation note changes which side is the height, here as in reading."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = val.entries[0].image
    Image.open(path).rotate(90, expand=True).save(path, exif=exif)
    assert val.restore(torch.zeros(4, *SIZE), 0)[1].shape == val.original(0).mask.shape


def test_later_epochs_read_no_files(val):
    first = [val[i] for i in range(len(val))]
    for entry in val.entries:
        entry.image.unlink()
    assert all(torch.equal(val[i].image, scene.image) for i, scene in enumerate(first))


def test_memory_is_bounded(voc_folder, monkeypatch):
    monkeypatch.setattr(folder_scenes, "CACHE_BYTES", 2 * 4 * 24 * 32 + 100)
    scenes = VOCScenes(voc_folder, "val", SIZE)
    again = [scenes[i] is scenes[i] for i in range(len(scenes))]
    assert again == [True, True, False, False]


def test_indices_are_those_of_a_list(val):
    assert val[-1].name == "photo_15"
    assert [scene.name for scene in val] == [f"photo_{i}" for i in range(12, 16)]
    with pytest.raises(IndexError):
        val[4]


def test_the_name_and_source_say_where_it_came_from(voc_folder):
    root = voc_folder.rename(voc_folder.with_name("My Pets (2)"))
    scenes = VOCScenes(root, "val", count=2)
    assert scenes.name == "my-pets-2"
    assert scenes.source == str(root)
    assert len(scenes) == 2
    with pytest.raises(ValueError, match="at least one scene, not 0"):
        VOCScenes(root, "val", count=0)


def test_pascal_voc_needs_no_label_map(voc_folder):
    (voc_folder / "labelmap.txt").unlink()
    root = voc_folder.rename(voc_folder.with_name("VOC2012"))
    assert VOCScenes(root, "val").schema.labels is VOC


def test_masks_in_colour_are_the_same_scenes(voc_folder, val):
    expected = [val[i].mask for i in range(len(val))]
    for entry in val.entries:
        picture = Image.open(entry.mask).convert("RGB")
        picture.save(entry.mask)
    again = VOCScenes(voc_folder, "val", SIZE)
    assert all(torch.equal(again[i].mask, mask) for i, mask in enumerate(expected))


def test_a_turned_mask_is_one_sentence(val):
    write_mask(val.entries[0].mask, torch.zeros(48, 32), val.schema.labels)
    message = r"photo_12\.jpg is 48×32 but its mask is 32×48; .*different rotations\?$"
    with pytest.raises(ValueError, match=message):
        val[0]


def test_a_mask_of_another_size_is_one_sentence(val):
    write_mask(val.entries[0].mask, torch.zeros(16, 24), val.schema.labels)
    with pytest.raises(ValueError, match=r"48×32 but its mask is 24×16; export both at one size"):
        val[0]


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_damaged_file_is_one_sentence(val, kind):
    path = getattr(val.entries[0], kind)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=rf"{path.name} cannot be read as a picture"):
        val[0]


def test_a_class_id_out_of_range_is_one_sentence(val):
    write_mask(val.entries[0].mask, torch.full((32, 48), 9), val.schema.labels)
    with pytest.raises(
        ValueError, match=r"photo_12\.png has the label id 9, but there are 4 labels"
    ):
        val[0]


def test_pictures_may_be_png(voc_folder):
    path = voc_folder / "JPEGImages" / "photo_12.jpg"
    image = read_image(path)
    path.unlink()
    write_image(path.with_suffix(".png"), image)
    assert torch.equal(VOCScenes(voc_folder, "val").original(0).image, image)
