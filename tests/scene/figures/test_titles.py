"""Titles: no line is wider than its figure."""

from matplotlib.figure import Figure

from scene.figures.fonts import entitle


def test_every_line_fits_and_no_word_is_lost():
    figure = Figure(figsize=(2.5, 2), dpi=110)
    title = "a long title about gradients of every generator\nand its second line"
    entitle(figure, title)
    (text,) = figure.texts
    assert text.get_window_extent().width < figure.bbox.width
    assert text.get_text().split() == title.split()
    assert "\nand its" in text.get_text()


def test_without_a_title_there_is_none():
    figure = Figure()
    entitle(figure, "")
    assert figure.texts == []
