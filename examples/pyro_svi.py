"""A model and a guide of this package, trained by Pyro's classic `SVI`.

Both are ordinary Pyro programs, so all of Pyro works on them. Note that `SVI` trains only the
parameters in Pyro's parameter store, and networks are added to it only by ``pyro.module``.
Without that call, SVI runs, reports a loss, and learns nothing.

    python examples/pyro_svi.py
"""

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor

from inference.guides import JointGuide
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.models import JointScene
from scene.views import VIEWS, Views


def main(steps: int = 100, seed: int = 0) -> list[float]:
    """Train without and with ``pyro.module``; return the latter's losses in nats per scene."""
    torch.manual_seed(seed)
    pyro.clear_param_store()
    scenes = SyntheticScenes("train", size=(32, 32), count=200)
    model = JointScene(scenes.schema, latent=16, width=8, learn_scale=True)
    guide = JointGuide(scenes.schema, VIEWS, latent=16, width=8)

    def p(views: Views) -> Tensor | None:
        pyro.module("model", model)
        z: Tensor | None = model(views)
        return z

    def q(views: Views) -> Tensor:
        pyro.module("guide", guide)
        z: Tensor = guide(views)
        return z

    elbo = Trace_ELBO(max_plate_nesting=1)
    before = [weight.detach().clone() for weight in guide.parameters()]
    SVI(model, guide, Adam({"lr": 1e-3}), elbo).step(scenes.views(range(32)))
    learnt = not all(map(torch.equal, guide.parameters(), before))
    print(f"Without pyro.module, a step trains the guide: {learnt}")

    svi = SVI(p, q, Adam({"lr": 3e-3}), elbo)
    losses = []
    for step in range(steps):
        batch = scenes.views(torch.randint(len(scenes), (32,)).tolist())
        losses.append(svi.step(batch) / len(batch))
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:4d}   loss {losses[-1]:9.1f} nats per scene")
    return losses


if __name__ == "__main__":
    main()
