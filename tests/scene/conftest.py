"""Scenes of two pets of which one lacks its mask."""

import pytest
import torch

from scene.views import Views


@pytest.fixture
def views(pets_views):
    """Make 4 scenes of every view, with void pixels; the last has no mask."""
    whole = pets_views(4)
    return Views(dict(whole.items()), {"mask": torch.tensor([True, True, True, False])})
