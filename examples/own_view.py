"""Your own view: outlines, with their own decoder (p) and encoder (q), in one TELBO.

A view needs a decoder, an encoder, and a function that computes it from a dataset's views:
    scene train examples/own_view.py:OUTLINES
"""

from dataclasses import replace
from typing import Any, ClassVar

import pyro.distributions as dist

from inference import train
from inference.settings.recipes import RECIPES
from scene.models import JointScene
from scene.networks.decoders import Decoder
from scene.networks.encoders import Encoder
from scene.views import VIEWS, Schema, Views


class OutlinedScene(JointScene):
    """p(z) ∏ p(view | z) with the view outline, ``(B, 1, H, W)``: 1 where the label changes."""

    views = (*VIEWS, "outline")
    encoders: ClassVar[Any] = {"outline": lambda s, width: Encoder(1, s.size, width)}

    def __init__(self, schema: Schema, **choices: Any) -> None:
        super().__init__(schema, **choices)
        self.outline = Decoder(self.latent, 1, schema.size, width=16)

    def extend(self, views: Views) -> Views:
        """Return the views with outlines, computed from masks."""
        edge = (views["mask"].diff(append=views["mask"][..., -1:]) != 0)[:, None].float()
        extended = {**dict(views.items()), "outline": edge}
        return Views(extended, views.present, views.likelihood_weights)

    def decode(self, z: Any, *rest: Any) -> dict[str, Any]:
        """Return the likelihoods, including p(outline | z), a Bernoulli at each pixel."""
        own = {"outline": dist.Bernoulli(logits=self.outline(z)).to_event(3)}
        return {**super().decode(z, *rest), **(own if "outline" in rest[-1] else {})}


DEFAULTS = {**RECIPES["telbo"].defaults, "subsets": "image,outline", "prior": "standard"}
OUTLINES = replace(RECIPES["telbo"], model=OutlinedScene, defaults=DEFAULTS)


def main(**settings: Any) -> None:
    """Train, and print log p(outline | z) for z inferred from images and from outlines."""
    fitted = train(f"{__file__}:OUTLINES", **settings)
    tests: Any = fitted.model.extend(fitted.dataset("val").views(range(64)))
    for given in ("image", "outline"):
        z = fitted.guide.posterior(tests.only([given])).sample()
        likelihood: Any = fitted.model.decode(z, None, ["outline"])["outline"]
        score = likelihood.log_prob(tests["outline"]).mean()
        print(f"log p(outline | z), z from q(z | {given}): {score:.1f} nats")


if __name__ == "__main__":
    main()
