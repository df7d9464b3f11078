"""Drawn grids: labels in their colours, files whole or absent, any name written as it is."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from scene.figures.grid import Panel, coloured, draw_grid, draw_scenes
from scene.labels import VOID, Labels
from scene.storage.outputs import require_free
from scene.views import Scene

PETS = Labels(("background", "cat"), ((0, 0, 0), (200, 30, 40)))
MASK = torch.tensor([[0, 1], [VOID, 1]])


def test_a_mask_is_painted_in_its_labels_colours():
    cream = (224, 224, 192)
    expected = [[(0, 0, 0), (200, 30, 40)], [cream, (200, 30, 40)]]
    assert (coloured(MASK, PETS) == np.array(expected)).all()
    assert (coloured(MASK.to(torch.uint8), PETS) == coloured(MASK, PETS)).all()


def test_a_grid_shows_the_pixels_it_was_given(tmp_path):
    """Flat panels come out as large patches of their own colour."""
    red = torch.tensor([0.8, 0.2, 0.4]).view(3, 1, 1).expand(3, 16, 16)
    mask = torch.ones(16, 16, dtype=torch.int64)
    draw_grid(tmp_path / "a.png", [[Panel(red, "red"), Panel(mask)], [Panel(), Panel(red)]], PETS)
    pixels = np.array(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    counts = {tuple(c): (pixels == c).all(1).sum() for c in ((204, 51, 102), (200, 30, 40))}
    assert counts[(204, 51, 102)] > counts[(200, 30, 40)] > 1000


def test_colours_outside_the_range_are_clamped(tmp_path):
    bright = torch.full((3, 16, 16), 1.5)
    draw_grid(tmp_path / "a.png", [[Panel(bright), Panel(-bright)]], PETS)
    assert (tmp_path / "a.png").is_file()


def test_the_same_panels_make_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        draw_grid(tmp_path / name, [[Panel(MASK, "one")]], PETS, title="twice")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["_hidden", "$x_1$", "a$b", "[red]", "ça va"])
def test_a_name_is_written_as_it_is(tmp_path, name, monkeypatch):
    """No name is taken for a formula, nor left out of the legend."""
    legends = []
    draw = Figure.legend

    def legend(self, *args, **kwargs):
        legends.append(draw(self, *args, **kwargs))
        return legends[-1]

    monkeypatch.setattr(Figure, "legend", legend)
    labels = Labels(("background", name))
    draw_grid(tmp_path / "a.png", [[Panel(MASK, name)]], labels, columns=[name], title=name)
    (result,) = legends
    texts = result.get_texts()
    assert [text.get_text().lstrip("\u200b") for text in texts] == ["background", name]
    assert not any(text.get_parse_math() for text in texts)


def test_scenes_of_a_dataset_are_drawn_whatever_they_lack(tmp_path):
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    mask = torch.zeros(16, 16, dtype=torch.uint8)
    scenes = [Scene(image, torch.ones(1), mask), Scene(image, None, None)] * 2
    draw_scenes(tmp_path / "new" / "a.png", scenes, PETS, wide=3)
    assert (tmp_path / "new" / "a.png").is_file()


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="disk full"):
        draw_grid(tmp_path / "a.png", [[Panel(MASK)]], PETS)
    assert not list(tmp_path.iterdir())


def test_what_may_not_be_written_to_is_refused(tmp_path):
    require_free(tmp_path / "a.png", False, suffix=".png")
    (tmp_path / "a.png").touch()
    with pytest.raises(FileExistsError, match=r"a\.png exists; choose another --out, or"):
        require_free(tmp_path / "a.png", False, suffix=".png")
    require_free(tmp_path / "a.png", True, suffix=".png")
    with pytest.raises(ValueError, match=r"call it a\.png\."):
        require_free(tmp_path / "a.jpg", True, suffix=".png")
    with pytest.raises(ValueError, match=r"is a folder; name a \.png file in it"):
        require_free(tmp_path, True, suffix=".png")
