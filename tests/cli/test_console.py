"""Whatever a console can write, nothing said is lost, and nothing fails for want of a letter."""

import io
import json
import sys
import warnings

import pytest
from typer.main import get_command

from cli import console
from cli.app import app

PAGES = [
    [], ["train"], ["tune"], ["sample"], ["generate"], ["evaluate"], ["diagnose"], ["report"],
    ["studio"], ["export"], ["cues"], ["segment"], ["masks"], ["pseudo-label"], ["reproduce"],
    ["data"], ["data", "info"], ["data", "preview"], ["data", "labels"], ["data", "convert"],
    ["crf"], ["crf", "refine"],
    ["crf", "ablate"], ["crf", "fit"],
]  # fmt: skip


@pytest.fixture
def written(monkeypatch):
    """Give a function that says what a console of some encoding was written, and how it ended."""

    def run(encoding, *words):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setattr(sys, "argv", ["scene", *map(str, words)])
        from cli.app import main

        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        for stream in streams:
            stream.flush()
        return code, *(stream.buffer.getvalue() for stream in streams)

    return run


def test_every_page_is_listed():
    commands = get_command(app).commands
    listed = {page[0] for page in PAGES if page}
    assert listed == set(commands)
    for group in ("data", "crf"):
        assert {page[1] for page in PAGES if page[:1] == [group] and page[1:]} == set(
            commands[group].commands
        )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_page_of_help_can_be_written(written, encoding):
    for page in PAGES:
        code, out, err = written(encoding, *page, "--help")
        assert (code, err) == (0, b"")
        assert out.lstrip().startswith(b"Usage: ")
        assert b"scene" in out.splitlines()[0] + out.splitlines()[1]
        assert not encoding == "ascii" or max(out) < 128


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8", "utf-16", "gb18030"])
def test_a_result_survives_any_encoding(encoding):
    result = "image → mask × 3 … ≤ 猫 café \udce9 \ud83d"
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console.write_anything()
    stream.reconfigure(errors="scene.likeness")
    stream.write(result)
    stream.flush()
    actual = stream.buffer.getvalue().decode(encoding, "replace")
    assert actual.startswith("image ")
    assert " mask " in actual
    assert actual.endswith("?")
    if encoding == "ascii":
        assert actual.startswith("image -> mask x 3 ... <= ? cafe ")


def test_bytes_of_a_name_that_is_no_text_are_written_as_they_came():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="scene.likeness")
    console.write_anything()
    stream.write("f\udce9.png")
    stream.flush()
    assert stream.buffer.getvalue() == b"f\xe9.png"


def test_json_loses_no_letter(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(console.console, "_file", stream)
    console.console.print_json(data={"猫": "→"})
    stream.flush()
    assert json.loads(stream.buffer.getvalue()) == {"猫": "→"}


def test_notices_are_shown_once_however_often_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", lambda *_: None)
    console.show_notices()
    first = warnings.showwarning
    console.show_notices()
    assert warnings.showwarning is first


def test_training_under_cp1252_says_its_result(written, few):
    words = ("train", "segmenter", "--size", "16x16", "--steps", 1, "--device", "cpu")
    code, out, err = written("cp1252", *words)
    assert code == 0
    assert b"image -> mask mIoU" in out
    assert b"run " in err
