"""Foreign code: it travels with its run, and runs nowhere unless it is trusted there."""

import shutil

import pytest

from inference.foreign import adopt, is_foreign, located
from inference.recipes import recipe
from inference.restore import restore
from inference.runs import read
from inference.session import train

GUIDE = """
import pyro.distributions as dist
from torch import nn

from inference.guides import Guide


class Glance(Guide):
    def __init__(self, schema, views, latent=64, width=16):
        super().__init__(schema, views, latent, width)
        self.layer = nn.Linear(3, latent)

    def posterior(self, views):
        return dist.Normal(self.layer(views["image"].mean((2, 3))), 1.0).to_event(1)
"""

BOUND = """
from inference.objectives.bounds import Bound


class Least(Bound):
    def reduce(self, log_w):
        return log_w.min(0).values
"""


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def lab(tmp_path):
    """Make two files of a stranger that have the same name."""
    for folder, code in (("guides", GUIDE), ("bounds", BOUND)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lab.py").write_text(code, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(lab, tiny):
    """Train with both, then lose the originals."""
    settings = tiny(
        "jvae", encode=("image",), guide=f"{lab}/guides/lab.py:Glance", particles=2, steps=1,
        objective=f"{lab}/bounds/lab.py:Least",
    )  # fmt: skip
    made = train(settings, device="cpu", folder=lab / "run").run
    shutil.rmtree(lab / "guides")
    shutil.rmtree(lab / "bounds")
    return made


def test_a_run_works_when_the_original_is_gone(run):
    found = read(run.folder)
    assert found.settings.guide == "code/lab.py:Glance"
    assert found.settings.objective == "code/lab_2.py:Least"
    assembly = restore(found)
    assert type(assembly.guide).__name__ == "Glance"
    assert type(assembly.objective).__name__ == "Least"


def test_a_run_works_wherever_it_is_moved(run, lab):
    moved = run.folder.rename(lab / "elsewhere")
    assert type(restore(read(moved)).guide).__name__ == "Glance"


@pytest.mark.parametrize("name", ["lab.py", "lab_2.py"])
def test_a_copy_that_was_changed_runs_only_if_trusted(run, name):
    with (run.folder / "code" / name).open("a") as file:
        file.write("touched = True\n")
    with pytest.raises(PermissionError, match=rf"code of its own \(.*{name}\).*add --trust if"):
        restore(read(run.folder))
    restore(read(run.folder), trust=True)
    restore(read(run.folder))  # trust is remembered


def test_a_run_of_another_machine_runs_only_if_trusted(run, state):
    shutil.rmtree(state)
    with pytest.raises(PermissionError, match="that was not trained here; read it, and add"):
        restore(read(run.folder))
    assert not state.exists()
    restore(read(run.folder), trust=True)


def test_code_that_is_not_trusted_is_not_even_imported(run, state):
    marker = run.folder / "imported"
    copy = run.folder / "code" / "lab.py"
    copy.write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n" + GUIDE)
    with pytest.raises(PermissionError):
        restore(read(run.folder))
    assert not marker.exists()


def test_a_copy_that_is_lost_is_a_sentence(run):
    shutil.rmtree(run.folder / "code")
    with pytest.raises(LookupError, match=r"lacks code/lab\.py, the code of its guide\."):
        restore(read(run.folder))


def test_ours_is_not_foreign():
    assert not is_foreign(recipe("telbo").settings())
    assert is_foreign(recipe("telbo").settings(guide="lab/flow.py:Flow"))


def test_one_file_named_twice_is_copied_once(lab, tmp_path):
    name = f"{lab}/bounds/lab.py:Least"
    settings = recipe("telbo").settings(objective=name, retrofit_objective=name)
    adopted = adopt(settings, tmp_path / "run")
    assert adopted.objective == adopted.retrofit_objective == "code/lab.py:Least"
    assert len(list((tmp_path / "run" / "code").iterdir())) == 1
    placed = located(adopted, tmp_path / "run", trust=False)
    assert placed.objective == f"{tmp_path}/run/code/lab.py:Least"
