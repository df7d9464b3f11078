"""`scene masks`: from image-level labels to a dataset with masks, resumed, overridden, refused."""

import json
import signal

import pytest

from inference.experiments import pseudo_label
from inference.interruption import Interruption
from inference.runs.run import read
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.image_level.dataset import ImageLevelScenes
from scene.datasets.image_level.formats import read_image_labels
from scene.images.io import picture_size

TINY = (
    "--size", "32x32", "--classifier-steps", 2, "--sec-steps", 2, "--engine", "exact",
    "--classifier", "width=4,batch-size=4", "--sec", "width=4,batch-size=4", "--confidence", 0.1,
    "--device", "cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Draw no pictures of scenes in runs: they are slow."""
    for picture in ("draw_predictions", "draw_class_maps"):
        monkeypatch.setattr(f"inference.training.session.{picture}", lambda *_, **__: None)


def _files(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tags_become_masks_and_a_second_call_does_nothing(scene, class_folder, place, tmp_path):
    result = scene("masks", class_folder, *TINY, "--out", "weak")
    assert result.code == 0, result.err
    source = ImageLevelScenes(read_image_labels(class_folder), "train")
    count, runs = len(source), tmp_path / "runs" / "masks-weak"
    lines = result.out.splitlines()
    assert lines[0].startswith("classifier: 2 steps, mAP ")
    assert lines[0].endswith(f" on val  {runs}/classifier")
    assert lines[1] == "  of small all 4 stages learn"
    assert lines[2].startswith("cues: ")
    assert lines[3] == f"SEC: 2 steps  {runs}/sec"
    assert lines[4].startswith(f"masks: {count} photographs, ")
    left = f"photographs without masks: tune {len(_split(class_folder, 'tune'))}, val "
    assert left in lines[5]
    assert lines[6:] == [
        "overlays: weak/overlays", "contact sheet: weak/contact-sheet.png",
        "scene train segmenter --data weak",
    ]  # fmt: skip
    assert "install the extra weights: uv sync --extra weights" in result.err
    assert "training classifier\ntraining sec\nlabelling train" in result.err

    names = (place / "weak" / "ImageSets" / "Segmentation" / "weak.txt").read_text().split()
    assert names == [entry.name for entry in source.entries]
    labels = source.schema.labels
    written = {
        entry.name: (scenes.original(i), entry)
        for scenes in (VOCScenes(place / "weak", split) for split in ("train", "tune"))
        for i, entry in enumerate(scenes.entries)
    }
    for i, name in enumerate(names):
        original, (weak, entry) = source.original(i), written[name]
        assert entry.weak
        assert weak.image.equal(original.image)
        assert weak.classes.equal(original.classes)
        ids = set(weak.mask.unique().tolist()) - {255}
        known = set(labels.decode(original.classes))
        assert {labels.names[label] for label in ids} - {"background"} <= known
        assert (place / "weak" / "overlays" / f"{name}.jpg").is_file()
    assert picture_size(place / "weak" / "contact-sheet.png")[1] > 1600
    assert not (runs / "masks").exists()

    before = _files(tmp_path)
    again = scene("masks", class_folder, *TINY, "--out", "weak")
    assert again.code == 0, again.err
    assert again.out == result.out
    assert again.err.startswith("weak is complete: nothing was done.")
    assert _files(tmp_path) == before
    told = json.loads(scene("masks", class_folder, *TINY, "--out", "weak", "--json").out)
    assert (told["kept"], told["scenes"], told["folder"]) == (True, {"train": count}, "weak")
    assert told["classifier"]["state"] == told["sec"]["state"] == "kept"
    assert sum(told["sec"]["cues"].values()) <= 1

    other = scene("masks", class_folder, *TINY, "--out", "weak", "--sec", "foreground=0.5")
    assert other.last == (
        "scene: weak was made with sec foreground 0.9, not 0.5; choose another --out, or --force "
        "to begin again."
    )
    words = ("--size", "32x32", "--steps", 1, "--width", 2, "--device", "cpu")
    assert scene("train", "segmenter", "--data", "weak", *words).code == 0


def _split(folder, split):
    return read_image_labels(folder).by_split[split]


def test_settings_of_every_stage_can_be_overridden(scene, class_folder, tmp_path):
    words = (
        "--count", 6, "--classifier", "tuned-stages=1", "--sec", "steps=3,scales=1,1.5,flip=yes",
        "--sec", "lr=0.01", "--crf", "appearance-sigma-xy=9,iterations=2", "--no-overlays",
        "--seed", 3, "--json",
    )  # fmt: skip
    result = scene("masks", class_folder, *TINY, *words, "--out", "weak", "--runs", "here")
    told = json.loads(result.out)
    assert (told["overlays"], told["scenes"], told["stage"]) == (None, {"train": 6}, "sec+crf")
    assert (told["classifier"]["stages"], told["classifier"]["learning"]) == (4, 1)
    assert told["classifier"]["state"] == told["sec"]["state"] == "trained"
    classifier, sec = (read(tmp_path / "work" / "here" / name) for name in ("classifier", "sec"))
    assert (classifier.settings.training.steps, classifier.settings.training.seed) == (2, 3)
    assert (sec.settings.training.steps, sec.settings.optimizer.learning_rate) == (3, 0.01)
    assert (sec.settings.cues.scales, sec.settings.cues.flip) == ((1.0, 1.5), True)
    assert classifier.settings.data.count == sec.settings.data.count == 6
    about = json.loads((tmp_path / "work" / "weak" / "about.json").read_text())
    assert (about["crf"]["appearance_sigma_xy"], about["crf"]["iterations"]) == (9.0, 2)
    forced = scene("masks", class_folder, *TINY, "--out", "weak", "--runs", "here", "--force")
    assert forced.code == 0, forced.err
    assert "kept" not in forced.err
    assert (tmp_path / "work" / "weak" / "overlays").is_dir()


def test_masks_of_an_interrupted_call_are_not_made_again(scene, class_folder, monkeypatch, place):
    made, once = [], pseudo_label.weak_mask

    def counted(*arguments):
        if len(made) == 5:
            raise Interruption(signal.SIGINT)
        made.append(once(*arguments))
        return made[-1]

    words = ("masks", class_folder, *TINY, "--out", "weak", "--no-overlays")
    monkeypatch.setattr(pseudo_label, "weak_mask", counted)
    result = scene(*words)
    assert result.code == 130
    assert result.last == (
        "scene: interrupted. What is done is kept; the same command goes on from there."
    )
    assert not (place / "weak").exists()
    monkeypatch.setattr(pseudo_label, "weak_mask", lambda *a: made.append(0) or once(*a))
    result = scene(*words)
    assert result.code == 0, result.err
    assert result.err.splitlines()[:3] == [
        "classifier is complete already, and is kept", "SEC is complete already, and is kept",
        "masks of an interrupted call are kept; the others follow",
    ]  # fmt: skip
    assert len(made) == len(_split(class_folder, "train"))


def test_what_cannot_be_done_is_refused_and_nothing_is_written(refused, class_folder, place):
    (place / "thesis").mkdir()
    (place / "thesis" / "chapter.tex").write_text("dear")
    (place / "other").mkdir()
    (place / "other" / "about.json").write_text("{}")
    for words, sentence in (
        (("--out", "thesis"), "thesis holds chapter.tex, which is no part of a dataset; choose"),
        (("--out", "other"), "other holds a dataset that scene masks did not write; choose"),
        (("--out", class_folder / "weak"), "lie in each other; choose another --out."),
        (("--runs", "thesis"), "thesis holds chapter.tex, which is no part of the runs of"),
        (("--confidence", 2), "--confidence is a probability, 0 to 1, not 2.0."),
        (("--count", 0), "--count must be 1 or more, not 0."),
        (("--classifier-steps", 0), "--steps must be 1 or more, not 0."),
        (("--classifier", "stepz=3"), "Did you mean 'steps'?"),
        (("--classifier", "steps"), "--classifier takes NAME=VALUE, as steps=300"),
        (("--classifier", "net=small"), "The recipe classifier does not use --net; leave it out."),
        (("--sec", "data=x"), "--sec cannot set data, which all stages share."),
        (("--sec", "flip=maybe"), "--sec flip is yes or no, not 'maybe'."),
        (("--crf", "iterations=many"), "--crf iterations is a whole number, not 'many'."),
        (("--crf", "reach=3"), "No parameter of the CRF is called 'reach'."),
        (("--engine", "fast"), "No engine is called 'fast'."),
        (("--backbone", "small", "--weights", "imagenet"), "always trained from scratch"),
    ):
        assert sentence in refused("masks", class_folder, *TINY, *words)


def test_photographs_that_teach_nothing_are_refused(refused, class_folder, place):
    (class_folder / "labels.csv").write_text("".join(f"cat/{i:02d}.jpg,cat\n" for i in range(10)))
    sentence = refused("masks", class_folder, *TINY)
    assert sentence.startswith(f"Every training photograph of {class_folder} shows cat, so a ")
    assert "There is no data at 'nowhere'." in refused("masks", "nowhere", *TINY)
    (place / "bare").mkdir()
    (place / "bare" / "a.txt").write_text("")
    assert "has no folder JPEGImages" in refused("masks", "bare", *TINY)


def test_runs_of_other_photographs_are_refused(scene, class_folder, place, tmp_path):
    words = ("masks", class_folder, *TINY, "--count", 6, "--out", "weak", "--no-overlays")
    assert scene(*words).code == 0
    elsewhere = scene(*words, "--runs", tmp_path / "runs" / "masks-weak", "--out", "two")
    assert f"holds the runs of the dataset {place / 'weak'}; choose" in elsewhere.last
    (class_folder / "cat" / "00.jpg").rename(class_folder / "dog" / "new.jpg")
    (class_folder / "cat" / "02.jpg").rename(class_folder / "dog" / "next.jpg")
    for path in (class_folder / "bird").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    assert "weak was made with other photographs; choose" in scene(*words).last
