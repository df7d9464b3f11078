"""Every combination of choices that makes sense, 50 steps each: hours on one thread.

A part: ``pytest tests/benchmarks/test_combinations.py -n 0 -k cvae``.
"""

from itertools import product
from pathlib import Path

import pytest

from scene.registry import load

PAIRS = Path(__file__).parents[1] / "inference" / "test_combinations.py"

STEPS = 50

learn, scenes, sensible, trained = (
    load(f"{PAIRS}:{name}", {}, "part") for name in ("learn", "scenes", "sensible", "TRAINED")
)

EVERY = [
    (recipe, dict(zip(factors, values, strict=True)))
    for recipe in trained
    for factors in [sensible(recipe)]
    for values in product(*factors.values())
]


def _called(case):
    return "-".join(map(str, (case[0], *case[1].values())))


@pytest.mark.parametrize("case", EVERY, ids=_called)
def test_it_trains_for_a_while(case):
    learn(*case, scenes(), steps=STEPS)
