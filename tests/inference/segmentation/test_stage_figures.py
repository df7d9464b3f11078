"""Pictures of stages: each network without and with its CRF, between image and truth."""

import torch

from inference.build import Assembly
from inference.crf.parameters import Parameters
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.figures import draw_stages
from inference.segmentation.segmenter import Segmenter
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import SegmentedScene


def test_a_line_is_image_stages_and_truth(few, tmp_path, monkeypatch):
    scenes, drawn = SyntheticScenes("val", size=(16, 16)), {}
    torch.manual_seed(0)
    guide = EmptyGuide(scenes.schema, ("image",))
    assembly = Assembly(SegmentedScene(scenes.schema, width=2).eval(), guide, IWAE(1))
    crf = Parameters(appearance_sigma_xy=4)
    networks = {"U-Net": (Segmenter(assembly, scenes.schema, "mask", engine="exact"), crf)}
    monkeypatch.setattr(
        "inference.segmentation.figures.draw_grid",
        lambda path, rows, labels, **more: drawn.update(rows=rows, **more),
    )
    draw_stages(tmp_path / "masks.png", scenes, range(3), networks)
    assert drawn["columns"] == ["image", "U-Net", "+ CRF", "truth"]
    assert len(drawn["rows"]) == 3
    _, plain, refined, truth = (panel.picture for panel in drawn["rows"][1])
    alone = Segmenter(assembly, scenes.schema, "mask").segment(scenes[1].image)
    both = Segmenter(assembly, scenes.schema, "mask+crf", crf, engine="exact")
    assert plain.equal(alone.mask)
    assert refined.equal(both.segment(scenes[1].image).mask)
    assert truth.equal(scenes[1].mask)
