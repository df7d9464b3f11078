"""`scene` without a command: advice by what lies in the folder, and nothing that fails."""

import json

import pytest

from cli.next_steps import next_steps


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCENE_RUNS", raising=False)
    return tmp_path


def run_of(place, recipe, name=None, complete=True):
    folder = place / "runs" / (name or recipe)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"settings": {"recipe": recipe}}))
    if complete:
        (folder / "weights.safetensors").touch()


def commands(place):
    return [step.command for step in next_steps(place)]


def test_an_empty_folder_begins_with_the_main_job(scene, place):
    result = scene()
    assert result.code == 0
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[1].startswith("scene train telbo --particles 5")
    assert "scene --help" in lines[-1]
    assert commands(place)[0] == "scene train telbo --particles 5"


def test_what_was_trained_is_used(place):
    run_of(place, "telbo")
    assert commands(place)[:3] == [
        "scene sample --from-mask", "scene generate -n 1000", "scene diagnose",
    ]  # fmt: skip
    assert "scene train telbo --particles 5" not in commands(place)
    assert "scene segment PHOTO" not in commands(place)
    run_of(place, "classifier")
    assert {"scene train sec", "scene segment PHOTO"} <= set(commands(place))
    run_of(place, "segmenter", "zz")
    (place / "runs" / "zz" / "more").touch()
    assert "scene report" in commands(place)


def test_the_studio_is_named_where_gradio_is(place, monkeypatch):
    run_of(place, "telbo")
    for there in (True, False):
        monkeypatch.setattr("cli.next_steps.find_spec", lambda name, there=there: there or None)
        assert ("scene studio" in commands(place)) == there


def test_a_training_that_stopped_comes_first(place):
    run_of(place, "telbo", "it's mine", complete=False)
    first, second, *_ = commands(place)
    assert first == "scene train --resume 'runs/it'\"'\"'s mine'"
    assert second == "scene train telbo --particles 5"


def test_photographs_are_noticed(place):
    for name in ("cats", "dogs"):
        (place / "my pets" / name).mkdir(parents=True)
        (place / "my pets" / name / "one.JPG").touch()
    (place / "one class" / "cats").mkdir(parents=True)
    (place / "one class" / "cats" / "one.jpg").touch()
    assert commands(place)[0] == "scene masks 'my pets/' --out dataset"
    assert not any("one class" in command for command in commands(place))


def test_a_folder_that_may_not_be_read_stops_nothing(place, monkeypatch):
    (place / "secret").mkdir()
    usual = type(place).iterdir

    def iterdir(folder):
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied", str(folder))
        return usual(folder)

    monkeypatch.setattr(type(place), "iterdir", iterdir)
    assert commands(place)[0] == "scene train telbo --particles 5"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 3}', '{"settings": {"recipe": 1}}'])
def test_what_is_no_run_is_passed_over(place, text):
    (place / "runs" / "odd").mkdir(parents=True)
    (place / "runs" / "odd" / "config.json").write_text(text)
    (place / "runs" / "file").touch()
    assert commands(place)[0] == "scene train telbo --particles 5"
