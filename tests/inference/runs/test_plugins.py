"""Foreign code: it travels with its run, and runs nowhere unless it is trusted there."""

import json
import shutil
import sys

import pytest

from inference import load
from inference.runs.checkpoints import restore
from inference.runs.plugins import adopt, is_foreign, located
from inference.runs.run import read
from inference.settings.recipes import recipe
from inference.settings.settings import OPTIONS
from inference.training.session import train
from scene.datasets.catalogue import open_data, splits_of

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


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def run(lab, tiny, state, shelf):
    """Train with both, once for all tests, then lose the originals."""
    if not (shelf / "run").exists():
        settings = tiny(
            "jvae", encode=("image",), guide=f"{lab}/guides/lab.py:Glance", particles=2, steps=1,
            objective=f"{lab}/bounds/lab.py:Least",
        )  # fmt: skip
        train(settings, device="cpu", folder=shelf / "run")
        shutil.copytree(state, shelf / "state")
    shutil.rmtree(lab / "guides")
    shutil.rmtree(lab / "bounds")
    shutil.copytree(shelf / "state", state, dirs_exist_ok=True)
    return read(shutil.copytree(shelf / "run", lab / "run"))


def test_a_run_works_when_the_original_is_gone(run):
    result = read(run.folder)
    code = run.folder.absolute() / "code"
    assert result.settings.guide.name == f"{code}/lab.py:Glance"
    assert result.settings.objective.bound == f"{code}/lab_2.py:Least"
    config = json.loads(run.path("config.json").read_text())  # which may move with its folder
    assert config["settings"]["guide"]["name"] == "code/lab.py:Glance"
    assembly = restore(result)
    assert type(assembly.guide).__name__ == "Glance"
    assert type(assembly.objective).__name__ == "Least"


def test_a_run_works_wherever_it_is_moved(run, lab):
    moved = run.folder.rename(lab / "elsewhere")
    assert type(restore(read(moved)).guide).__name__ == "Glance"


@pytest.mark.parametrize("name", ["lab.py", "lab_2.py"])
def test_a_copy_that_was_changed_runs_only_if_trusted(run, name):
    with (run.folder / "code" / name).open("a") as file:
        file.write("touched = True\n")
    with pytest.raises(PermissionError, match=rf"code \(.*{name}\).*add --trust to"):
        restore(read(run.folder))
    restore(read(run.folder), trust=True)
    restore(read(run.folder))  # trust is remembered


def test_a_run_of_another_machine_runs_only_if_trusted(run, state):
    shutil.rmtree(state)
    with pytest.raises(PermissionError, match="not trained on this machine; read it, then add"):
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
    with pytest.raises(LookupError, match=r"lacks code/lab\.py, the code of its guide; get"):
        restore(read(run.folder))


def test_ours_is_not_foreign():
    assert not is_foreign(recipe("telbo").settings())
    assert is_foreign(recipe("telbo").settings(guide="lab/flow.py:Flow"))


def test_one_file_named_twice_is_copied_once(lab, tmp_path):
    name = f"{lab}/bounds/lab.py:Least"
    settings = recipe("telbo").settings(objective=name, retrofit_objective=name)
    adopted = adopt(settings, tmp_path / "run")
    code = (tmp_path / "run" / "code").absolute()
    assert adopted.value("objective") == f"{code}/lab.py:Least"
    assert adopted.value("retrofit_objective") == adopted.value("objective")
    assert len(list((tmp_path / "run" / "code").iterdir())) == 1
    placed = located(adopted, tmp_path / "run", trust=False)
    assert placed.value("objective") == f"{tmp_path}/run/code/lab.py:Least"


def _named(run, **names):
    config = json.loads(run.path("config.json").read_text())
    for name, value in names.items():
        option = OPTIONS[name]
        config["settings"][option.group][option.attribute] = value
    run.path("config.json").write_text(json.dumps(config))
    return read(run.folder)


@pytest.fixture
def planted(run, monkeypatch):
    """Plant code in a run whose folder can be found as a package, as a clone's can."""
    marker = run.folder / "imported"
    (run.folder / "code" / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\n" + GUIDE
    )
    monkeypatch.syspath_prepend(str(run.folder.parent))
    return marker


@pytest.mark.parametrize(
    "name",
    [
        "run.code.evil:Glance",
        "this:s",
        "code/evil.py:Glance",
        "os:system",
        "inference.guides:Guide",
    ],
)
@pytest.mark.parametrize("field", ["guide", "prior", "objective", "retrofit_objective"])
def test_no_spelling_runs_code_that_is_not_trusted(run, planted, field, name):
    changed = _named(run, **{field: name})
    with pytest.raises(PermissionError, match=r"not trained on this machine; read it, then add"):
        restore(changed)
    assert not planted.exists()
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "name", ["{lab}/evil.py:Glance", "code/../../evil.py:Glance", "evil.py:Glance"]
)
def test_a_file_outside_the_code_of_a_run_is_refused(run, lab, name):
    (lab / "evil.py").write_text(GUIDE)
    changed = _named(run, guide=name.format(lab=lab))
    for trust in (False, True):
        with pytest.raises(ValueError, match="code of its guide, which is not in its"):
            restore(changed, trust=trust)


def test_a_link_out_of_the_code_of_a_run_is_refused(run, lab):
    (lab / "evil.py").write_text(GUIDE)
    (run.folder / "code" / "evil.py").symlink_to(lab / "evil.py")
    with pytest.raises(ValueError, match="which is not in its folder code"):
        restore(_named(run, guide="code/evil.py:Glance"), trust=True)


