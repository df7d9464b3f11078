"""Runs: written whole or not at all, read back as they were, and refused with a sentence."""

import json
import os

import pytest

from inference.runs.run import create, home, newest, read, write_json
from inference.settings.recipes import RECIPES, recipe
from inference.settings.settings import OPTIONS, Settings
from scene.labels import Labels
from scene.views import Schema

SCHEMA = Schema(
    Labels(("background", "ça va", "dog"), ((0, 0, 0), (1, 2, 3), (9, 8, 7))), (16, 32)
)


_ANEW = "train it again, or use the version of scene that wrote it."


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def _make(name="telbo", age=None, folder=None, **choices):
    """Make a run; one with an age is complete, and that many seconds old."""
    settings = recipe(name).settings(size=(16, 32), **choices)
    run = create(settings, SCHEMA, "pets", folder)
    if age is not None:
        run.path("weights.safetensors").touch()
        os.utime(run.path("weights.safetensors"), (1e9 - age, 1e9 - age))
    return run


def _put(settings, change):
    """Change plain settings, options by their names and groups as they are."""
    for name, value in change.items():
        option = OPTIONS.get(name)
        if option is None or (isinstance(value, dict) and name in settings):
            settings[name] = value
        else:
            settings[option.group][option.attribute] = value


def test_a_config_comes_back_as_it_was(tmp_path):
    run = _make("jvae", encode=("image",), view_weights={"mask": 2.5}, learn_scale=True, count=7)
    assert read(run.folder) == run
    config = json.loads(run.path("config.json").read_text())
    assert set(config["versions"]) == {"scene-suite", "torch", "pyro-ppl"}


def test_runs_of_the_same_second_get_different_folders(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260102-030405")
    folders = [_make().folder.name for _ in range(3)]
    first = "telbo-pets-20260102-030405"
    assert folders == [first, f"{first}-2", f"{first}-3"]


def test_runs_are_kept_where_scene_runs_says(runs, monkeypatch):
    assert home() == runs
    assert _make().folder.parent == runs
    monkeypatch.setenv("SCENE_RUNS", "")
    assert str(home()) == "runs"
    monkeypatch.delenv("SCENE_RUNS")
    assert str(home()) == "runs"


def test_the_newest_complete_run_that_fits_is_taken(runs):
    expected = _make("cvae", age=100)
    _make("cvae", age=200)
    _make("telbo", age=50)
    _make("cvae")  # incomplete
    for number, text in enumerate(("{", "[]", json.dumps({"format": 9}))):
        broken = _make("cvae", age=number)
        broken.path("config.json").write_text(text)
    (runs / "notes").mkdir()
    (runs / "a file").touch()
    assert newest(lambda run: run.settings.recipe == "cvae") == expected


def test_no_run_that_fits_is_a_sentence():
    _make("telbo", age=1)
    with pytest.raises(LookupError, match=r"no complete run of a cvae in .*make one with"):
        newest(lambda run: run.settings.recipe == "cvae", "a cvae")


def test_no_runs_at_all_is_a_sentence(runs):
    assert not runs.exists()
    with pytest.raises(LookupError, match=r"There is no complete run"):
        newest()


def test_what_cannot_be_json_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text()) == {"old": 1}


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match=r"JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=r"holds a\.txt, which is no part of a run; choose"):
        _make(folder=tmp_path)
    with pytest.raises(ValueError, match=r"is a file; a run is a folder"):
        _make(folder=tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_data_that_moved_together_with_their_run_are_found(tmp_path):
    (tmp_path / "lab" / "pets").mkdir(parents=True)
    run = _make(folder=tmp_path / "lab" / "runs" / "one", data=str(tmp_path / "lab" / "pets"))
    assert read(run.folder) == run
    (tmp_path / "lab").rename(tmp_path / "attic")
    moved = read(tmp_path / "attic" / "runs" / "one")
    assert moved.settings.data.source == str(tmp_path / "attic" / "pets")


def test_data_that_are_gone_keep_the_name_they_had(tmp_path):
    (tmp_path / "pets").mkdir()
    run = _make(data=str(tmp_path / "pets"))
    (tmp_path / "pets").rmdir()
    assert read(run.folder).settings.data.source == str(tmp_path / "pets")


def test_what_is_no_run_is_a_sentence(tmp_path):
    with pytest.raises(LookupError, match=r"There is no run .*gone; `ls "):
        read(tmp_path / "gone")
    with pytest.raises(LookupError, match=r"is not a run: it holds no config\.json\."):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"format": 1},
            "it has format 1, but only 3 is read here; train it again, or use the version of "
            "scene that wrote it.",
        ),
        (
            {"format": None},
            "it has format None, but only 3 is read here; train it again, or use the version of "
            "scene that wrote it.",
        ),
        ({"places": 3}, "its places must be a table of names and values, not 3."),
        ({"settings": 3}, "its settings must be a table of names and values, not 3."),
        ({"labels": []}, "its labels must be a table of names and values, not []."),
        ({"labels": {"names": ["a"]}}, "it lacks 'colours'."),
        ({"labels": {"names": "ab", "colours": []}}, "its labels cannot be called 'ab'."),
        ({"labels": {"names": ["a"], "colours": []}}, "its labels cannot have the colours []."),
        ({"labels": {"names": ["a"], "colours": [[1]]}}, "cannot have the colours [[1]]."),
        ({"labels": {"names": [], "colours": []}}, "A dataset has 1 to 255 labels, not 0."),
    ],
)
def test_a_config_that_cannot_be_used_says_why(change, reason):
    run = _make()
    config = json.loads(run.path("config.json").read_text())
    run.path("config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=r"The config of .* cannot be used: ") as caught:
        read(run.folder)
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": "many"}, "its setting training.steps cannot be 'many'."),
        ({"steps": 1.5}, "its setting training.steps cannot be 1.5."),
        ({"steps": True}, "its setting training.steps cannot be True."),
        ({"steps": 0}, "--steps must be 1 or more, not 0."),
        ({"size": 64}, "its setting data.size cannot be 64."),
        ({"size": [64, 64, 3]}, "its setting data.size cannot be [64, 64, 3]."),
        ({"size": ["64", 64]}, "its setting data.size cannot be ['64', 64]."),
        ({"encode": "image"}, "its setting guide.encode cannot be 'image'."),
        (
            {"view_weights": {"mask": "2"}},
            "its setting objective.view_weights cannot be {'mask': '2'}.",
        ),
        ({"view_weights": None}, "its setting objective.view_weights cannot be None."),
        ({"beta": None}, "its setting objective.beta cannot be None."),
        ({"learn_scale": 1}, "its setting model.learn_scale cannot be 1."),
        (
            {"recipe": "teblo"},
            "Did you mean 'telbo'? Known: "
            + ", ".join(sorted(RECIPES))
            + "; or your own: path/file.py:Name.",
        ),
        (
            {"zeal": {}},
            "There are no settings called 'zeal'; the run may come from a newer version of scene.",
        ),
        (
            {"data": {"zeal": 1}},
            "There is no setting called 'data.zeal'; the run may come from a newer version of "
            "scene.",
        ),
        ({"model": 3}, "its settings 'model' must be a table of names and values, not 3."),
        ({"recipe": 3}, "its recipe cannot be 3."),
    ],
)
def test_a_setting_that_cannot_be_used_says_why(change, reason):
    run = _make()
    config = json.loads(run.path("config.json").read_text())
    _put(config["settings"], change)
    run.path("config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"The config of .* cannot be used: ") as caught:
        read(run.folder)
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[1]", "\ud800".encode("utf-16", "surrogatepass")]
)
def test_a_config_that_is_no_json_table_says_so(text):
    run = _make()
    run.path("config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"The config of .* cannot be used: .*\.$"):
        read(run.folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, " " * 2**23 + "{}"])
