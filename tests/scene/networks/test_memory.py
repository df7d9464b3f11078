"""The memory of frozen feature maps: read once, the same whatever the batch, never stale."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from scene.networks.feature_maps import Classifier
from scene.networks.memory import Memory, remembering


@pytest.fixture
def net():
    torch.manual_seed(0)
    stages = OrderedDict(
        first=nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        last=nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()),
    )
    judge = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    made = Classifier(stages, judge, "last")
    made.freeze(1)
    return made.train()


@pytest.fixture
def read(net):
    """How many images the frozen stage has read."""
    counts = []
    net.frozen[0].register_forward_hook(lambda module, inputs, output: counts.append(len(output)))
    return counts


IMAGES = torch.rand(5, 3, 8, 9, generator=torch.Generator().manual_seed(1))


def test_an_image_is_read_once_and_its_maps_are_rounded(net, read):
    usual = net.maps(IMAGES)
    read.clear()
    with remembering():
        first, second = net.maps(IMAGES), net.maps(IMAGES.flip(0)).flip(0)
    assert sum(read) == len(IMAGES)
    torch.testing.assert_close(first, usual, atol=2e-3, rtol=0)
    assert first.equal(second)


def test_maps_do_not_depend_on_the_batch_nor_on_what_is_remembered(net):
    with remembering():
        alone = torch.cat([net.maps(image[None]) for image in IMAGES])
    with remembering(limit=0):
        together = net.maps(IMAGES)
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)


def test_what_learns_still_learns(net):
    with remembering():
        net(IMAGES).sum().backward()
    assert all(p.grad is None for p in net.frozen.parameters())
    assert all(p.grad.any() for p in net.judge.parameters())
    assert net.stages[1][0].weight.grad.any()


def test_other_weights_give_other_maps(net, read):
    with remembering():
        before = net.maps(IMAGES, "first")
        with torch.no_grad():
            net.frozen[0][0].weight.mul_(2)
        after = net.maps(IMAGES, "first")
        expected = net.frozen((IMAGES - net.mean) / net.deviation)
        torch.testing.assert_close(after, expected, atol=9e-3, rtol=0)
    assert not before.equal(after)


def test_networks_with_equal_frozen_stages_share(net, read):
    other = Classifier(OrderedDict(net.stages.named_children()), nn.Sequential(), "last")
    other.freeze(1)
    with remembering():
        net.maps(IMAGES)
        count = sum(read)
        other.maps(IMAGES)
    assert sum(read) == count


def test_no_more_is_kept_than_allowed(net, read):
    limit = 2 * (4 * 8 * 9) * 2
    with remembering(limit) as memory:
        for _ in range(3):
            net.maps(IMAGES)
        assert memory.size == limit
    assert sum(read) == 5 + 3 + 3


def test_nothing_is_remembered_where_everything_learns_or_outside(net, read):
    net.maps(IMAGES)
    net.maps(IMAGES)
    assert sum(read) == 10
    net.frozen.requires_grad_(True)
    with remembering() as memory:
        net.maps(IMAGES)
    assert memory.size == 0


def test_an_inner_context_uses_the_outer_ones_memory(net):
    with remembering() as outer:
        with remembering() as inner:
            assert inner is outer
        net.maps(IMAGES)
        assert outer.size
    assert isinstance(outer, Memory)
