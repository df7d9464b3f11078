"""A terminal of the test's own: a folder to be in, runs that were trained, and what was said."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.app import main
from inference.settings.recipes import recipe
from inference.training.session import train
from scene.datasets.synthetic.dataset import COUNTS

FEW = {"train": 8, "tune": 4, "val": 4, "test": 6}


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of standard error."""
        return self.err.splitlines()[-1]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, few):
    """Be in a folder of the test's own, with runs and trust kept beside it.

    No package with weights is installed, whatever is installed where the tests run.
    """
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SCENE_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SCENE_TRACEBACK", raising=False)
    monkeypatch.setattr("inference.segmentation.imagenet.packaged_weights", lambda name: None)
    for console in ("console", "notes"):
        monkeypatch.setattr(f"cli.console.{console}._width", 80)
    return work


@pytest.fixture
def scene(monkeypatch, capsys):
    """Give the command, as typed: ``scene("sample", "-n", 2)``."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["scene", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        return CommandResult(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(scene, tmp_path):
    """Give a command that must say no in one sentence, and leave every folder as it was."""

    def run(*words):
        before = _listing(tmp_path)
        result = scene(*words)
        *notes, sentence = result.err.splitlines()
        assert result.code == 1
        assert result.out == ""
        assert all(line.startswith("run ") for line in notes)
        assert sentence.startswith("scene: ")
        assert sentence[-1] in ".?"
        assert not any(noise in result.err for noise in ("Traceback", "Error", "Errno", "\\n"))
        assert _listing(tmp_path) == before
        return sentence.removeprefix("scene: ")

    return run


def _listing(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture(scope="session")
def _trained(tmp_path_factory):
    """Train each recipe at most once."""
    home, folders = tmp_path_factory.mktemp("trained"), {}

    def folder(name):
        if name not in folders:
            with pytest.MonkeyPatch.context() as patch:
                for split, count in FEW.items():
                    patch.setitem(COUNTS, split, count)
                patch.setattr("inference.training.session.draw_predictions", lambda *_, **__: None)
                options = {"size": (16, 16), "steps": 2, "batch_size": 4, "width": 4}
                options |= {"latent": 4, "guide_width": 4} if recipe(name).takes("latent") else {}
                if recipe(name).takes("classifier"):
                    options["classifier"] = str(folder("classifier"))
                settings = recipe(name).predicting(**options)
                folders[name] = train(settings, folder=home / name, device="cpu").run.folder
        return folders[name]

    return folder


@pytest.fixture
def trained(_trained, tmp_path):
    """Give the folder of a run of a recipe, to do with as one likes."""

    def copied(name="telbo", called=None):
        folder = tmp_path / "runs" / (called or name)
        shutil.copytree(_trained(name), folder)
        return folder

    return copied
