import json

import numpy as np
import pytest
import torch

from inference.build import Assembly
from inference.segmentation.cue_files import CueScorer, write_cues
from inference.segmentation.cues import CueSettings, find_cues
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import ClassifiedScene
from scene.images.io import read_image
from scene.labels import VOID, Labels

PETS = Labels(("background", "cat", "dog"))
HOW = CueSettings(layer="stride4", foreground=0.5, background=0.3)


def believer(schema):
    torch.manual_seed(0)
    return Assembly(ClassifiedScene(schema, width=2).eval(), None, None)


@pytest.fixture
def scenes():
    return SyntheticScenes("train", "confounded", (16, 16), 5)


def test_cues_are_scored_pixel_by_pixel():
    cues = torch.zeros(3, 2, 2, dtype=torch.bool)
    cues[0, 0, 0] = cues[1, 0, 1] = cues[1, 1, 1] = True
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [0, 2, VOID, 0]])
    scorer = CueScorer(PETS)
    scorer.add(cues, mask)
    score = scorer.score()
    assert score.precision["background"] == pytest.approx(100 * 3 / 4)
    assert score.coverage["background"] == pytest.approx(100 * 3 / 9)
    assert score.precision["cat"] == pytest.approx(100 * 4 / 7)  # a void pixel does not count
    assert score.coverage["cat"] == pytest.approx(100 * 4 / 5)
    assert (score.precision["dog"], score.coverage["dog"]) == (None, 0.0)
    assert score.precision["all"] == pytest.approx(100 * 7 / 11)


def test_perfect_cues_are_perfect():
    mask = torch.randint(3, (9, 7), generator=torch.Generator().manual_seed(0))
    scorer = CueScorer(PETS)
    for _ in range(2):
        scorer.add(mask == torch.arange(3)[:, None, None], mask)
    score = scorer.score()
    assert set(score.precision.values()) == set(score.coverage.values()) == {100.0}
    assert score.scenes == 2


def test_each_scene_has_an_archive_of_its_cues(scenes, tmp_path):
    assembly = believer(scenes.schema)
    written = write_cues(tmp_path / "cues", assembly, scenes, HOW)
    assert written.scenes == written.score.scenes == 5
    result = find_cues(assembly, scenes, range(5), settings=HOW)
    for i in range(5):
        with np.load(written.folder / f"synthetic-confounded-train-{i}.npz") as held:
            assert held["maps"].shape == (7, 4, 4)
            assert np.array_equal(held["maps"], result.maps[i].numpy())
            assert np.array_equal(held["seeds"], result.seeds[i].numpy())
            assert np.array_equal(held["present"], scenes[i].classes.numpy() > 0.5)
            assert tuple(held["labels"]) == scenes.schema.labels.names
    assert len(list(written.folder.iterdir())) == 7
    report = json.loads((written.folder / "cues.json").read_text())
    assert report["precision"] == written.score.precision
    assert report["settings"]["layer"] == "stride4"
    assert read_image(written.folder / "cues.png").shape[0] == 3


def test_beyond_training_true_labels_are_not_used(tmp_path):
    scenes = SyntheticScenes("val", "confounded", (16, 16), 4)
    assembly = believer(scenes.schema)
    assembly.model.threshold = 0.999
    written = write_cues(tmp_path / "cues", assembly, scenes, HOW)
    with np.load(written.folder / "synthetic-confounded-val-0.npz") as held:
        assert not held["present"].any()
        assert held["seeds"][0].all()  # nothing present: all of it is background


def test_scenes_without_masks_or_classes_are_written_and_not_scored(voc_folder, tmp_path):
    scenes = VOCScenes(voc_folder, "train", (16, 16))
    written = write_cues(tmp_path / "cues", believer(scenes.schema), scenes, HOW)
    masked = sum(scene.mask is not None for scene in scenes)
    assert written.score.scenes == masked < written.scenes == len(scenes)
    assert (written.folder / "photo_08.npz").is_file() or len(scenes) < 9


def test_folders_are_whole_or_not_there(scenes, tmp_path, monkeypatch):
    def unplugged(*_):
        raise OSError("the disk is full")

    folder, assembly = tmp_path / "cues", believer(scenes.schema)
    write_cues(folder, assembly, scenes, HOW, limit=2)
    before = sorted(path.name for path in folder.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr("inference.segmentation.cue_files.draw_cues", unplugged)
        with pytest.raises(OSError, match="disk is full"):
            write_cues(folder, assembly, scenes, HOW, force=True)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["cues"]


def test_only_cues_are_replaced_and_only_by_force(scenes, tmp_path):
    assembly = believer(scenes.schema)
    write_cues(tmp_path / "cues", assembly, scenes, HOW, limit=3)
    with pytest.raises(FileExistsError, match="--force to replace it"):
        write_cues(tmp_path / "cues", assembly, scenes, HOW)
    assert write_cues(tmp_path / "cues", assembly, scenes, HOW, limit=1, force=True).scenes == 1
    assert len(list((tmp_path / "cues").glob("*.npz"))) == 1
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.tex").write_text("years of work")
    with pytest.raises(ValueError, match="which is no part of a set of cues"):
        write_cues(tmp_path / "thesis", assembly, scenes, HOW, force=True)
    with pytest.raises(ValueError, match="is a file"):
        write_cues(tmp_path / "thesis" / "draft.tex", assembly, scenes, HOW, force=True)
