"""Ten thousand damaged or hostile files, given to every command and reader that takes one.

Run by hand, in some minutes: `pytest -n 0 tests/benchmarks/test_fuzz.py`. A case is a number, and
`fuzz_cases.run` does it again. Each child does many, and is replaced where one hangs.
"""

import itertools
import json
import os
import selectors
import subprocess
import sys
from collections import deque
from pathlib import Path

import fuzz_cases
from fuzz_cases import ROUND, SECONDS

CASES = int(os.environ.get("SCENE_FUZZ_CASES") or 12_000)
CHILDREN = int(os.environ.get("SCENE_FUZZ_CHILDREN") or 2)

CHILD = Path(fuzz_cases.__file__).with_name("fuzz_child.py")


class Child:
    """A process that does one case after another.

    Args:
        folder: Its own.
    """

    def __init__(self, folder):
        folder.mkdir()
        state = {"XDG_STATE_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1"}
        self.folder, self.number = folder, None
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder / "world")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **state}, cwd=folder,
        )  # fmt: skip
        assert json.loads(self.process.stdout.readline()) == "ready"

    def ask(self, number):
        """Begin a case."""
        self.number = number
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def answer(self):
        """Give what was wrong with it; that the process is gone is a fault."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else f"the process ended with {self.process.wait()}"

    def end(self):
        """Stop, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_no_file_takes_a_command_down(tmp_path, say):
    folders = (tmp_path / f"child-{n}" for n in itertools.count())
    waiting, faults = deque(range(CASES)), {}
    children = [Child(next(folders)) for _ in range(CHILDREN)]
    while busy := _given(children, waiting):
        answered = _answered(busy)
        for child in answered or busy:
            fault = child.answer() if answered else f"it took more than {3 * SECONDS} s"
            if fault:
                faults[child.number] = fault
                say(f"{child.number} {ROUND[child.number % len(ROUND)].file}: {fault}")
            child.number = None
            if fault:  # of a process that is gone, hangs or has grown, nothing more is expected
                child.end()
                children[children.index(child)] = Child(next(folders))
    for child in children:
        child.end()
    say(f"{CASES} cases, {len(faults)} faults")
    assert not faults


def _given(children, waiting):
    """Give every idle child a case, and say which are at work."""
    for child in children:
        if child.number is None and waiting:
            child.ask(waiting.popleft())
    return [child for child in children if child.number is not None]


def _answered(children):
    """Wait until a child has answered; none has if they hang."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.process.stdout, selectors.EVENT_READ, child)
        return [key.data for key, _ in selector.select(3 * SECONDS)]
