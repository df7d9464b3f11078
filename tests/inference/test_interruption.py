"""Interruption: signals wait until a block is done, and are then answered as ever."""

import signal
import threading

import pytest

from inference.interruption import SIGNALS, Interruption, deferred, raised, resumable, unmasked


def _work(done, *numbers):
    with raised(), deferred() as pending:
        assert not pending
        for number in numbers:
            signal.raise_signal(number)
            assert pending
            done.append("begun")
        done.append("the rest")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_until_the_block_is_done(number):
    done = []
    with pytest.raises(Interruption) as caught:
        _work(done, number)
    assert done == ["begun", "the rest"]
    assert caught.value.number == number


def test_the_second_does_not_wait():
    done = []
    with pytest.raises(Interruption):
        _work(done, signal.SIGTERM, signal.SIGTERM)
    assert done == ["begun"]


def test_ctrl_c_is_answered_as_ever_afterwards():
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)


def test_what_goes_wrong_in_the_block_is_not_hidden():
    with pytest.raises(AttributeError):
        _work(None, signal.SIGINT)


def test_what_is_ignored_stays_ignored():
    """As under ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised(), deferred() as pending:
            signal.raise_signal(signal.SIGHUP)
            assert not pending
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_they_were():
    before = [signal.getsignal(number) for number in SIGNALS]
    with raised(), deferred():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_other_threads_are_left_alone():
    interrupted = []

    def work():
        with deferred() as pending:
            interrupted.append(bool(pending))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert interrupted == [False]


def test_an_interruption_says_how_to_go_on():
    with pytest.raises(OSError, match="full") as caught, resumable():
        raise OSError("full")
    assert caught.value.__notes__ == ["What is done is kept; the same command goes on from there."]


def _masked():
    """Do as compiled code does that is interrupted while it calls back into Python."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except Interruption as interruption:
        raise ValueError("Invalid affine transformation matrix") from interruption


def test_an_interruption_that_a_library_replaces_by_an_error_is_one():
    with pytest.raises(Interruption) as caught, raised(), resumable():
        _masked()
    assert caught.value.number == signal.SIGTERM
    assert caught.value.__notes__ == ["What is done is kept; the same command goes on from there."]


def test_an_error_after_an_answered_interruption_stays_one():
    with pytest.raises(Interruption), raised():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(ValueError, match="wrong"), raised(), unmasked():
        raise ValueError("wrong")
