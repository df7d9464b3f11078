"""Your own recipe: MVAE, with an objective of several terms.

MVAE (Wu & Goodman 2018, https://arxiv.org/abs/1802.05335, section 2.2) maximises the ELBO of all
views, the ELBO of each view alone, and the ELBOs of some random subsets (left out here). A recipe
names a model, a function that builds the objective, the options it uses, and their defaults:

    scene train examples/own_recipe.py:MVAE --steps 300
    scene train examples/own_recipe.py:MVAE --help
"""

from typing import Any

from torch import Tensor

from inference import train
from inference.build import bound_of
from inference.objectives.bounds import Bound, Objective, Term
from inference.settings.recipes import RECIPES, Recipe
from inference.settings.settings import Settings
from scene.views import VIEWS, Views


class SumOfELBOs(Objective):
    """ELBO(all views) + Σ ELBO(each view alone), each with the posterior given its own views."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound.num_particles)
        self.bound = bound

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Return a term for each set of views that at least one scene has."""
        terms = {}
        for name, seen in {"joint": VIEWS, **{view: (view,) for view in VIEWS}}.items():
            terms[name] = self.bound.term(model, guide, views, given=seen, scored=seen)
        return {name: term for name, term in terms.items() if term is not None}

    def total(self, terms: Any, views: Views) -> Tensor:
        """Return the sum of the terms; `Objective` would return their mean."""
        return super().total(terms, views) * max(len(terms), 1)


def _objective(settings: Settings, model: Any, guide: Any) -> Objective:
    return SumOfELBOs(bound_of(settings))


MVAE = Recipe(
    "MVAE: the ELBO of all views and of each alone.", "scene.models:JointScene", _objective,
    uses=RECIPES["jvae"].uses, defaults={"guide": "poe", "objective": "elbo"},
)  # fmt: skip


def main(**settings: Any) -> None:
    """Train MVAE, and print its score for masks predicted from images."""
    fitted = train(f"{__file__}:MVAE", **settings)
    print(fitted.evaluate(directions=[(["image"], "mask")]))


if __name__ == "__main__":
    main()
