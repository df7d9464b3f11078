import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from inference.settings.settings import Settings
from inference.training.fit import optimizer, set_rate


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.scores = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1)


def made(name, module=None):
    return optimizer(Settings("telbo").changed(optimizer=name, learning_rate=0.5), module or Net())


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", Adam), ("adamw", AdamW), ("sgd", SGD), ("layerwise", SGD)]
)
def test_an_optimizer_is_made_by_its_name(name, kind):
    result = made(name)
    assert type(result) is kind
    assert sum(len(group["params"]) for group in result.param_groups) == 4


def test_what_does_not_learn_is_left_out():
    net = Net()
    net.body.requires_grad_(False)
    assert sum(len(group["params"]) for group in made("layerwise", net).param_groups) == 2


def test_layers_learn_at_the_paces_of_the_published_recipe():
    """Biases 2×, without decay; the last layer 10× and 20×."""
    net = Net()
    result = made("layerwise", net)
    set_rate(result, 0.1)
    rates = {
        id(p): (group["lr"], group["weight_decay"], group["momentum"])
        for group in result.param_groups
        for p in group["params"]
    }
    assert rates[id(net.body.weight)] == (0.1, 5e-4, 0.9)
    assert rates[id(net.body.bias)] == (0.2, 0, 0.9)
    assert rates[id(net.scores.weight)] == (1.0, 5e-4, 0.9)
    assert rates[id(net.scores.bias)] == (2.0, 0, 0.9)


def test_paces_survive_a_checkpoint():
    """They are part of what is saved of an optimizer, so a resumed run keeps them."""
    result = made("layerwise")
    again = made("layerwise")
    for group in again.param_groups:
        group["pace"] = 7
    again.load_state_dict(result.state_dict())
    set_rate(again, 1.0)
    assert [group["lr"] for group in again.param_groups] == [1.0, 2.0, 10.0, 20.0]


def test_without_paces_all_learn_alike():
    result = made("sgd")
    set_rate(result, 0.25)
    assert [group["lr"] for group in result.param_groups] == [0.25]


def test_a_step_moves_each_parameter_by_its_pace():
    net = nn.ModuleDict({"fc": nn.Linear(1, 1), "scores": nn.Linear(1, 1)})
    for p in net.parameters():
        p.data.zero_()
        p.grad = torch.ones_like(p)
    result = made("layerwise", net)
    set_rate(result, 1e-3)
    result.step()
    moved = [-p.item() for p in net.parameters()]
    assert moved == pytest.approx([1e-3, 2e-3, 1e-2, 2e-2])
