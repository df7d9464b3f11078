"""Inference in a dense CRF by mean field and by Gibbs sampling, side by side.

Random noise corrupts the labels of generated scenes, and both methods denoise them with the same
model: nearby pixels agree, and nearby pixels of similar colour agree more. Gibbs sampling is exact
in the limit, but slow. Mean field is fast, and close to exact where pixels are confident. The
figure shows both side by side, with the CPU time of each.

    python examples/mean_field_and_gibbs.py
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from inference.crf.engines import Field
from inference.crf.exact import Exact
from inference.crf.gibbs import gibbs
from inference.crf.kernels import Appearance, Smoothness
from inference.crf.meanfield import logits_of_labels
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.figures.grid import Panel, draw_grid

KERNELS = (
    Smoothness(sigma=1.0, weight=1.5, self_term=False),
    Appearance(sigma_xy=6.0, sigma_rgb=25.0, weight=3.0, self_term=False),
)
WRONG, CONFIDENCE = 0.55, 0.4
"""The share of labels replaced at random, and the model's probability that a label is right."""


def main(
    scenes: int = 3,
    size: int = 32,
    sweeps: int = 60,
    chains: int = 16,
    seed: int = 0,
    out: str = "mean_field_and_gibbs.png",
) -> list[float]:
    """Draw the figure; return the total variation between the two methods for each scene."""
    data = SyntheticScenes("test", size=(size, size), count=scenes)
    labels, random = data.schema.labels, torch.Generator().manual_seed(seed)
    views, rows, apart = data.views(range(scenes)), [], []
    for image, mask in zip(views["image"], views["mask"], strict=True):
        noise = torch.randint(len(labels.names), mask.shape, generator=random)
        given = torch.where(torch.rand(mask.shape, generator=random) < WRONG, noise, mask)
        logits = logits_of_labels(given, len(labels.names), CONFIDENCE)
        colours = (255 * image).permute(1, 2, 0)
        field = Field(logits.unsqueeze(0), colours.unsqueeze(0), KERNELS)
        near, quick = timed(partial(Exact().marginals, field, 10))
        drawn, slow = timed(partial(gibbs, field, sweeps, chains=chains, seed=seed))
        apart.append(float((near - drawn).abs().sum(1).mean() / 2))
        rows.append(
            [
                Panel(image),
                Panel(given, right(given, mask)),
                Panel(near[0].argmax(0), f"{right(near[0].argmax(0), mask)}, {quick}"),
                Panel(drawn[0].argmax(0), f"{right(drawn[0].argmax(0), mask)}, {slow}"),
            ]
        )
        print(f"mean field {quick}, Gibbs {slow}; total variation {apart[-1]:.4f}")
    columns = ("image", "labels given", "mean field", "Gibbs sampling")
    draw_grid(Path(out), rows, labels, columns=columns)
    print(f"See {out}.")
    return apart


def timed(do: Callable[[], Tensor]) -> tuple[Tensor, str]:
    """Return the result of a function, and its CPU time as text."""
    start = time.process_time()
    result = do()
    seconds = time.process_time() - start
    return result, f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def right(labels: Tensor, mask: Tensor) -> str:
    """Return the share of correct labels, as text."""
    return f"{100 * float((labels == mask).float().mean()):.0f} % right"


if __name__ == "__main__":
    main()
