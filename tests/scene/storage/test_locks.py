"""Locks: one process at a time, and what a dead one held is free."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from scene.storage.locks import contents, locked

HOLD = """
import sys, time
from pathlib import Path
from scene.storage.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that has the folder, and give it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_is_free_before_and_after(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            assert contents(tmp_path) == []
        assert not list(tmp_path.iterdir())


def _missing(*_):
    raise OSError(errno.ENOSYS, "no locks here")


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("flock", [True, False])
def test_many_threads_have_it_one_at_a_time(tmp_path, monkeypatch, flock):
    """Although the file of the lock is removed each time, with and without ``flock``."""
    if not flock:
        fcntl = pytest.importorskip("fcntl")
        monkeypatch.setattr(fcntl, "flock", _missing)
    inside, most = [], []

    def work():
        for _ in range(60):
            with contextlib.suppress(BlockingIOError), locked(tmp_path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_the_second_process_learns_which_one_has_the_lock(tmp_path, holder):
    sentence = rf"in use by process {holder.pid} on .+, since 20.+; wait for it, end it, or choose"
    with pytest.raises(BlockingIOError, match=sentence), locked(tmp_path):
        pass
    assert (tmp_path / ".holder").exists()


def test_what_a_killed_process_held_is_free(tmp_path, holder):
    (tmp_path / ".a.txt.1.part").touch()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        assert contents(tmp_path) == []


def test_two_of_one_process_are_two(tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"),
        locked(tmp_path),
    ):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", "{}"])
def test_a_note_that_is_cut_short_tells_of_another_process(tmp_path, note):
    with locked(tmp_path):
        (tmp_path / ".holder").write_text(note)
        with pytest.raises(BlockingIOError, match="in use by another process"), locked(tmp_path):
            pass
