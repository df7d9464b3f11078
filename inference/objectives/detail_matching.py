"""Flow matching of details: a flow learns what images have beyond the means of their decoder."""

from __future__ import annotations

from typing import Any

import torch

from scene.detailed import DetailedScene, conditioning_images
from scene.views import Views

from .bounds import Objective, Term


class DetailMatching(Objective):
    """Minus the squared error of the velocity from noise to details, a number of an image.

    Details are an image less the mean that is decoded from z, in units of their deviation; z is
    drawn from the guide's posterior given all views of a scene.

    Source:
        Lipman et al. (2023), Flow Matching for Generative Modeling, eq. 22 and 23 with
        σ_min = 0, https://arxiv.org/abs/2210.02747
    """

    def conditionings(self, guide: Any) -> frozenset[frozenset[str]]:
        """List the views of the guide, together."""
        return frozenset({frozenset(guide.views)})

    def terms(self, model: Any, guide: Any, views: Views) -> dict[str, Term]:
        """Work out the one term, on the scenes that have an image and a posterior."""
        assert isinstance(model, DetailedScene)
        guide.eval()  # which stays as it is
        usable = views.having(tuple({"image", *guide.views}))
        if not bool(usable.any()):
            return {}
        views = views.rows(usable)
        image = views["image"]
        with torch.no_grad():
            z = guide.posterior(views.only(guide.views)).sample()
            mean, labels = model.mean_and_labels(z, views)
            conditions = conditioning_images(mean, labels, model.scene.label_count)
        end = model.standardised(image - mean)
        start, time = torch.randn_like(end), torch.rand(len(end), device=end.device)
        middle = torch.lerp(start, end, time[:, None, None, None])
        velocity = model.velocity(middle, time, conditions)
        error = (velocity - (end - start)).square().mean()
        return {"details": Term(-error, len(end), {"loss": error.detach()})}
