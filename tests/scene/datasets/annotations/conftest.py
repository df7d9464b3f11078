"""Photographs without masks, in a folder that annotations are written beside."""

import json

import pytest
import torch

from scene.datasets.catalogue import image_index, open_data, splits_of
from scene.images.io import write_image


@pytest.fixture
def photographs(tmp_path):
    """Give a way to write photographs of a size into a folder ``pets``, by their paths in it."""
    root = tmp_path / "pets"
    root.mkdir()

    def write(*names, size=(20, 24)):
        for name in names:
            write_image(root / name, torch.full((3, *size), 90, dtype=torch.uint8))
        return root

    return write


@pytest.fixture
def written():
    """Give a way to write JSON or text to a path."""

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def masks():
    """Give the masks of a source: for each scene, the name of every pixel's label."""

    def read(source):
        assert image_index(str(source)) is None
        result = {}
        for split in splits_of(str(source)):
            dataset = open_data(str(source), split, (16, 16))
            for i in range(len(dataset)):
                mask = dataset.original(i).mask
                name = dataset.entries[i].name
                result[name] = None if mask is None else named(mask, dataset.schema.labels)
        return result

    return read


def named(mask, labels):
    """Give the name of every pixel's label, as lists; None = void."""
    names = [*labels.names, *[None] * (256 - len(labels.names))]
    return [[names[i] for i in row] for row in mask.tolist()]
