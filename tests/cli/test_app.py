"""The command as a whole: instant help, words where they belong, and no markup in names."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.app import app


def test_help_names_everything_without_torch():
    code = """
import sys
from cli.app import main
for words in ([], ["--help"], ["train", "-h"], ["train", "telbo", "-h"],
              ["sample", "--help"], ["tune", "-h"], ["tune", "sec", "--help"], ["data"],
              ["--version"]):
    sys.argv = ["scene", *words]
    try:
        main()
    except SystemExit:
        pass
    assert not {"torch", "optuna"} & set(sys.modules), words
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    for word in ("train", "sample", "evaluate", "data", "--from-mask", "--particles", "preview"):
        assert word in result.stdout


@pytest.mark.parametrize("words", [["data"], ["--help"], ["data", "--help"]])
def test_without_words_the_help_is_shown(words):
    result = CliRunner().invoke(app, words)
    assert "Usage:" in result.output
    assert "Traceback" not in result.output


def test_the_version_is_known(scene):
    result = scene("--version")
    assert result.code == 0
    assert result.out.startswith("scene 0.")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["trian"], "No such command"),
        (["train", "telbo", "--device", "tpu"], "'tpu' is not one of"),
        (["train", "telbo", "--steps", "x"], "'--steps'"),
        (["train", "telbo", "--speed", "9"], "No such option"),
        (["sample", "--seed", "-3"], "'--seed'"),
    ],
)
def test_words_that_are_no_option_are_answered_at_once(scene, words, complaint, tmp_path):
    result = scene(*words)
    assert result.code == 2
    assert result.out == ""
    assert complaint in " ".join(result.err.split())
    assert not (tmp_path / "runs").exists()


def test_brackets_and_colons_in_names_are_written_as_they_are(scene, place):
    name = "[bold]x[/] :cat: [0].png"
    result = scene("data", "preview", "--out", name, "-n", 1, "--size", "16x16")
    assert result.out == f"{name}: 1 of 8 scenes\n"
    assert (place / name).is_file()
    result = scene("data", "preview", "--out", name)
    assert result.err == f"scene: {name} exists; choose another --out, or --force to replace it.\n"


def test_developers_may_have_the_traceback(scene, monkeypatch):
    monkeypatch.setenv("SCENE_TRACEBACK", "1")
    with pytest.raises(LookupError):
        scene("sample", "--run", "nowhere")


def test_what_the_system_refuses_is_a_sentence(scene, place):
    (place / "file").touch()
    result = scene("data", "preview", "-n", 1, "--size", "16x16", "--out", "file/a.png")
    assert result.code == 1
    assert result.err.startswith("scene: file")
    assert "Errno" not in result.err


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you")],
)
def test_memory_that_runs_out_is_a_sentence(scene, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr("scene.datasets.catalogue.open_data", full)
    result = scene("data", "info")
    assert result.code == 1
    assert (
        result.err == "scene: Memory ran out; try a smaller --size, --batch-size or --particles.\n"
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyError, IndexError])
def test_a_mistake_of_ours_is_not_dressed_up(scene, monkeypatch, error):
    def broken(*_, **__):
        raise error("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("scene.datasets.catalogue.open_data", broken)
    with pytest.raises(error, match="mat1"):
        scene("data", "info")


@pytest.mark.parametrize("command", ["evaluate", "diagnose", "cues", "segment", "sample"])
def test_every_command_that_takes_a_run_takes_it_by_option(refused, command):
    photo = ("cat.jpg",) if command == "segment" else ()
    sentence = refused(command, *photo, "--run", "nowhere")
    assert sentence.startswith("There is no run nowhere; ")


@pytest.mark.parametrize("command", ["evaluate", "diagnose", "cues"])
def test_a_run_in_its_place_and_another_by_option_is_a_mistake_of_usage(scene, command):
    result = scene(command, "one", "--run", "two")
    assert result.code == 2
    assert "RUN is one, but --run is two; give one of them." in result.err.replace("\n", " ")
    assert "There is no run one" in scene(command, "one", "--run", "one").err
