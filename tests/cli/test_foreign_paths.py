"""Datasets whose names lead out of their folder: every command refuses, and writes nowhere."""

import shutil

import pytest

from scene.datasets.folders.voc import VOCScenes

CPU = ("--device", "cpu")
TINY = ("--size", "32x32", "--steps", 1, "--batch-size", 4, *CPU)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def runs(scene, voc_folder, place, shelf):
    """Train on the folder as it is, once for all tests, before a stranger changes its lists."""
    if not (shelf / "data").exists():
        for recipe, words in {
            "segmenter": ("--width", 2),
            "jvae": ("--width", 2, "--latent", 2, "--guide-width", 2),
            "classifier": ("--width", 2),
        }.items():
            result = scene("train", recipe, "--data", voc_folder, *TINY, *words, "--out", recipe)
            assert result.code == 0, result.err
            shutil.copytree(recipe, shelf / recipe)
        (shelf / "data").write_text(str(voc_folder))
    else:
        there = (shelf / "data").read_text()
        shutil.copytree(shelf, place, dirs_exist_ok=True)
        for path in place.glob("*/config.json"):
            path.write_text(path.read_text().replace(there, str(voc_folder)))


@pytest.fixture
def logo(voc_folder, tmp_path):
    """Put a picture outside the folder where its lists are about to lead."""
    path = tmp_path / "docs" / "logo.jpg"
    path.parent.mkdir()
    shutil.copy(voc_folder / "JPEGImages" / "photo_12.jpg", path)
    shutil.copy(voc_folder / "SegmentationClass" / "photo_12.png", path.with_suffix(".png"))
    return path


@pytest.mark.parametrize("listed", ["Segmentation/val", "Segmentation/train", "Main/train"])
def test_every_command_that_reads_them_refuses(runs, refused, voc_folder, logo, listed):
    path = voc_folder / "ImageSets" / f"{listed}.txt"
    names = ("../../docs/logo", str(logo.with_suffix("")), "..\\..\\docs\\logo", "C:\\logo")
    plain = path.read_text()
    for name in names:
        path.write_text(f"{plain}{name}\n")
        for words in (
            ("data", "info", voc_folder),
            ("train", "telbo", "--data", voc_folder, *TINY, "--out", "new"),
            ("evaluate", "segmenter", *CPU),
            ("pseudo-label", "--run", "segmenter", "--confidence", 0, *CPU),
            ("generate", "--run", "jvae", "-n", 1, *CPU),
            ("cues", "classifier", *CPU),
            ("crf", "ablate", "--run", "segmenter", *CPU),
        ):
            assert f"{path.name} names " in refused(*words)


def test_scenes_in_sub_folders_are_written_into_sub_folders(runs, scene, voc_folder, place):
    for kind, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        folder = voc_folder / kind / "seq"
        folder.mkdir()
        for path in (voc_folder / kind).glob(f"*.{suffix}"):
            path.rename(folder / path.name)
    for path in (voc_folder / "ImageSets").rglob("*.txt"):
        path.write_text(path.read_text().replace("photo", "seq/photo"))
    result = scene("pseudo-label", "--run", "segmenter", "--confidence", 0, *CPU)
    assert result.code == 0, result.err
    assert (place / "weak" / "SegmentationClass" / "seq" / "photo_00.png").is_file()
    assert VOCScenes(place / "weak", "val", (32, 32))[0].name == "seq/photo_12"
    assert scene("cues", "classifier", "--out", "cues", *CPU).code == 0
    assert len(list((place / "cues").glob("seq-photo_*.npz"))) > 1


def test_a_folder_that_is_a_link_stays_one(runs, scene, place, tmp_path):
    """--force replaces what a link leads to, of datasets and of cues."""
    for name, words in {
        "weak": ("pseudo-label", "--run", "segmenter", "--confidence", 0),
        "cues": ("cues", "classifier"),
    }.items():
        assert scene(*words, "--out", tmp_path / f"real-{name}", *CPU).code == 0
        (place / name).symlink_to(tmp_path / f"real-{name}")
        result = scene(*words, "--out", name, "--force", *CPU)
        assert result.code == 0, result.err
        assert (place / name).is_symlink()
        assert not [p for p in tmp_path.rglob(".*") if p.suffix in (".part", ".old")]


def test_pictures_that_share_a_stem_and_companions_stop_no_others(runs, scene, place, voc_folder):
    photos = place / "photos"
    photos.mkdir()
    for name in ("a.jpg", "a.jpeg", "b.JFIF", "c.webp"):
        shutil.copy(voc_folder / "JPEGImages" / "photo_00.jpg", photos / name)
    (photos / "._a.jpg").write_bytes(b"\0\5\x16\7")
    for force in ((), ("--force",)):  # the second call takes what the first wrote for no photo
        result = scene("segment", photos, "--run", "segmenter", *force, *CPU)
        assert result.code == 0, result.err
        assert len(result.out.splitlines()) == 4
    assert (photos / "a.jpeg_mask.png").is_file()
    assert (photos / "a.jpg_mask.png").is_file()
    assert (photos / "b_mask.png").is_file()


def test_heic_is_called_by_its_name(refused, runs, place):
    (place / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    result = refused("segment", "photo.heic", "--run", "segmenter", *CPU)
    assert result == (
        "photo.heic is HEIC, which Pillow does not read; convert it to JPEG, or install "
        "pillow-heif."
    )
