"""The hybrid bound of a conditional model: it also predicts from its prior, as it will be used."""

from __future__ import annotations

from collections.abc import Mapping

import pyro
from torch import Tensor, nn

from scene.models import SceneModel
from scene.views import Views

from .bounds import Bound, Objective, Term


class Hybrid(Objective):
    """A bound with z from the guide, and the likelihood with z from the prior, weighed together.

    A cVAE learns with z of a posterior that has seen the mask, and predicts with z of a prior
    that has not. Where the first tells more than the second can know, the generator leans on it
    and its predictions are poor, however good the bound. The other term trains what is used.

    Args:
        joint: The bound; its K and weights are those of both terms.
        share: Of the term with z from the prior, from 0 to 1.

    Source:
        Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional
        Generative Models, eq. 7 (with 1 − α for ``share``) and 6 (the term, there called GSNN).
    """

    def __init__(self, joint: Bound, share: float = 0.5) -> None:
        super().__init__(joint.num_particles)
        self.joint, self.share = joint, share

    def warm(self, fraction: float) -> None:
        """Set the fraction of β that is in force in the bound."""
        super().warm(fraction)
        self.joint.warm(fraction)

    def terms(self, model: SceneModel, guide: nn.Module, views: Views) -> dict[str, Term]:
        """Work out the bound, and the term whose z come from the prior."""
        found = self.joint.terms(model, guide, views)
        if found:
            unseen = self.joint.term(
                model, _Prior(model), views, given=model.conditions, scored=model.views
            )
            assert unseen is not None  # the prior asks for no more than the guide
            found["prior"] = unseen
        return found

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Weigh the two."""
        if not terms:
            return super().total(terms, views)
        return (1 - self.share) * terms["joint"].bound + self.share * terms["prior"].bound


class _Prior(nn.Module):
    """A guide that believes what the model does before it has seen anything but the conditions."""

    def __init__(self, model: SceneModel) -> None:
        super().__init__()
        self._model = (model,)  # not a part of this one

    def forward(self, views: Views) -> Tensor:
        prior = self._model[0].prior(views)
        assert prior is not None
        with pyro.plate("scenes", len(views), dim=-1):
            return pyro.sample("z", prior)  # type: ignore[no-any-return]
