"""Your own dataset: discs on grey, generated from seeds; any source of images and masks works.

A dataset is a class that is constructed as ``Name(split, size, count)``, has a schema (labels and
size), and returns scenes by index. Views that a scene lacks are None:

    scene data preview examples/own_dataset.py:Discs
    scene train segmenter --data examples/own_dataset.py:Discs --steps 200
"""

from typing import Any

import torch

from inference import train
from scene.datasets.base import SceneDataset
from scene.labels import Labels
from scene.views import Scene, Schema


class Discs(SceneDataset):
    """Scenes with one or two discs, red or blue, on grey noise."""

    splits = ("train", "val")
    name = "discs"

    def __init__(self, split: str, size: tuple[int, int], count: int | None = None) -> None:
        colours = ((0, 0, 0), (220, 40, 40), (40, 40, 220))
        self.schema = Schema(Labels(("background", "red", "blue"), colours), size)
        self.split, self.length = split, count or 400

    def __len__(self) -> int:
        """Return the number of scenes."""
        return self.length

    def __getitem__(self, index: int) -> Scene:
        """Return one scene; the same index gives the same scene."""
        i = range(len(self))[index]
        rng = torch.Generator().manual_seed(2 * i + (self.split == "val"))
        height, width = self.schema.size
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        mask = torch.zeros(height, width, dtype=torch.uint8)
        for label in (1 + torch.randperm(2, generator=rng))[: 1 + i % 2].tolist():
            cy, cx, radius = (torch.rand(3, generator=rng) * min(height, width)).tolist()
            mask[(y - cy) ** 2 + (x - cx) ** 2 < (radius / 3 + 3) ** 2] = label
        colours = torch.tensor(self.schema.labels.colours)[mask.long()].permute(2, 0, 1)
        noise = 20 * torch.randn(3, height, width, generator=rng) + 110 * (mask == 0)
        image = (colours + noise).clamp(0, 255).to(torch.uint8)
        return Scene(image, self.schema.labels.vector(mask[None])[0], mask, f"disc {i}")


def main(**settings: Any) -> None:
    """Train a segmenter on this dataset, and print its score."""
    fitted = train("segmenter", data=f"{__file__}:Discs", **settings)
    print(fitted.evaluate(directions=[(["image"], "mask")]))


if __name__ == "__main__":
    main()
