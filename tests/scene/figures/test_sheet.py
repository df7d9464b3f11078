"""Contact sheets: photographs keep their shape, overlays their colours, and nothing is cut off."""

import pytest
import torch

from scene.figures.sheet import BOX, COLUMNS, draw_sheet, labels_by_area, thumbnail
from scene.images.io import read_image
from scene.labels import VOID, Labels

LABELS = Labels(("background", "cat", "dog"))


def _grey(height, width):
    return torch.full((3, height, width), 100, dtype=torch.uint8)


@pytest.mark.parametrize("size", [(600, 400), (30, 40), (5, 900), (150, 200)])
def test_a_thumbnail_fills_its_box_with_the_whole_photograph(size):
    one = thumbnail("a", _grey(*size), torch.zeros(size, dtype=torch.uint8), LABELS)
    height, width = one.photo.shape[1:]
    assert one.overlay.shape == one.photo.shape
    assert height == BOX[0] or width == BOX[1]
    assert height <= BOX[0]
    assert width <= BOX[1]
    assert abs(height - size[0] * min(BOX[0] / size[0], BOX[1] / size[1])) <= 1


def test_labels_stand_in_the_order_of_their_areas_and_void_is_none():
    mask = torch.tensor([[2, 2, 2], [0, VOID, VOID]])
    assert labels_by_area(mask, LABELS) == (2, 0)
    assert thumbnail("a", _grey(2, 3), mask, LABELS).ids == (2, 0)


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 1])
def test_a_sheet_has_as_many_columns_as_it_needs(tmp_path, count):
    mask = torch.ones(60, 80, dtype=torch.uint8)
    some = [thumbnail(f"{'long/' * 40}{i}", _grey(60, 80), mask, LABELS) for i in range(count)]
    draw_sheet(tmp_path / "sheet.png", some, LABELS, "pets")
    page = read_image(tmp_path / "sheet.png")
    assert page.shape[2] // (2 * BOX[1]) == min(count, COLUMNS)
    photos = (page == 100).all(0).sum()
    assert photos >= count * BOX[0] * BOX[1]  # all of each photograph is on the page
    red = torch.tensor([114, 50, 50]).view(3, 1, 1)  # halfway from grey to the red of cats
    assert (page == red).all(0).sum() >= count * BOX[0] * BOX[1]
