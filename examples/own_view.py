"""A view of your own: outlines, with a decoder (p) and an encoder (q) of yours, in one TELBO."""

from typing import Any

import pyro.distributions as dist
import torch

from inference.guides import RetrofitGuide
from inference.objectives.bounds import ELBO
from inference.objectives.telbo import TELBO, subsets
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.models import JointScene
from scene.networks.decoders import Decoder
from scene.networks.encoders import Encoder
from scene.views import VIEWS, Schema, Views


class OutlinedScene(JointScene):
    """p(z) ∏ p(view | z) with one more view."""

    views = (*VIEWS, "outline")

    def __init__(self, schema: Schema, **choices: Any) -> None:
        super().__init__(schema, **choices)
        self.outline = Decoder(self.latent, 1, schema.size, width=16)

    def decode(self, z: Any, *rest: Any) -> dict[str, Any]:
        """Return also p(outline | z): a Bernoulli at each pixel."""
        own = {"outline": dist.Bernoulli(logits=self.outline(z)).to_event(3)}
        return {**super().decode(z, *rest), **(own if "outline" in rest[-1] else {})}


def outlined(views: Views) -> Views:
    """Add the view, ``(B, 1, H, W)``: 1 where the label is not that of the next column."""
    edge = (views["mask"].diff(append=views["mask"][..., -1:]) != 0)[:, None].float()
    return Views({**dict(views.items()), "outline": edge}, views.present, views.weights)


def main(steps: int = 300, size: int = 32) -> None:
    """Train, and print how well outlines are predicted from images and from themselves."""
    train = SyntheticScenes("train", size=(size, size))
    encoders = {"outline": lambda schema, width: Encoder(1, schema.size, width)}
    model = OutlinedScene(train.schema)
    guide = RetrofitGuide(train.schema, model.views, encoders=encoders)
    loss = TELBO(ELBO(), subsets=subsets("image,outline", model.views))(model, guide)
    adam = torch.optim.Adam(loss.parameters(), 3e-3)
    for batch in torch.randint(len(train), (steps, 32)).tolist():
        adam.zero_grad()
        loss(outlined(train.views(batch))).backward()
        adam.step()
    tests = outlined(SyntheticScenes("val", size=train.schema.size).views(range(64)))
    for given in ("image", "outline"):
        z = guide.eval().posterior(tests.only([given])).sample()
        said = model.eval().decode(z, None, ["outline"])["outline"].log_prob(tests["outline"])
        print(f"log p(outline | z), z from q(z | {given}): {said.mean():.1f} nats")


if __name__ == "__main__":
    main()
