"""Every example runs; one without an entry in the table fails, so that none goes unrun."""

import importlib.util
from pathlib import Path

import pyro
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

QUICK = {
    "pyro_svi": {"steps": 2},
}
"""For each example, arguments of its ``main`` that make it take a moment."""


def _main(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(autouse=True)
def tidy(tmp_path, monkeypatch):
    """Keep runs in a folder of their own, and Pyro's parameter store as it was: empty."""
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    pyro.clear_param_store()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, capsys):
    assert path.stem in QUICK, f"Add {path.name} to QUICK, with arguments that make it quick."
    _main(path)(**QUICK[path.stem])
    assert capsys.readouterr().out


def test_the_table_names_examples_that_exist():
    assert set(QUICK) <= {path.stem for path in EXAMPLES}


def test_classic_svi_learns_only_what_is_in_the_parameter_store(capsys):
    losses = _main(next(path for path in EXAMPLES if path.stem == "pyro_svi"))(steps=20)
    assert "trains the guide: False" in capsys.readouterr().out
    assert sum(losses[-5:]) < sum(losses[:5])
