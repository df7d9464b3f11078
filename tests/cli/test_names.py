"""Names: a stranger's module in place of one of ours is named, and the CRF needs no other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SNIPPET = """
import numpy as np
from inference.crf.meanfield import refine

image = np.zeros((6, 8, 3), dtype=np.uint8)
print(refine(np.full((2, 6, 8), 0.5, np.float32), image, engine="exact").shape)
"""


def _run(folder, *words, first=True):
    path = [str(folder), str(ROOT)] if first else [str(ROOT), str(folder)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return subprocess.run(
        [sys.executable, *words], env=env, cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize("file", ["scene.py", "inference.py", "inference/__init__.py"])
def test_a_users_module_is_named_with_a_remedy(tmp_path, file):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise AssertionError('it is not even imported')\n")
    done = _run(tmp_path, "-P", "-c", "from cli.__main__ import main; main()")
    assert done.returncode == 1
    assert done.stderr.startswith(f"scene: Python imports {path} in place of scene's own package")
    assert "rename it, take" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_package_that_was_installed_is_named_with_another_remedy(tmp_path):
    path = tmp_path / "site-packages" / "inference" / "__init__.py"
    path.parent.mkdir(parents=True)
    path.touch()
    done = _run(path.parents[1], "-P", "-c", "from cli.__main__ import main; main()")
    assert "install scene into an environment of its own" in done.stderr
    assert done.returncode == 1


def test_a_users_module_that_comes_after_ours_is_in_nobodys_way(tmp_path):
    (tmp_path / "scene.py").touch()
    done = _run(tmp_path, "-P", "-m", "cli", "--version", first=False)
    assert done.stdout.startswith("scene ")
    assert done.returncode == 0


def test_the_crf_works_beside_a_module_called_scene(tmp_path):
    (tmp_path / "scene.py").write_text("raise AssertionError('it is not even imported')\n")
    (tmp_path / "mine.py").write_text(SNIPPET)
    done = _run(tmp_path, "mine.py")
    assert done.stdout == "(2, 6, 8)\n", done.stderr