def test_links_in_a_ring_are_refused(run):
    for one, other in (("a.py", "b.py"), ("b.py", "a.py")):
        (run.folder / "code" / one).symlink_to(other)
    with pytest.raises(LookupError, match=r"lacks code/a\.py, the code of its guide; get the run"):
        restore(_named(run, guide="code/a.py:Glance"), trust=True)


def test_ours_by_its_module_is_ours(run):
    changed = _named(run, objective="inference.objectives.bounds:IWAE")
    assert type(restore(changed).objective).__name__ == "IWAE"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package that is installed."""
    folder = tmp_path / "installed" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "bounds.py").write_text(BOUND)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def test_a_class_of_a_package_is_trusted_where_it_was_trained_with(package, tiny, lab, state):
    settings = tiny("jvae", encode=("image",), objective="mine.bounds:Least", steps=1)
    run = read(train(settings, device="cpu", folder=lab / "run").run.folder)
    assert run.settings.objective.bound == "mine.bounds:Least"
    assert type(restore(run).objective).__name__ == "Least"
    (package / "bounds.py").write_text(BOUND + "touched = True\n")
    with pytest.raises(PermissionError, match=r"code \(mine\.bounds:Least\)"):
        restore(run)
    restore(run, trust=True)


@pytest.mark.parametrize("home", [None, "unwritable"])
def test_trust_that_cannot_be_noted_holds_for_the_process(
    lab, tmp_path, monkeypatch, caplog, home
):
    """In a container without a home."""
    monkeypatch.setattr("inference.runs.plugins._trusted_here", set())
    if home is None:
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setattr("pathlib.Path.home", _homeless)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    settings = recipe("telbo").settings(objective=f"{lab}/bounds/lab.py:Least")
    adopted = adopt(settings, tmp_path / "run")
    located(adopted, tmp_path / "run", trust=False)
    assert "trust in this code is not kept" in caplog.text


def _homeless():
    raise RuntimeError("Could not determine home directory.")


RECIPE = """
from inference.settings.recipes import RECIPES
from dataclasses import replace
print("own code runs")
own = RECIPES["segmenter"]
Mine = replace(own, defaults={**own.defaults, "learning_rate": 2e-3})
"""

DATA = """
import torch
from scene.datasets.base import SceneDataset
from scene.labels import Labels
from scene.views import Scene, Schema
print("own code runs")
class Grey(SceneDataset):
    splits = ("train", "val")
    def __init__(self, split, size, count=None):
        self.schema = Schema(Labels(("background", "dot")), size)
    def __len__(self):
        return 4
    def __getitem__(self, i):
        mask = torch.zeros(self.schema.size, dtype=torch.uint8)
        mask[i] = 1
        return Scene(torch.zeros(3, *self.schema.size, dtype=torch.uint8), torch.ones(1), mask)
"""


@pytest.fixture
def own(lab, monkeypatch):
    """Train with a recipe and a dataset of one's own, and forget that they are trusted."""
    (lab / "mine.py").write_text(RECIPE)
    (lab / "grey.py").write_text(DATA)
    settings = recipe(f"{lab}/mine.py:Mine").settings(
        data=f"{lab}/grey.py:Grey", size=(16, 16), width=4, steps=1, batch_size=2
    )
    trained_run = train(settings, device="cpu", folder=lab / "own").run
    (lab / "mine.py").unlink()
    (lab / "grey.py").unlink()
    return trained_run


def test_a_recipe_and_a_dataset_of_ones_own_go_with_their_run(own):
    run = read(own.folder)
    assert run.settings.title == "Mine"
    assert run.settings.optimizer.learning_rate == 2e-3
    assert restore(run).model.views == ("mask",)
    assert open_data(run.settings.data.source, "val", (16, 16))[3].mask[3].all()
    moved = own.folder.rename(own.folder.with_name("moved"))
    assert restore(read(moved)).model.views == ("mask",)


def test_neither_runs_on_another_machine_unless_it_is_trusted(own, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("inference.runs.plugins._trusted_here", set())
    capsys.readouterr()
    run = read(own.folder)
    for use in (
        lambda: restore(run),
        lambda: recipe(run.settings.recipe),
        lambda: open_data(run.settings.data.source, "val"),
        lambda: splits_of(run.settings.data.source),
    ):
        with pytest.raises(PermissionError, match=r"contains code .* add --trust"):
            use()
    assert "own code runs" not in capsys.readouterr().out
    assert len(load(own.folder, trust=True).dataset("val")) == 4
    assert recipe(read(own.folder).settings.recipe)


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("Mine = 3\n", "Mine", "is not a SceneDataset; subclass scene.datasets.base.SceneDataset"),
        ("class Mine:\n    pass\n", "Mine", "is not a SceneDataset"),
        ("def Mine(:\n", "Mine", "could not be imported: SyntaxError"),
        (DATA, "Gray", "Did you mean 'Grey'?"),
        (
            DATA.replace(", count=None", ""),
            "Grey",
            "cannot be opened as Grey",
        ),
        (DATA.replace("self.schema = ", "schema = "), "Grey", "sets no schema"),
    ],
)
def test_a_dataset_of_ones_own_that_is_none_is_a_sentence(tmp_path, code, name, sentence):
    (tmp_path / "data.py").write_text(code)
    with pytest.raises((LookupError, ValueError), match=sentence):
        open_data(f"{tmp_path}/data.py:{name}", "val", (16, 16))


def test_a_split_that_a_dataset_of_ones_own_lacks_is_a_sentence(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    with pytest.raises(LookupError, match=r"No split of .* is called 'test'. .*Known: train, val"):
        open_data(f"{tmp_path}/data.py:Grey", "test")
