"""The arrows cli → inference → scene, and the habits of files, held by reading the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {
    file.relative_to(ROOT).as_posix(): file
    for package in ("scene", "inference", "cli")
    for file in sorted((ROOT / package).rglob("*.py"))
}
FORBIDDEN = {
    "scene": {"inference", "cli", "typer", "rich"},
    "inference": {"cli", "typer", "rich"},
    "cli": set(),
}
LIGHT = [name for name in FILES if name.startswith("cli/")] + [
    *(n for n in FILES if n.startswith("inference/settings/") and "config" not in n),
    "scene/registry.py",
]
"""Files that `scene --help` reads: none of them may wait for torch."""


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def _imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Name the top packages that import statements among ``nodes`` ask for."""
    result = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            result |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            result.add((node.module or "").split(".")[0] if not node.level else "")
    return result - {""}


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when a module is imported: no function bodies, no type checking."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _at_import(node)


def _top(name: str) -> str:
    return name.split("/")[0]


def test_arrows_run_from_cli_to_inference_to_scene():
    backwards = {name: _imported(ast.walk(_tree(name))) & FORBIDDEN[_top(name)] for name in FILES}
    assert not {name: tops for name, tops in backwards.items() if tops}


def test_no_two_parts_of_inference_import_each_other():
    """Nor do any more of them in a ring: modules and folders of `inference/` have an order."""
    arrows: dict[str, set[str]] = {}
    for name in FILES:
        if _top(name) == "inference" and name.count("/") >= 1:
            part = _part(name)
            arrows.setdefault(part, set()).update(_parts_imported(name) - {part})
    while arrows:
        last = [part for part, named in arrows.items() if not named & arrows.keys()]
        assert last, f"each of these needs another of them: {sorted(arrows)}"
        for part in last:
            del arrows[part]


def _part(name: str) -> str:
    """Name the module or folder of `inference/` that a file is or lies in."""
    return name.split("/")[1].removesuffix(".py")


def _parts_imported(name: str) -> set[str]:
    depth = name.count("/")  # as many dots lead from the file to `inference` itself
    result = set()
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            named = [node.module] if node.module else [alias.name for alias in node.names]
            result |= {part.split(".")[0] for part in named}
    return result


def test_a_package_names_its_own_modules_relatively():
    """So that a stranger's `scene.py` or `inference.py` on the path comes between none of them."""
    assert not [name for name in FILES if _top(name) in _imported(ast.walk(_tree(name)))]


def test_what_help_reads_does_not_import_torch():
    slow = {"torch", "pyro", "torchvision"}
    assert not [name for name in LIGHT if _imported(_at_import(_tree(name))) & slow]


def test_help_is_instant():
    """Nothing that those files import brings torch along either."""
    modules = [name.removesuffix(".py").replace("/", ".") for name in LIGHT]
    modules = [name.removesuffix(".__init__") for name in modules]
    code = f"import sys\nfor name in {modules}:\n    __import__(name)\n"
    code += "    assert 'torch' not in sys.modules, name"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


DOORS = ("inference.api", "inference.settings")
"""What every command may import beside `inference` itself: the public interface, and settings."""

OTHER_DOORS = {
    "cli/app.py": ("inference.interruption",),  # before anything else is loaded
    "cli/__main__.py": ("inference.interruption",),
    "cli/options.py": ("inference.segmentation.stages",),  # names of stages, for --help
    "cli/reproduce*.py": ("inference.experiments",),  # the report's experiments, not a model's
    "cli/tune*.py": ("inference.experiments.tune",),
    "cli/studio.py": ("inference.interruption", "inference.studio"),  # a page over that interface
    "cli/train.py": (
        "inference.training.session",
        "inference.runs.run",
        "inference.prediction.evaluate",
    ),
}
"""What some may import beside that."""


def test_commands_go_in_by_the_front_door():
    """A command parses, makes one call and prints; types alone may come from anywhere."""
    for name in (name for name in FILES if _top(name) == "cli"):
        others = [doors for pattern, doors in OTHER_DOORS.items() if fnmatch(name, pattern)]
        doors = DOORS + sum(others, ())
        inner = {m for m in _modules_of(_tree(name)) if m.startswith("inference.")}
        strange = {m for m in inner if not any(f"{m}.".startswith(f"{d}.") for d in doors)}
        assert not strange, f"{name} imports {strange}"


def _modules_of(tree: ast.AST) -> Iterator[str]:
    """Name the modules that are imported when the code runs, inside functions, too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from _modules_of(node)


def test_every_file_says_what_it_is_for():
    docstrings = {name: ast.get_docstring(_tree(name)) or "" for name in FILES}
    firsts = {name: text.split("\n\n")[0].rstrip() for name, text in docstrings.items()}
    assert not [name for name, first in firsts.items() if not first.endswith((".", ":", "?"))]


def test_an_init_holds_a_docstring_only():
    """But that of `inference`, which names the public interface without importing it."""
    inits = [name for name in FILES if name.endswith("__init__.py")]
    public = "inference/__init__.py"
    assert not [name for name in inits if len(_tree(name).body) != 1 and name != public]
    assert _imported(_at_import(_tree(public))) <= {"importlib", "typing"}


def test_a_file_fits_a_sitting():
    lines = {
        name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in FILES.items()
    }
    assert not {name: count for name, count in lines.items() if count > 400}


def test_every_folder_of_code_is_a_package():
    folders = {file.parent for file in FILES.values()}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_everything_has_a_home_and_a_name():
    named_by_others = {"inference/crf/pydensecrf/utils.py"}  # scripts import it by that name
    vague = {name for name in FILES if Path(name).name in ("utils.py", "helpers.py")}
    assert not vague - named_by_others


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))
