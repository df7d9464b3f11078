"""The frozen presets can be learned from images: a supervised segmenter holds them honest."""

import os

import pytest
import torch

from inference.assemble import assemble
from inference.evaluate import evaluate
from inference.recipes import recipe
from inference.runs import create
from inference.train import fit
from scene.datasets.synthetic import SyntheticScenes


@pytest.fixture
def every_core():
    """Use all cores, since by now the other workers are done."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("every_core")
@pytest.mark.parametrize(("preset", "bar"), [("default", 80), ("confounded", 70)])
def test_the_supervised_segmenter_learns_a_preset(preset, bar, tmp_path):
    """The one slow law: minutes of training, at about the recipe's own settings."""
    train, test = SyntheticScenes("train", preset), SyntheticScenes("test", preset, count=200)
    settings = recipe("segmenter").settings(data=train.source, steps=700)
    assembly = assemble(settings, train.schema)
    run = create(settings, train.schema, train.name, tmp_path / "run")
    fit(assembly, train, None, run, device="cpu")
    (cell,) = evaluate(assembly, test, directions=((("image",), "mask"),))
    assert cell.score.miou >= bar
