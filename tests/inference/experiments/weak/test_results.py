"""Figures over seeds: spreads, orders, and results that know what they are of."""

import json
from dataclasses import replace

import pytest

from inference.experiments.weak.results import KERNELS, STAGES, AcrossSeeds, SeedResult, Summary


def mious(names, values):
    return {n: {"miou": v, "uncommon_miou": v / 2} for n, v in zip(names, values, strict=True)}


def chain(seed=0, stages=(10, 20, 30, 40, 50, 80), kernels=(1, 2, 2, 3), grid=((1.0, 2.0),)):
    return SeedResult(
        seed=seed,
        variant="report",
        key="this",
        classifier={},
        selected={},
        cues={},
        stages=mious(STAGES, stages),
        kernels=mious(KERNELS, kernels),
        grid={"split": "tune", "alphas": [3.0], "betas": [5.0, 9.0], "miou": [*map(list, grid)]},
    )


def test_the_deviation_is_that_of_a_sample():
    assert (AcrossSeeds((1.0, 3.0)).mean, AcrossSeeds((1.0, 3.0)).deviation) == (
        2.0,
        pytest.approx(2**0.5),
    )
    assert AcrossSeeds((7.0,)).deviation is None


@pytest.mark.parametrize(
    ("stages", "kernels", "held"),
    [
        ((10, 20, 30, 40, 0, 1), (9, 2, 3, 4), (True, True)),
        ((10, 10, 30, 40, 0, 1), (9, 3, 3, 3), (False, True)),  # steps help, kernels do not harm
        ((10, 20, 40, 30, 0, 1), (0, 2, 1, 4), (False, False)),
    ],
)
def test_orders_are_those_of_the_report(stages, kernels, held):
    first, second = Summary((chain(stages=stages, kernels=kernels),)).orders
    assert (first.holds, second.holds) == ((held[0],), (held[1],))


def test_an_order_is_checked_in_each_seed():
    result = Summary((chain(), chain(1, stages=(50, 20, 30, 40, 50, 80)))).orders[0]
    assert result.holds == (True, False)


def test_figures_are_averaged_over_seeds():
    result = Summary((chain(grid=((1.0, 4.0),)), chain(1, (20, 30, 40, 50, 60, 100))))
    assert result.stage("sec").each == (30, 40)
    assert result.stage("sec", "uncommon_miou").mean == 17.5
    assert result.kernel("both").mean == 3
    assert result.ratio.each == (0.5, 0.5)
    assert result.grid == [[1.0, 3.0]]
    report = result.to_json()
    assert report["orders"]["Grad-CAM < + CRF < SEC < SEC + CRF"] == (True, True)
    json.dumps(report, allow_nan=False)


def test_a_result_is_taken_only_for_what_it_is(tmp_path):
    path = tmp_path / "deep" / "result.json"
    saved = chain().save(path)
    assert SeedResult.read(path, "this") == saved == chain()
    assert SeedResult.read(path, "that") is None
    path.write_text(path.read_text()[:-20])
    assert SeedResult.read(path, "this") is None
    path.write_text("{}")
    assert SeedResult.read(path, "this") is None
    assert replace(saved, seed=1).save(path).seed == 1
