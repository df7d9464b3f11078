"""Threads that share a job: each piece once, answers in order, errors come through."""

import pytest

from inference.crf.fused.cpu.jit import ThreadPool, spans


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_each_piece_is_done_once_and_answers_are_in_order(threads, count):
    done = []
    with ThreadPool(threads) as pool:
        result = pool.map(lambda n: (done.append(n), n * n)[1], range(count))
    assert result == [n * n for n in range(count)]
    assert sorted(done) == list(range(count))


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_one_piece_is_raised(threads):
    with ThreadPool(threads) as pool, pytest.raises(ZeroDivisionError):
        pool.map(lambda n: 1 // (n - 3), range(6))


@pytest.mark.parametrize(("count", "parts", "unit"), [(1, 4, 1), (7, 3, 2), (100, 7, 8)])
def test_spans_cover_all_without_overlap(count, parts, unit):
    result = spans(count, parts, unit)
    assert [i for first, last in result for i in range(first, last)] == list(range(count))
    assert len(result) <= parts
    assert all(first % unit == 0 for first, _ in result)
