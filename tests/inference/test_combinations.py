"""Choices that go together train, and those that do not are refused: every pair of them.

For each recipe, every two values of two settings occur together in some row; so with the recipe
every three do. All of them at once, for longer, are in tests/benchmarks/test_combinations.py.
"""

from itertools import combinations, product

import pytest
import torch

from inference.build import assemble
from inference.objectives.telbo import SUBSETS
from inference.settings.parts import GUIDES, OBJECTIVES, PRIORS
from inference.settings.recipes import RECIPES
from inference.settings.settings import OPTIONS
from inference.training.fit import Step, optimizer
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.views import VIEWS, Views

FACTORS = {
    "objective": tuple(OBJECTIVES),
    "guide": tuple(GUIDES),
    "subsets": (*SUBSETS, "image,image+mask"),
    "turns": OPTIONS["turns"].choice.choices,
    "retrofit_objective": tuple(OBJECTIVES),
    "retrofit": OPTIONS["retrofit"].choice.choices,
    "generator_gradients": OPTIONS["generator_gradients"].choice.choices,
    "particles": (1, 3),
    "prior": (*PRIORS, "learned"),
    "hybrid": (0.0, 0.5),
    "noise": OPTIONS["noise"].choice.choices,
    "mask_first": (False, True),
}
"""What is combined, and its values."""

TRAINED = [name for name in RECIPES if name not in ("sec", "details")]
"""Recipes that learn from views alone; the others take none of the factors."""

LATENT = ("cvae", "jvae", "jmvae", "telbo")
"""Recipes that take most of the factors."""

SMALL = {
    "size": (16, 16), "batch_size": 8, "latent": 3, "width": 2, "guide_width": 2,
    "backbone_weights": "none",
}  # fmt: skip


def senseless(recipe, factor, value):
    """Say whether a recipe cannot use a value: as it is refused, so it is left out here."""
    if not RECIPES[recipe].takes(factor):
        return True
    if factor == "prior":
        return value not in RECIPES[recipe].priors
    alone = ("joint", "none") if RECIPES[recipe].form in ("telbo", "jmvae") else ("none",)
    return factor == "guide" and value in alone


def sensible(recipe):
    """List the factors of a recipe, each with the values that it can use."""
    kept = {f: [v for v in vs if not senseless(recipe, f, v)] for f, vs in FACTORS.items()}
    return {factor: values for factor, values in kept.items() if values}


def covering(factors):
    """Choose rows in which every two values of two factors meet: greedily, in a fixed order."""
    names = list(factors)
    missing = [
        frozenset({(a, x), (b, y)})
        for a, b in combinations(names, 2)
        for x, y in product(factors[a], factors[b])
    ]
    missing = dict.fromkeys(missing or [frozenset({(a, x)}) for a in names for x in factors[a]])
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for name in names:
            if name not in row:
                row[name] = max(factors[name], key=lambda v: _gain(row, name, v, missing))
        met = set(map(frozenset, combinations(row.items(), 2))) | {frozenset(row.items())}
        missing = {pair: None for pair in missing if pair not in met}
        rows.append({name: row[name] for name in names})
    return rows or [{}]


def _gain(row, name, value, missing):
    return sum(frozenset({(name, value), other}) in missing for other in row.items())


def build(recipe, row):
    """Assemble a small one, for generated scenes."""
    small = {name: value for name, value in SMALL.items() if RECIPES[recipe].takes(name)}
    if row.get("prior") == "ladder":
        small |= {"spatial": 1, "cell": 8}
    settings = RECIPES[recipe].settings(**small, **row)
    return settings, assemble(settings, SyntheticScenes("train", size=(16, 16), count=1).schema)


def learn(recipe, row, views, steps):
    """Take steps; every loss, and every parameter at the end, must be a finite number."""
    settings, assembly = build(recipe, row)
    step = Step(assembly).train()
    before = [p.detach().clone() for p in step.parameters()]
    adam = optimizer(settings, step)
    torch.manual_seed(0)
    for _ in range(steps):
        loss, _ = step(views)
        assert loss.isfinite(), row
        adam.zero_grad()
        loss.backward()
        adam.step()
    after = list(step.parameters())
    assert all(bool(p.isfinite().all()) for p in after), row
    assert any(not torch.equal(p, q) for p, q in zip(before, after, strict=True)), row


def scenes():
    """Make 8 scenes, some of which lack classes, or a mask, or both."""
    whole = SyntheticScenes("train", size=(16, 16), count=8).views(range(8))
    lacking = {"classes": torch.arange(8) % 4 == 1, "mask": torch.arange(8) % 3 == 2}
    return Views(
        {name: whole[name] for name in VIEWS}, {name: ~gone for name, gone in lacking.items()}
    )


ROWS = [(name, row) for name in TRAINED for row in covering(sensible(name))]

REFUSED = [
    (name, {factor: value})
    for name in RECIPES
    for factor, values in FACTORS.items()
    for value in (values if RECIPES[name].takes(factor) else values[:1])
    if senseless(name, factor, value)
]


def _called(case):
    return "-".join(map(str, (case[0], *case[1].values())))


@pytest.mark.parametrize("recipe", TRAINED)
def test_every_two_values_meet_and_the_same_rows_are_chosen_again(recipe):
    factors, rows = sensible(recipe), covering(sensible(recipe))
    met = {pair for row in rows for pair in combinations(row.items(), 2)}
    for a, b in combinations(factors, 2):
        assert {((a, x), (b, y)) for x, y in product(factors[a], factors[b])} <= met
    assert rows == covering(factors)


def test_what_makes_sense_is_the_majority():
    """Of the rows, and of every recipe's whole product."""
    assert len(ROWS) > 2 * sum(recipe in LATENT for recipe, _ in REFUSED)
    for recipe in LATENT:
        taken = [f for f in FACTORS if RECIPES[recipe].takes(f)]
        choices = {**FACTORS, "prior": RECIPES[recipe].priors}
        every = torch.tensor([len(choices[f]) for f in taken]).prod()
        kept = torch.tensor([len(values) for values in sensible(recipe).values()]).prod()
        assert 2 * kept > every


@pytest.mark.parametrize("case", ROWS, ids=_called)
def test_choices_that_go_together_train(case):
    learn(*case, scenes(), steps=5)


@pytest.mark.parametrize("case", REFUSED, ids=_called)
def test_choices_that_do_not_are_refused_in_a_sentence(case):
    with pytest.raises((ValueError, LookupError)) as refusal:
        build(*case)
    sentence = str(refusal.value)
    assert sentence[0].isupper() or sentence.startswith("--")
    assert sentence.endswith(".")
    assert "\n" not in sentence
