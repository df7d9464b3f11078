"""Overlays: half photograph, half colour, and untouched where nothing is known."""

import torch

from scene.images.overlay import overlaid
from scene.labels import VOID, Labels

PETS = Labels(("background", "cat"), ((0, 0, 0), (200, 30, 40)))


def test_opacity_runs_from_the_photograph_to_the_colours():
    image = torch.randint(256, (3, 4, 5), dtype=torch.uint8)
    mask = torch.randint(2, (4, 5))
    assert overlaid(image, mask, PETS, 0).equal(image)
    colours = torch.from_numpy(PETS.palette)[mask].movedim(2, 0)
    assert overlaid(image, mask, PETS, 1).equal(colours)


def test_void_shows_the_photograph():
    image = torch.randint(256, (3, 4, 5), dtype=torch.uint8)
    assert overlaid(image, torch.full((4, 5), VOID), PETS).equal(image)
