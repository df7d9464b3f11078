"""The frozen presets can be learned from images: a supervised segmenter holds them honest."""

import pytest

from inference.assemble import assemble
from inference.evaluate import evaluate
from inference.recipes import recipe
from inference.runs import create
from inference.train import fit
from scene.datasets.synthetic import SyntheticScenes


@pytest.mark.parametrize(("preset", "bar"), [("default", 80), ("confounded", 70)])
def test_the_supervised_segmenter_learns_a_preset(preset, bar, tmp_path):
    """The one slow law: minutes of training, at the recipe's own settings but fewer steps."""
    train, test = SyntheticScenes("train", preset), SyntheticScenes("test", preset, count=200)
    settings = recipe("segmenter").settings(data=train.source, steps=600)
    assembly = assemble(settings, train.schema)
    run = create(settings, train.schema, train.name, tmp_path / "run")
    fit(assembly, train, None, run, device="cpu")
    (cell,) = evaluate(assembly, test, directions=((("image",), "mask"),))
    assert cell.score.miou >= bar