def test_a_config_that_would_take_the_reader_down_is_refused(text):
    run = _make()
    run.path("config.json").write_text(text)
    with pytest.raises(ValueError, match=r"^The config of .* cannot be used: .*\.$|right one\?$"):
        read(run.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 10_000_000}, "--width is from 1 to 1024, not 10000000."),
        ({"batch_size": 10**9}, "--batch-size is from 1 to 65536, not 1000000000."),
        ({"batch_size": 1e9}, "its setting training.batch_size cannot be 1000000000.0."),
        ({"seed": 2**70}, f"--seed is from 0 to 4294967295, not {2**70}."),
        ({"size": [64, 10**6]}, "height and width are at most 2048 pixels."),
        ({"beta": 10**400}, "its setting objective.beta cannot be 100000000000000000...00."),
        ({"scales": [1e9]}, "each above 0 and at most 8, not 1000000000.0."),
        ({"optimizer": "adm"}, "Did you mean 'adam'? Known: adam, adamw, layerwise, sgd."),
    ],
)
def test_a_setting_out_of_its_range_is_refused_when_the_run_is_read(change, reason):
    run = _make()
    config = json.loads(run.path("config.json").read_text())
    _put(config["settings"], change)
    run.path("config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="cannot be used: ") as caught:
        read(run.folder)
    assert str(caught.value).replace("0" * 19, "00").endswith(reason)


def test_a_whole_number_will_do_for_a_real_one():
    run = _make()
    config = json.loads(run.path("config.json").read_text())
    _put(config["settings"], {"beta": 1})
    run.path("config.json").write_text(json.dumps(config))
    assert read(run.folder).settings == run.settings.changed(beta=1)
    assert isinstance(run.settings, Settings)
