"""Figures in any script: a font that has the letters is found, or one line says that none has."""

import logging

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from scene.figures import fonts as lettering
from scene.figures.fonts import fonts_for, save_figure, set_title
from scene.figures.grid import draw_scenes
from scene.images.legend import with_legend
from scene.labels import Labels
from scene.views import Scene

STRANGE = "\u1d84"  # of the fonts that matplotlib brings along, STIX has it and DejaVu Sans not
CJK = "猫犬鳥魚虫"


@pytest.fixture(autouse=True)
def anew():
    """Say again what is said once."""
    lettering.note_lost.cache_clear()


def _drawn(path, title):
    figure = Figure(figsize=(2, 1))
    axis = figure.subplots()
    axis.set_title(title)
    axis.set_xticks([0, 1], [title, "b"])
    save_figure(figure, path)
    with Image.open(path) as picture:
        return picture.convert("L").tobytes()


def test_a_font_that_has_the_letter_is_found(tmp_path, caplog, monkeypatch):
    result, lost = fonts_for(STRANGE)
    assert len(result) == 1
    assert not lost
    lettered = _drawn(tmp_path / "a.png", STRANGE)
    assert not caplog.records
    monkeypatch.setattr(lettering, "_fonts", tuple)
    assert _drawn(tmp_path / "a.png", STRANGE) != lettered


def test_letters_that_no_font_has_are_named_in_one_line(tmp_path, caplog, monkeypatch):
    """Warnings are errors here: Matplotlib's own, one a letter, do not come through."""
    monkeypatch.setattr(lettering, "_fonts", tuple)
    for _ in range(2):
        _drawn(tmp_path / "a.png", CJK)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()
    assert "no font on this machine has the letters 犬猫虫魚鳥" in record.getMessage()


def test_other_warnings_come_through(tmp_path):
    figure = Figure(figsize=(0.4, 0.4), layout="constrained")
    figure.subplots(3, 3)
    with pytest.warns(UserWarning, match="constrained_layout not applied"):
        save_figure(figure, tmp_path / "a.png")


def test_a_damaged_font_is_passed_by(tmp_path, monkeypatch):
    (tmp_path / "a.ttf").write_text("no font")
    monkeypatch.setattr(lettering, "_fonts", lambda: (("a", str(tmp_path / "a.ttf")),))
    assert fonts_for("a") == ({}, frozenset("a"))


def test_pictures_of_scenes_take_labels_of_any_script(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(lettering, "_fonts", tuple)
    labels = Labels(("background", "猫", "كلب"))
    mask = torch.randint(3, (16, 16), dtype=torch.uint8)
    scene = Scene(torch.rand(3, 16, 16), labels.vector(mask), mask, "猫")
    draw_scenes(tmp_path / "a.png", [scene], labels)
    with_legend(torch.zeros(3, 64, 64, dtype=torch.uint8), labels, [0, 1, 2])
    (record,) = caplog.records
    assert "has the letters 猫:" in record.getMessage()


def test_every_line_fits_and_no_word_is_lost():
    figure = Figure(figsize=(2.5, 2), dpi=110)
    title = "a long title about gradients of every generator\nand its second line"
    set_title(figure, title)
    (text,) = figure.texts
    assert text.get_window_extent().width < figure.bbox.width
    assert text.get_text().split() == title.split()
    assert "\nand its" in text.get_text()


def test_without_a_title_there_is_none():
    figure = Figure()
    set_title(figure, "")
    assert figure.texts == []
