"""Reports: every step to whoever watches, and a line of JSON where it matters."""

import json

import pytest

from inference.reports import Log, Report


def _lines(run):
    return [json.loads(line) for line in run.path("metrics.jsonl").read_text().splitlines()]


def test_watch_is_told_every_step_with_its_terms(fitted):
    reports = []
    fitted(watch=reports.append, steps=5, subsets="report", retrofit="predict-all")
    assert [report.step for report in reports] == [1, 2, 3, 4, 5]
    assert {report.steps for report in reports} == {5}
    parts = {"kl", "image", "classes", "mask"}
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


def test_lines_that_are_no_reports_are_dropped_and_what_is_no_text_is_refused(fitted):
    run, _ = fitted(steps=4)
    path = run.path("metrics.jsonl")
    whole = path.read_text()
    path.write_text(f'5\n{{}}\nnull\n{"[" * 9999}\n{{"step": null}}\n{whole}')
    Log(run, 4).close()
    assert path.read_text() == whole
    path.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is not UTF-8 text; .* move it away"):
        Log(run, 4)
    assert path.read_bytes() == b"\x00\xff\xfe"


def test_tensorboard_is_told_what_the_lines_say(fitted):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, _ = fitted()
    board = EventAccumulator(str(run.folder)).Reload()
    lines = _lines(run)
    assert [e.step for e in board.Scalars("val")] == [2, 4]
    assert [e.value for e in board.Scalars("loss")] == pytest.approx([x["loss"] for x in lines])
