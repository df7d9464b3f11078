import json

import pytest

from inference.build import assemble
from inference.experiments.compare import Row, Training, flops, train_and_score
from scene.datasets.synthetic.dataset import SyntheticScenes

TINY = {"size": (16, 16), "count": 16, "width": 2, "steps": 2, "batch_size": 4}
SMALL = {"latent": 4, "guide_width": 2}
DIRECTIONS = ((("image",), "mask"), (("mask",), "mask"))


def compared(tmp_path, rows, split="test", **more):
    trainings = [
        Training(name, row.settings(**TINY, seed=s)) for name, row in rows.items() for s in (0, 1)
    ]
    calls = []
    result = train_and_score(
        trainings,
        tmp_path,
        split=split,
        directions=DIRECTIONS,
        device="cpu",
        watch=calls.append,
        **more,
    )
    assert [(r.row, r.settings) for r in result] == trainings
    assert len(calls) == len(result)
    return result


def test_a_comparison_is_the_same_in_one_process_or_two(tmp_path, voc_folder):
    rows = {"a": Row("jvae", {"encode": ("image",), "data": str(voc_folder), **SMALL})}
    alone = compared(tmp_path / "one", rows, "val")
    together = compared(tmp_path / "two", rows, "val", jobs=2)
    assert [r.cells for r in alone] == [r.cells for r in together]
    assert alone[0].miou("image → mask") > 0
    assert alone[0].miou("mask → mask") is None


@pytest.mark.usefixtures("few")
def test_what_is_trained_is_scored_again_without_training(tmp_path):
    rows = {"a": Row("segmenter")}
    (first, _) = compared(tmp_path, rows)
    weights = first.folder / "weights.safetensors"
    mtime = weights.stat().st_mtime_ns
    (first.folder / "scores-test.json").unlink()
    (again, _) = compared(tmp_path, rows)
    assert weights.stat().st_mtime_ns == mtime
    assert again.cells == first.cells


@pytest.mark.usefixtures("few")
def test_two_rows_of_the_same_settings_share_a_run(tmp_path):
    result = compared(
        tmp_path, {"a": Row("jmvae", SMALL), "b": Row("jmvae", {"alpha": 1.0, **SMALL})}
    )
    assert result[0].folder == result[2].folder
    assert result[0].folder != result[1].folder


def test_a_run_that_diverges_has_no_score_and_is_not_tried_again(tmp_path):
    wild = {"learning_rate": 1e30, "optimizer": "sgd", "schedule": "constant"}
    row = Row("jvae", {**wild, **SMALL})
    (first, _) = compared(tmp_path, {"a": row})
    assert first.cells == ()
    assert first.miou("image → mask") is None
    assert json.loads((first.folder / "scores-test.json").read_text())["result"]["cells"] == []
    assert compared(tmp_path, {"a": row})[0] == first


def test_operations_grow_with_the_batch_and_match_a_count_by_hand():
    scenes = SyntheticScenes("train", count=8, size=(16, 16))
    settings = Row("segmenter").settings(**TINY)
    four = flops(settings, scenes.schema, scenes.views(range(4)))
    assert flops(settings, scenes.schema, scenes.views(range(8))) == 2 * four
    net = assemble(settings, scenes.schema).model.net
    last = 2 * 4 * 16 * 16 * net.logits.in_channels * net.logits.out_channels
    wider = settings.changed(width=4)
    assert four > 3 * last  # forwards, to the input, to the weights
    assert 3 < flops(wider, scenes.schema, scenes.views(range(4))) / four < 4.1
