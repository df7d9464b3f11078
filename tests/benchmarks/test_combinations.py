"""Every recipe × objective × guide × subsets that makes sense, 50 steps each: half an hour.

Objectives are those of the joint term and of the others, subsets what these see and whose turn it
is. How the rest of the settings go with them is seen pair by pair, in
tests/inference/test_combinations.py. A part: ``pytest tests/benchmarks/test_combinations.py -n 0
-k cvae``.
"""

from itertools import product
from pathlib import Path

import pytest

from scene.registry import load

PAIRS = Path(__file__).parents[1] / "inference" / "test_combinations.py"

STEPS = 50

FACTORS = ("objective", "retrofit_objective", "guide", "subsets", "turns")

learn, scenes, sensible, trained = (
    load(f"{PAIRS}:{name}", {}, "part") for name in ("learn", "scenes", "sensible", "TRAINED")
)


def _every(recipe):
    factors = {name: values for name, values in sensible(recipe).items() if name in FACTORS}
    return [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]


EVERY = [(recipe, row) for recipe in trained for row in _every(recipe)]


def _called(case):
    return "-".join(map(str, (case[0], *case[1].values())))


@pytest.mark.parametrize("case", EVERY, ids=_called)
def test_it_trains_for_a_while(case):
    learn(*case, scenes(), steps=STEPS)
