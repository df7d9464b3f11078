"""The frozen presets can be learned from images: six minutes of a supervised segmenter each.

What they draw is held to the pixel by ``test_a_version_of_a_preset_is_frozen`` in
tests/scene/datasets/test_synthetic.py, and that a table of colours does not solve them beside it;
so only who raises a preset's version has to run this: ``pytest tests/benchmarks/test_presets.py``.
"""

import pytest
import torch

from inference.build import assemble
from inference.prediction.evaluate import evaluate
from inference.runs.run import create
from inference.settings.recipes import recipe
from inference.training.fit import fit
from scene.datasets.synthetic.dataset import SyntheticScenes


@pytest.mark.parametrize(("preset", "bar"), [("default", 70), ("confounded", 55)])
def test_the_supervised_segmenter_learns_a_preset(preset, bar, tmp_path, say):
    """700 steps have reached 80 or more, and 69.35; a table of colours has 21.7 and 12.0."""
    train, test = SyntheticScenes("train", preset), SyntheticScenes("test", preset, count=200)
    settings = recipe("segmenter").settings(data=train.source, steps=700)
    assembly = assemble(settings, train.schema)
    run = create(settings, train.schema, train.name, tmp_path / "run")
    fit(assembly, train, None, run, device="cpu")
    (cell,) = evaluate(assembly, test, directions=((("image",), "mask"),))
    say(f"mIoU {cell.score.miou:.1f} with {torch.get_num_threads()} threads")
    assert cell.score.miou >= bar
