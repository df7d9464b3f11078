"""Files that are damaged or hostile, a few of each kind: see `tests/benchmarks/test_fuzz.py`."""

import signal

import pytest
from fuzz_cases import ROUND, SECONDS, World, run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield World(tmp_path_factory.mktemp("fuzz") / "world")


@pytest.fixture
def alarm():
    """End a case that hangs."""

    def ring(*_):
        raise RuntimeError(f"It took more than {2 * SECONDS} s.")

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda: signal.alarm(2 * SECONDS)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("default")  # as in a command
def test_no_file_takes_a_command_down(world, alarm):
    """One round of cases: every command that takes a file, and every reader."""
    faults = {}
    for number in range(len(ROUND)):
        alarm()
        if fault := run(world, number):
            faults[number, ROUND[number].file] = fault
    assert not faults
