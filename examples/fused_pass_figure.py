"""Draw a figure of the fused CRF engine: a lattice in two dimensions, and one iteration."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from inference.crf.fused.cpu.jit import ThreadPool
from inference.crf.fused.permutohedral.lattice import build_lattice

matplotlib.use("Agg")

PIXEL, VERTEX, BLUR, CACHE = "#1f77b4", "#d62728", "#2ca02c", "#eef3fa"


def draw_lattice(axes: Axes, points: int, seed: int) -> None:
    """Draw pixels of two features, the vertices around them, and the weights of one pixel."""
    random = np.random.default_rng(seed)
    features = random.uniform(-1.4, 1.4, (1, 2, 20 * points)).astype(np.float32)
    with ThreadPool(1) as pool:
        lattice = build_lattice(features, pool, complete=False)
    corners = vertex_places(lattice.vertices, lattice.weights, features[0].T)
    for ahead in lattice.neighbours[:, 0]:
        for v, w in enumerate(ahead.tolist()):
            if w < lattice.size:
                axes.plot(*corners[[v, w]].T, color=BLUR, lw=1, alpha=0.5, zorder=1)
    place = features[0].T
    axes.scatter(
        place[:points, 0],
        place[:points, 1],
        s=14,
        color=PIXEL,
        zorder=3,
        label="pixels: feature vectors f / σ",
    )
    axes.scatter(
        corners[:, 0],
        corners[:, 1],
        s=46,
        color=VERTEX,
        zorder=2,
        label="vertices, one row of labels each",
    )
    one = int(lattice.weights[:points].min(1).argmax())  # a pixel near the middle of its simplex
    for vertex, weight in zip(lattice.vertices[one], lattice.weights[one], strict=True):
        axes.plot(*np.stack([place[one], corners[vertex]]).T, color="black", lw=0.6 + 4 * weight)
        outside = 1.32 * corners[vertex] - 0.32 * place[one]
        axes.annotate(f"{weight:.2f}", outside, fontsize=9, ha="center", va="center")
    axes.plot([], [], color=BLUR, label="neighbours along an axis: blur [s, 1, s]")
    axes.plot([], [], color="black", lw=2.5, label="barycentric weights: splat and slice")
    axes.legend(loc="lower center", ncols=2, fontsize=8, frameon=False)
    axes.set_ylim(corners[:, 1].min() - 0.9, corners[:, 1].max() + 0.1)
    axes.set_xlim(corners[:, 0].min() - 0.5, corners[:, 0].max() + 0.6)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title("A permutohedral lattice of D = 2 features")


def vertex_places(vertices: np.ndarray, weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Solve for the vertices' positions; each pixel is the weighted mean of its vertices."""
    matrix = np.zeros((len(places), vertices.max() + 1))
    np.put_along_axis(matrix, vertices.astype(int), weights, 1)
    solution: np.ndarray = np.linalg.lstsq(matrix, places, rcond=None)[0]
    return solution


def draw_iteration(axes: Axes) -> None:
    """Draw one iteration: the fused pass over pixels, and the blur between two passes."""
    cache = FancyBboxPatch((0.3, 3.0), 9.4, 3.5, boxstyle="round,pad=0.1", fc=CACHE, ec="gray")
    axes.add_patch(cache)
    caption = "the fused pass: 32 pixels at a time, all in the nearest cache"
    axes.text(5, 6.1, caption, ha="center", fontsize=9, style="italic")
    _box(axes, 2.0, 4.6, "slice\n\nx = logits +\nΣ weights · values", PIXEL)
    _box(axes, 5.0, 4.6, "softmax\n\nQ = exp(x − max)\n/ sum", PIXEL)
    _box(axes, 8.0, 4.6, "splat\n\nsums += weights · Q\n(last pass: write Q)", PIXEL)
    _box(axes, 2.0, 1.2, "values\nof vertices (M × L)\nand of the grid", VERTEX)
    _box(axes, 8.0, 1.2, "sums\nat vertices, at the grid:\none table a thread", VERTEX)
    _box(axes, 5.0, 1.2, "blur\n\nlattice: [s, 1, s], D + 1 axes\ngrid: Gaussian", BLUR)
    _box(axes, 2.0, 8.2, "logits −U (P × L)\nread in each pass", "gray")
    _box(axes, 8.0, 8.2, "marginals Q (P × L)\nwritten in the last pass", "gray")
    for start, end in [
        ((3.2, 4.6), (3.8, 4.6)),
        ((6.2, 4.6), (6.8, 4.6)),
        ((8.0, 3.5), (8.0, 2.1)),
        ((6.8, 1.2), (6.2, 1.2)),
        ((3.8, 1.2), (3.2, 1.2)),
        ((2.0, 2.1), (2.0, 3.5)),
        ((2.0, 7.1), (2.0, 5.7)),
        ((8.0, 5.7), (8.0, 7.1)),
    ]:
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color="k"))
    axes.set(xlim=(0, 10), ylim=(0, 9.2))
    axes.axis("off")
    axes.set_title("One iteration of mean field in the fused engine")


def _box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    patch = FancyBboxPatch(
        (x - 1.1, y - 0.8), 2.2, 1.6, boxstyle="round,pad=0.1", fc="white", ec=colour, lw=2
    )
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", fontsize=8)


def main(out: str = "examples/pictures/fused-pass.png", points: int = 40, seed: int = 3) -> None:
    """Write the figure.

    Args:
        out: The file to write.
        points: Number of pixels to draw.
        seed: Seed of their random features.
    """
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[0.8, 1.2])
    draw_lattice(left, points, seed)
    draw_iteration(right)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    print(f"{out} is written")


if __name__ == "__main__":
    main()
