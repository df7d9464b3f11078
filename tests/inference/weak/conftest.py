"""A small classifier, and the slow, literal way to its maps."""

import pytest
import torch

from scene.classifiers import classifier


@pytest.fixture(scope="session")
def nets():
    """Make each classifier at most once: VGG-16 has 134 million weights to draw."""
    made = {}

    def make(name="small"):
        if name not in made:
            torch.manual_seed(0)
            made[name] = classifier(name, 5, width=4).eval()
        return made[name]

    return make


@pytest.fixture(scope="session")
def literal():
    """Give Grad-CAM as its paper puts it: hooks on a layer, one backward pass a class."""

    def maps(net, images, layer):
        kept = {}

        def keep(module, into, out):
            kept["maps"] = out
            out.retain_grad()

        hook = getattr(net.stages, layer).register_forward_hook(keep)
        found = []
        try:
            for c in range(5):
                net.zero_grad()
                net(images)[:, c].sum().backward()
                alpha = kept["maps"].grad.mean((2, 3), keepdim=True)
                found.append((alpha * kept["maps"]).sum(1).relu().detach())
        finally:
            hook.remove()
        return torch.stack(found, 1)

    return maps
