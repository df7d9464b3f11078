"""Reports: every step to whoever watches, and a line of JSON where it matters."""

import json

import pytest

from inference.training.log import Log, Report


def _lines(run):
    return [json.loads(line) for line in run.path("metrics.jsonl").read_text().splitlines()]


def test_watch_receives_every_step_with_its_terms(fitted):
    reports = []
    fitted(watch=reports.append, steps=5, subsets="report", retrofit="predict-all")
    assert [report.step for report in reports] == [1, 2, 3, 4, 5]
    assert {report.steps for report in reports} == {5}
    parts = {"kl", "image", "classes", "classes.mask", "mask"}
    terms = {f"{t}/{part}" for t in ("joint", "image+classes", "mask") for part in parts}
    assert all(set(report.terms) == terms for report in reports)
    assert [report.val is not None for report in reports] == [False, True, False, True, True]


def test_metrics_hold_a_line_for_each_validation_and_every_tenth_step(fitted):
    run, _ = fitted(steps=21, validate_every=7)
    lines = _lines(run)
    assert [line["step"] for line in lines] == [7, 10, 14, 20, 21]
    assert [line["step"] for line in lines if "val" in line] == [7, 14, 21]
    assert {"loss", "rate", "joint/kl"} <= set(lines[0])


def test_a_line_cut_short_by_a_crash_is_dropped(tmp_path, fitted):
    run, _ = fitted(steps=4)
    before = run.path("metrics.jsonl").read_text()
    run.path("metrics.jsonl").write_text(before + '{"step": 5, "lo')
    log = Log(run, 4)
    log.write(Report(10, 10, 0.5))
    log.close()
    assert [line["step"] for line in _lines(run)] == [2, 4, 10]


@pytest.mark.parametrize("line", ["5", "{}", "null", "[]", '{"step": "2"}', "{", "\x00\ufffd"])
def test_a_damaged_line_is_named_and_nothing_is_lost(fitted, line):
    run, _ = fitted(steps=4)
    path = run.path("metrics.jsonl")
    first, *rest = path.read_text().splitlines()
    text = "\n".join([first, line, *rest, ""])
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Line 2 of .*metrics\.jsonl is damaged: it has no step"):
        Log(run, 4)
    assert path.read_text() == text


@pytest.mark.parametrize("content", [b"\x00\xff\xfe", b"\x00\n\n", b"no report"])
def test_what_holds_no_lines_at_all_is_refused(fitted, content):
    run, _ = fitted(steps=4)
    path = run.path("metrics.jsonl")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Line 1 of .*metrics\.jsonl is damaged: it has no step"):
        Log(run, 4)
    assert path.read_bytes() == content


def test_lines_of_later_steps_are_dropped_and_the_last_one_is_kept(fitted):
    run, _ = fitted(steps=4)
    Log(run, 2).close()
    assert [line["step"] for line in _lines(run)] == [2]


def test_what_is_begun_anew_has_no_lines(fitted):
    run, _ = fitted(steps=4)
    Log(run, 0).close()
    assert not _lines(run)


def test_tensorboard_receives_the_values_of_the_lines(fitted):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, _ = fitted()
    board = EventAccumulator(str(run.folder)).Reload()
    lines = _lines(run)
    assert [e.step for e in board.Scalars("val")] == [2, 4]
    assert [e.value for e in board.Scalars("loss")] == pytest.approx([x["loss"] for x in lines])
