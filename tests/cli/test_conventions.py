"""One way to name things: a run, a place to write to, and options that every command shares."""

import re

import pytest
import typer

from cli.app import app
from cli.options import file_in, require_folder


def _commands(group, name=""):
    """Give every command that is not made of a recipe, by its words."""
    for word, command in group.commands.items():
        words = f"{name} {word}".strip()
        if words in ("train", "tune"):  # whose options are those of settings
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, words)
        else:
            yield words, command


COMMANDS = dict(_commands(typer.main.get_command(app)))

READ_A_RUN = {
    "sample", "generate", "evaluate", "diagnose", "export", "cues", "segment", "pseudo-label",
    "crf ablate", "crf fit", "data labels",
}  # fmt: skip
"""Commands that read a run."""

SHARED = ("--device", "--seed", "--json", "--force", "--trust", "--download", "--engine")
"""Options that say the same wherever they are."""

OTHERS = {"masks", "reproduce"}
"""Commands whose --force and --seed concern a series of trainings."""

LEANING = re.compile(r"(of|its|their|likewise|or|also|whose|by|how|it|they|with|in|at|to)\b", re.I)
"""Words with which a help text leans on another."""


def _options(command):
    return {word: one for one in command.params for word in one.opts if word.startswith("--")}


def _arguments(command):
    return [one for one in command.params if one.param_type_name == "argument"]


@pytest.mark.parametrize("words", sorted(READ_A_RUN))
def test_a_command_that_reads_a_run_takes_it_by_name_and_in_its_place(words):
    """By --run everywhere; as RUN, too, where no other argument stands."""
    command = COMMANDS[words]
    assert _options(command)["--run"].metavar == "RUN"
    (argument,) = _arguments(command)
    if words not in ("segment", "data labels"):
        assert argument.metavar == "RUN"
        assert not argument.required


def test_these_are_all_the_commands_that_read_a_run():
    assert {words for words, one in COMMANDS.items() if "--run" in _options(one)} == READ_A_RUN


def test_out_is_where_a_command_writes():
    helps = {words: _options(one)["--out"].help for words, one in COMMANDS.items()
             if "--out" in _options(one)}  # fmt: skip
    assert len(helps) >= 9
    for words, text in helps.items():
        assert text.startswith("Where to write: "), words
        assert "a folder" in text, words


@pytest.mark.parametrize("option", SHARED)
def test_shared_options_say_the_same_everywhere(option):
    helps = {
        words: _options(one)[option].help
        for words, one in COMMANDS.items()
        if option in _options(one) and words not in OTHERS
    }
    assert len(helps) > 1
    assert len(set(helps.values())) == 1, helps


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_help_texts_are_whole_sentences(words):
    """Each says what it is about by itself, and ends with a full stop."""
    for one in COMMANDS[words].params:
        text = getattr(one, "help", None)
        if one.name in ("help", "version"):
            continue
        assert text, f"{words} {one.name} has no help"
        sentence = text.rpartition(" (")[0] if text.endswith(")") else text  # unit and default
        assert sentence.endswith("."), f"{words} {one.name}: {text}"
        assert not LEANING.match(text), f"{words} {one.name}: {text}"


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "--out", "a.png"), ("pseudo-label", "--out", "a.json"),
        ("cues", "--out", "a.npz"), ("diagnose", "--out", "a.png"),
        ("crf", "ablate", "--out", "a.json"), ("crf", "refine", "i.png", "--out", "a.npz"),
        ("masks", "photos", "--out", "a.png"),
    ],
)  # fmt: skip
def test_a_suffix_says_that_a_folder_is_meant_to_be_a_file(refused, words):
    assert f"{words[-1]} has the suffix of a file; leave out" in refused(*words)


def test_a_folder_gets_the_file_under_its_usual_name(scene, place):
    (place / "out").mkdir()
    assert scene("data", "preview", "-n", 1, "--size", "16x16", "--out", "out").code == 0
    assert (place / "out" / "preview.png").is_file()
    assert file_in(place / "new", "crf.json") == place / "new" / "crf.json"
    assert file_in(place / "p.json", "crf.json") == place / "p.json"
    require_folder(place / "weak")


def test_a_run_named_twice_is_a_mistake_unless_both_are_the_same(scene, trained):
    run = trained()
    assert scene("sample", run, "--run", run, "-n", 1, "--device", "cpu").code == 0
    result = scene("sample", run, "--run", "other", "-n", 1)
    assert result.code == 2
    assert "give one of them" in " ".join(result.err.split())


def test_the_terminal_breaks_the_lines_of_help():
    from cli.app import _command

    def texts(command):
        yield command.help or ""
        for part in getattr(command, "commands", {}).values():
            yield from texts(part)

    every = list(texts(_command()))
    assert len(every) >= 20
    for text in every:
        assert "\n" not in text.replace("\n\n", ""), text
