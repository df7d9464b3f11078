"""A small classifier, and the slow, literal way to its maps."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from scene.networks.classifiers import make_classifier
from scene.networks.feature_maps import Classifier


def headed():
    """Make a classifier with a head like VGG's, small enough to have more cells than it pools."""
    stages = OrderedDict(
        low=nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()),
        high=nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()),
    )
    judge = nn.Sequential(
        nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Linear(8 * 9, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 12), nn.ReLU(),
        nn.Dropout(), nn.Linear(12, 5),
    )  # fmt: skip
    return Classifier(stages, judge, "high")


@pytest.fixture(scope="session")
def nets():
    """Make each classifier at most once: VGG-16 has 134 million weights to draw."""
    cache = {}

    def make(name="small"):
        if name not in cache:
            torch.manual_seed(0)
            net = headed() if name == "headed" else make_classifier(name, 5, width=4)
            cache[name] = net.eval()
        return cache[name]

    return make


@pytest.fixture(scope="session")
def literal():
    """Give Grad-CAM as its paper puts it: hooks on a layer, one backward pass a class."""

    def maps(net, images, layer):
        kept = []
        hook = getattr(net.stages, layer).register_forward_hook(lambda *seen: kept.append(seen[2]))
        try:
            logits = net(images)
        finally:
            hook.remove()
        result = []
        for c in range(logits.shape[1]):
            (gradient,) = torch.autograd.grad(logits[:, c].sum(), kept[0], retain_graph=True)
            alpha = gradient.mean((2, 3), keepdim=True)
            result.append((alpha * kept[0]).sum(1).relu().detach())
        return torch.stack(result, 1)

    return maps
