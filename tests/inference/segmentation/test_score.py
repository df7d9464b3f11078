from dataclasses import replace

import pytest
import torch

from inference.build import Assembly
from inference.crf.parameters import USUAL, Parameters
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.score import StageScore, common_classes, score_stage
from inference.segmentation.segmenter import Segmenter
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import SegmentedScene
from scene.metrics import MaskScore


def segmenter(schema, stage="mask"):
    torch.manual_seed(0)
    model = SegmentedScene(schema, width=2).eval()
    guide = EmptyGuide(schema, ("image",))
    return Segmenter(Assembly(model, guide, IWAE(1)), schema, stage, engine="exact")


def literal(made, dataset):
    """Count every stored pixel that is not void, one by one."""
    names = made.schema.labels.names
    counts = torch.zeros(len(names), len(names), dtype=torch.int64)
    for i in range(len(dataset)):
        scene = dataset.original(i)
        if scene.mask is not None:
            guess = made.segment(scene.image).mask
            pairs = zip(scene.mask.flatten().tolist(), guess.flatten().tolist(), strict=True)
            for true, predicted in pairs:
                if true != 255:
                    counts[true, predicted] += 1
    hit, both = counts.diag().double(), counts.sum(0) + counts.sum(1) - counts.diag()
    return {n: 100 * float(h / b) if b else None for n, h, b in zip(names, hit, both, strict=True)}


def test_the_protocol_is_one_matrix_over_all_stored_pixels(voc_folder):
    """Pictures of two shapes, of which a crop would lose a part."""
    dataset = VOCScenes(voc_folder, "val", (24, 24))
    model = segmenter(dataset.schema)
    result = score_stage(model, dataset, batch_size=3)["mask"]
    expected = literal(model, dataset)
    assert result.scenes == 4
    assert result.score.iou == pytest.approx(expected)
    known = [v for v in expected.values() if v is not None]
    assert result.score.miou == pytest.approx(sum(known) / len(known))


def test_a_stage_with_and_without_the_crf_share_one_pass_of_the_network(few):
    dataset = SyntheticScenes("test", size=(16, 16))
    model, looks = segmenter(dataset.schema), []
    model.assembly.model.net.register_forward_hook(lambda net, x, y: looks.append(len(y)))
    rows = {"mask": None, "mask+crf": USUAL, "off": Parameters(iterations=0)}
    result = score_stage(model, dataset, rows, batch_size=4)
    assert looks == [4, 2]
    assert list(result) == list(rows)
    assert result["off"] == result["mask"]
    assert result["mask+crf"] == score_stage(replace(model, stage="mask+crf"), dataset)["mask+crf"]


def test_labels_that_occur_nowhere_are_left_out_and_common_ones_of_the_second_mean():
    score = MaskScore({"background": 90.0, "cat": 60.0, "dog": None, "hair": 0.0}, 50.0, 80.0)
    result = StageScore(score, 5, ("hair",))
    assert result.absent == ("dog",)
    assert result.uncommon == 75.0
    assert StageScore(score, 5).uncommon == score.miou
    assert result.to_json()["uncommon_miou"] == 75.0


def test_a_class_is_common_by_its_share_of_training_images(voc_folder):
    """Of 12 training scenes, 10 besides those held out; the shares are theirs."""
    train = VOCScenes(voc_folder, "train", (24, 24))
    reported = torch.stack([train[i].classes for i in range(len(train))])
    names = train.schema.labels.classes
    for share in (0.2, 0.4, 0.9):
        often = [
            n for n, part in zip(names, reported.mean(0).tolist(), strict=True) if part >= share
        ]
        assert common_classes(str(voc_folder), (24, 24), share=share) == tuple(often)


def test_a_split_without_masks_is_refused(voc_folder):
    (voc_folder / "ImageSets/Segmentation/train.txt").write_text("")
    dataset = VOCScenes(voc_folder, "train", (24, 24))
    with pytest.raises(ValueError, match="No scene of pets train has a mask"):
        score_stage(segmenter(dataset.schema), dataset)
