import os

import pytest
import torch

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.photo_batches import segment_files
from inference.segmentation.photos import Done, Failed, outputs_of, photos_of
from inference.segmentation.segmentation import Segmentation, overlay_of
from inference.segmentation.segmenter import Segmenter
from scene.discriminative import SegmentedScene
from scene.images.io import read_mask, write_image
from scene.images.overlay import overlaid
from scene.labels import Labels
from scene.views import Schema

PETS = Labels(("background", "cat", "dog"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in a folder with two photographs, and one of them in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.png", "more/c.jpg"):
        write_image(tmp_path / name, torch.rand(3, 20, 30))
    return tmp_path


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    schema = Schema(PETS, (16, 16))
    model = SegmentedScene(schema, width=2).eval()
    return Segmenter(Assembly(model, EmptyGuide(schema, ("image",)), IWAE(1)), schema, "mask")


def names(found):
    photos, failed = found
    assert not failed
    return [photo.as_posix() for photo in photos]


@pytest.mark.parametrize(
    ("given", "piped", "found"),
    [
        (["b.png", "a.jpg", "b.png"], [], ["b.png", "a.jpg"]),
        (["."], [], ["a.jpg", "b.png"]),
        (["*.jpg", "more"], [], ["a.jpg", "more/c.jpg"]),
        (["**/*.jpg"], [], ["a.jpg", "more/c.jpg"]),
        (["-"], ["more/c.jpg\n", "\n", "a.*\n"], ["more/c.jpg", "a.jpg"]),
        (["gone.jpg"], [], ["gone.jpg"]),
    ],
)
def test_photographs_are_found_by_every_way_of_naming_them(folder, given, piped, found):
    assert names(photos_of(given, piped)) == found


def test_a_list_names_pictures_one_a_line(folder):
    (folder / "list.txt").write_text("b.png\n\nmore\n", encoding="utf-8-sig")
    assert names(photos_of(["list.txt"])) == ["b.png", "more/c.jpg"]


def test_what_was_written_of_a_picture_is_no_picture_of_a_folder(folder, segmenter):
    tasks = outputs_of(photos_of(["."])[0], ("mask", "overlay", "uncertainty"))
    assert all(isinstance(done, Done) for done in segment_files(segmenter, tasks))
    assert len(list(folder.glob("*.*"))) == 2 + 6
    assert names(photos_of(["."])) == names(photos_of(["*.*"])) == ["a.jpg", "b.png"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("empty", "empty holds no pictures"), ("*.gif", "Nothing matches *.gif;"),
        ("none.txt", "There is no list none.txt;"), ("blank.txt", "blank.txt names no pictures;"),
        ("round.txt", "round.txt names round.txt, a list again;"),
        ("latin.txt", "latin.txt is not UTF-8 text;"),
        ("all.zip", "all.zip is an archive; unpack it first"),
    ],
)  # fmt: skip
def test_inputs_without_a_picture_are_reported_and_stop_no_other(folder, given, reason):
    (folder / "empty").mkdir()
    (folder / "all.zip").touch()
    (folder / "blank.txt").write_text("\n \n")
    (folder / "round.txt").write_text("round.txt\n")
    (folder / "latin.txt").write_bytes(b"\xe9.jpg\n")
    photos, (failed,) = photos_of([given, "a.jpg"])
    assert [photo.name for photo in photos] == ["a.jpg"]
    assert failed.name == given
    assert failed.reason.startswith(reason)


def test_nothing_is_lost_by_what_is_written(folder):
    a, b, c = folder / "a.jpg", folder / "a.png", folder / "a_mask.png"
    assert [task.files["mask"].name for task in outputs_of([a, b], ("mask",))] == [
        "a.jpg_mask.png", "a.png_mask.png"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a\.jpg and .*c/a\.jpg would both"):
        outputs_of([a, folder / "c" / "a.jpg"], ("mask",), folder / "out")
    c.write_text("mine")
    with pytest.raises(ValueError, match=r"a_mask\.png is an input"):
        outputs_of([a, c], ("mask",), force=True)
    with pytest.raises(FileExistsError, match=r"a_mask\.png exists; .* --force"):
        outputs_of([a], ("mask",))
    assert outputs_of([a], ("mask",), force=True)[0].files == {"mask": c}
    with pytest.raises(FileExistsError, match=r"a_mask\.png exists; .* --force"):
        outputs_of([a], ("mask",), c)
    (folder / "list.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"list\.txt is a file; --out is a folder, or NAME\.png"):
        outputs_of([a], ("mask",), folder / "list.txt")


def test_a_mask_can_be_named(folder):
    (task,) = outputs_of([folder / "a.jpg"], ("mask", "overlay"), folder / "new" / "m.png")
    assert task.files == {
        "mask": folder / "new" / "m.png", "overlay": folder / "new" / "m_overlay.png"
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"m\.png would be the mask of 2 photographs; name a fo"):
        outputs_of([folder / "a.jpg", folder / "b.png"], ("mask",), folder / "m.png")


def test_a_picture_that_cannot_be_read_stops_no_other(folder, segmenter):
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    tasks = outputs_of(
        [folder / n for n in ("bad.jpg", "gone.jpg", "a.jpg")], ("mask",), folder / "out"
    )
    bad, gone, done = segment_files(segmenter, tasks)
    assert isinstance(bad, Failed)
    assert bad.reason.endswith("cannot be read as a picture, it may be damaged; export or copy it "
                               "again.")  # fmt: skip
    assert isinstance(gone, Failed)
    assert gone.reason.startswith("There is no picture")
    assert isinstance(done, Done)
    assert [path.name for path in (folder / "out").iterdir()] == ["a_mask.png"]
    assert read_mask(folder / "out" / "a_mask.png", PETS).equal(done.segmentation.mask)
    assert done.to_json()["size"] == [20, 30]


def test_overlays_are_worked_out_in_parts(monkeypatch):
    image = torch.randint(256, (3, 300, 260), dtype=torch.uint8)
    draw = torch.Generator().manual_seed(0)
    result = Segmentation(
        torch.rand(3, 300, 260, generator=draw).softmax(0), (300, 260), PETS, image
    )
    whole = overlaid(image, result.mask, PETS, 0.3)
    monkeypatch.setattr("inference.segmentation.segmentation._OVERLAY_ROWS", 7)
    assert overlay_of(result, 0.3)[:, :300].equal(whole)


def test_a_pipe_in_a_list_stops_no_other(folder, segmenter):
    os.mkfifo("pipe.jpg")
    os.mkfifo("list.txt")
    photos, failed = photos_of(["pipe.jpg", "a.jpg", "list.txt", "~nobody-of-this-name/b.jpg"])
    assert [failure.name for failure in failed] == ["list.txt", "~nobody-of-this-name/b.jpg"]
    assert "list.txt is a pipe, not a file" in failed[0].reason
    first, second = segment_files(segmenter, outputs_of(photos, ["mask"]))
    assert isinstance(first, Failed)
    assert "pipe.jpg is a pipe, not a file" in first.reason
    assert isinstance(second, Done)
