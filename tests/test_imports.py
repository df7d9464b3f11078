"""What each entry loads: inference needs neither a trainer nor a plotting library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inference.build import assemble
from inference.runs.checkpoints import save_weights
from inference.runs.run import WEIGHTS, create
from inference.settings.recipes import recipe
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.images.io import write_image

ROOT = Path(__file__).parents[1]

TRAINING = {"lightning_fabric", "lightning_utilities", "tensorboard", "optuna"}
SCORING = {"torchmetrics", "sklearn"}
DRAWING = {"matplotlib"}
COMPILING = {"numba", "llvmlite", "torch._dynamo", "torch._inductor", "torchvision"}
TERMINAL = {"typer", "rich", "cli"}
TORCH = {"torch", "pyro", "numpy", "PIL"}

HEAVY = TRAINING | SCORING | DRAWING | COMPILING
HELP = {"rich.markdown", "pygments"}

PYTHON = {
    "import inference": ("import inference", HEAVY | TERMINAL | TORCH),
    "load": ("model = inference.load(RUN, device='cpu')", HEAVY | TERMINAL),
    "sample": ("model.sample(2, mask='test:0')", HEAVY | TERMINAL),
    "predict": ("model.predict(image='test:0')", HEAVY | TERMINAL),
    "segment": ("model.segment('p.png')", HEAVY | TERMINAL),
    "evaluate": ("model.evaluate('test')", HEAVY | TERMINAL),
    "log_likelihood": (
        "model.log_likelihood(model.dataset('test'), particles=2)", HEAVY | TERMINAL
    ),
}  # fmt: skip
"""For each entry its code, and the modules that nothing so far may have loaded."""

WORDS = {
    "import cli.app": ("from cli.app import main", HEAVY | TORCH | HELP),
    "scene --help": ("scene('--help')", HEAVY | TORCH | HELP),
    "scene evaluate": ("scene('evaluate', RUN, '--device', 'cpu')", HEAVY),
    "scene segment": (
        "scene('segment', 'p.png', '--run', RUN, '--mask-only', '--device', 'cpu')", HEAVY
    ),
    "scene sample": (  # which draws a picture
        "scene('sample', RUN, '-n', '1', '--out', 'a.png', '--device', 'cpu')", HEAVY - DRAWING
    ),
}  # fmt: skip
"""The same of commands, in one process."""

START = """
import sys

def scene(*words):
    sys.argv = ["scene", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, words

def loads_none_of(modules, entry):
    loaded = sorted(modules & sys.modules.keys())
    assert not loaded, f"{entry} loads {', '.join(loaded)}"
    if "few" not in globals() and "torch" in sys.modules:
        from scene.datasets.synthetic.dataset import COUNTS
        COUNTS["test"] = globals()["few"] = 4

"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Make a run that nobody trained: its weights are the first ones."""
    small = {"size": (16, 16), "latent": 4, "width": 4, "guide_width": 4}
    settings, folder = recipe("telbo").settings(**small), tmp_path_factory.mktemp("runs")
    scenes = SyntheticScenes("test", size=(16, 16))
    trained_run = create(settings, scenes.schema, scenes.name, folder / "telbo")
    save_weights(trained_run.path(WEIGHTS), assemble(settings, scenes.schema), "telbo")
    return str(trained_run.folder)


@pytest.mark.parametrize("entries", [PYTHON, WORDS], ids=["python", "words"])
def test_an_entry_loads_only_what_it_uses(entries, run, tmp_path):
    write_image(tmp_path / "p.png", torch.rand(3, 20, 30))
    code = START + f"RUN = {run!r}\n"
    for entry, (line, forbidden) in entries.items():
        code += f"{line}\nloads_none_of({forbidden!r}, {entry!r})\n"
    process = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 0, process.stderr[-500:]
