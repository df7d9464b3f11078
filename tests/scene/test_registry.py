import subprocess
import sys
from pathlib import Path

import pytest

from scene.registry import foreign_file, load, unknown

TABLE = {"half": "fractions:Fraction", "whole": "decimal:Decimal"}


def test_a_built_in_and_its_module_path_are_the_same_thing():
    assert load("half", TABLE, "number") is load("fractions:Fraction", {}, "number")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hafl", "No number is called 'hafl'. Did you mean 'half'? Known: half, whole; "
                 "or your own: path/file.py:Name."),
        ("zzz", "No number is called 'zzz'. Known: half, whole; or your own: path/file.py:Name."),
        ("fractions:Fractoin", "fractions defines no 'Fractoin'. Did you mean 'Fraction'?"),
        ("no_such_module:Thing", "No module 'no_such_module' to load a number from"),
        (":Thing", "No module '' to load a number from"),
        ("nowhere/file.py:Thing", "There is no file nowhere/file.py to load a number from."),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_a_sentence(name, sentence):
    with pytest.raises(LookupError) as caught:
        load(name, TABLE, "number")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("typed", ["eop", "poe", "peo", "pe"])
def test_letters_in_another_order_are_still_near(typed):
    assert "Did you mean 'poe'?" in unknown(typed, ("poe", "retrofit"), "guide")


def test_a_users_class_is_loaded_from_its_file_once(tmp_path):
    path = tmp_path / "flow.py"
    path.write_text("class FlowGuide:\n    pass\n\n\ncount = 3\n", encoding="utf-8")
    kind = load(f"{path}:FlowGuide", {}, "guide")
    assert kind.__name__ == "FlowGuide"
    assert load(f"{path}:FlowGuide", {}, "guide") is kind
    assert sys.modules[kind.__module__].__file__ == str(path)


def test_files_of_the_same_name_are_different_modules(tmp_path):
    for word in ("one", "two"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "flow.py").write_text(f"word = {word!r}\n", encoding="utf-8")
    result = [load(f"{tmp_path / word / 'flow.py'}:word", {}, "word") for word in ("one", "two")]
    assert result == ["one", "two"]


def test_a_misspelt_class_of_a_user_is_answered_with_the_nearest(tmp_path):
    path = tmp_path / "typo.py"
    path.write_text("class FlowGuide:\n    pass\n", encoding="utf-8")
    with pytest.raises(LookupError, match=r"defines no 'FlowGiude'. Did you mean 'FlowGuide'"):
        load(f"{path}:FlowGiude", {}, "guide")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"), ("def (:", "SyntaxError"), ("import lost_x", "lost_x"),
        ("raise OSError('one.\\ntwo.')", "OSError: one"), ("raise OSError", "OSError"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_run_is_answered_with_its_error(tmp_path, code, reason):
    path = tmp_path / "broken.py"
    path.write_text(code + "\n", encoding="utf-8")
    before = set(sys.modules)
    with pytest.raises(LookupError, match=f"could not be imported: .*{reason}") as caught:
        load(f"{path}:Thing", {}, "guide")
    assert str(caught.value).endswith(".")
    assert len(str(caught.value).splitlines()) == 1
    assert not {name for name in set(sys.modules) - before if name.startswith("scene_foreign")}


def test_a_module_that_does_not_run_is_answered_with_its_error(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LookupError, match=r"from: ZeroDivisionError: division by zero\.$"):
        load("broken_module:Thing", {}, "guide")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lab/flow.py:FlowGuide", Path("lab/flow.py")),
        ("poe", None),
        ("inference.guides:ProductGuide", None),
        ("lab/flow.py", None),
    ],
)
def test_only_a_class_in_a_file_is_foreign(name, file):
    assert foreign_file(name) == file


def test_looking_names_up_needs_no_torch():
    code = "import sys, scene.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_users_file_cannot_end_the_program(tmp_path):
    path = tmp_path / "rude.py"
    path.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    with pytest.raises(LookupError, match=r"could not be imported: it ends the program \(sys"):
        load(f"{path}:Guide", {}, "guide")
