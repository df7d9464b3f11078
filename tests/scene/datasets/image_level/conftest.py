"""Photographs without labels, and ways to read labels and the files of bad ones."""

import pytest
import torch

from scene.images.io import write_image


@pytest.fixture
def photographs(tmp_path):
    """Give a way to write small photographs into a folder ``pets``, by their paths in it."""
    root = tmp_path / "pets"
    root.mkdir()

    def write(*names):
        for name in names:
            write_image(root / name, torch.full((3, 20, 24), 90, dtype=torch.uint8))
        return root

    return write


@pytest.fixture
def labelled():
    """Give the classes of each photograph of an index, by its path, as sorted lists."""
    return lambda index: {image.file: sorted(image.classes) for image in index.images}
