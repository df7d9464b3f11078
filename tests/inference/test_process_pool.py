"""Processes: calls are shared out, and no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.process_pool import pool

WORK = """
import os, sys, time
from pathlib import Path
from inference.process_pool import pool

def work(folder):
    (folder / f"{os.getpid()}.worker").touch()
    time.sleep(60)

if __name__ == "__main__":
    with pool(2) as workers:
        list(workers.map(work, [Path(sys.argv[1])] * 2))
"""


@pytest.fixture
def parent(tmp_path):
    """Start a process with two workers that are at work, and give it."""
    script = tmp_path / "work.py"
    script.write_text(WORK)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script, tmp_path], env=env, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        _until(lambda: len(_workers(tmp_path)) == 2)
        yield process
        process.kill()


def _workers(folder):
    return [int(path.stem) for path in folder.glob("*.worker")]


def _alive(pid):
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _until(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it took more than a minute")


def _double(x):
    return 2 * x, os.getpid()


def _raise(x):
    raise ArithmeticError(f"not {x}")


def test_results_come_in_order_from_other_processes():
    with pool(2) as workers:
        result = list(workers.map(_double, range(6)))
        with pytest.raises(ArithmeticError, match="not 3"):
            list(workers.map(_raise, [3]))
    assert [value for value, _ in result] == [0, 2, 4, 6, 8, 10]
    assert os.getpid() not in {pid for _, pid in result}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_answered_once_and_no_more_are_taken_than_run(jobs):
    """So that what is next may depend on results that are there."""
    taken, ended = [], []

    def items():
        for item in range(5):
            assert item - len(ended) <= jobs
            taken.append(item)
            yield item

    with pool(jobs) as workers:
        for item, (double, _) in workers.completed(_double, items()):
            assert double == 2 * item
            ended.append(item)
    assert sorted(ended) == taken == list(range(5))


def test_one_job_needs_no_process():
    with pool(1) as workers:
        calls = workers.map(_double, iter(range(3)))
        assert [next(calls), *calls] == [(2 * x, os.getpid()) for x in range(3)]


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.kill, signal.SIGKILL), (os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)],
)
def test_no_worker_outlives_its_parent(parent, tmp_path, send, number):
    """A terminal sends Ctrl-C to all of them; the parent alone answers."""
    send(parent.pid, number)
    message = parent.communicate(timeout=60)[1].decode()
    _until(lambda: not any(map(_alive, _workers(tmp_path))))
    assert message.count("KeyboardInterrupt") == (number == signal.SIGINT)
