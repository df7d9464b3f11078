"""Scenes of two pets, at a size that no grid divides."""

import pytest
import torch

from scene.labels import VOID, Labels
from scene.views import Schema, Views


@pytest.fixture
def schema():
    return Schema(Labels(("background", "cat", "dog")), (20, 18))


@pytest.fixture
def views():
    """Make 4 scenes of every view, with void pixels; the last has no mask."""
    draw = torch.Generator().manual_seed(3)
    mask = torch.randint(3, (4, 20, 18), generator=draw)
    mask[:, :2] = VOID
    classes = torch.randint(2, (4, 2), generator=draw).float()
    tensors = {"image": torch.rand(4, 3, 20, 18, generator=draw), "classes": classes, "mask": mask}
    return Views(tensors, {"mask": torch.tensor([True, True, True, False])})
