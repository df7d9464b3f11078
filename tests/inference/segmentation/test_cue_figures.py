import torch

from inference.build import Assembly
from inference.segmentation.cues import SceneCues
from inference.segmentation.figures import cued, draw_class_maps, draw_cues, heat_overlay
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import ClassifiedScene
from scene.labels import VOID, Labels
from scene.views import Schema


def test_heat_shows_where_the_map_is_high():
    image = torch.full((3, 8, 8), 0.5)
    result = heat_overlay(image, torch.tensor([[0.0, 1.0]]))
    assert result.shape == (3, 8, 8)
    assert result[:, :, -1].sum() > result[:, :, 0].sum()
    assert result.min() >= 0
    assert result.max() <= 1


def test_cues_become_labels_and_the_rest_is_void():
    seeds = torch.zeros(3, 1, 2, dtype=torch.bool)
    seeds[2, 0, 1] = True
    result = cued(seeds, (2, 4))
    assert result.tolist() == [[VOID, VOID, 2, 2]] * 2


def test_each_scene_stands_beside_its_maps_cues_and_mask(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "inference.segmentation.figures.draw_grid",
        lambda *args, **more: drawn.append((args, more)),
    )
    scenes = [SyntheticScenes("train", "confounded", (16, 16), 3)[i] for i in range(2)]
    present = torch.zeros(2, 7, dtype=torch.bool)
    present[0, [1, 4]] = present[1, 6] = True
    result = SceneCues(torch.rand(2, 7, 4, 4), present, torch.zeros(2, 8, 4, 4, dtype=torch.bool))
    labels = SyntheticScenes("train", "confounded", (16, 16), 3).schema.labels
    draw_cues(tmp_path / "a.png", scenes, result, labels)
    (((_, rows, _), more),) = drawn
    assert more["columns"] == ["image", "map", "map", "cues", "mask"]
    captions = [[panel.caption for panel in row] for row in rows]
    assert captions == [["", "square", "cross", "", ""], ["", "star", "", "", ""]]
    assert rows[0][4].picture.equal(scenes[0].mask)


def test_looks_need_no_background(tmp_path):
    scenes = SyntheticScenes("val", "confounded", (16, 16), 3)
    scenes.views(range(3))  # painted once, before its background gets another name
    scenes.schema = Schema(Labels(scenes.schema.labels.classes), (16, 16))
    torch.manual_seed(0)
    assembly = Assembly(ClassifiedScene(scenes.schema, width=2), None, None)
    draw_class_maps(tmp_path / "looks.png", assembly, scenes)
    assert (tmp_path / "looks.png").read_bytes().startswith(b"\x89PNG")
