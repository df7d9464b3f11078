"""The lattice engine: mean field in torch through few cells, on any device, with gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .cells import Cells
from .engines import Engine, Field, scaling
from .grids import grid
from .kernels import Kernel, Smoothness, too_narrow
from .pulls import Part, Pull
from .vertices import lattice


class Lattice(Engine):
    """Multiply by K ≈ Aᵀ G A: smoothness on a grid, all else on a permutohedral lattice.

    Marginals are rows, one a pixel, and every product is a sum of bags of rows. All kernels
    spread the same rows over their cells, and one sum takes their answers back to the pixels.
    Gradients flow to logits, weights and compatibilities, not to widths, features or images.
    """

    gradients = True

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Iterate as the base class says; see there.

        Raises:
            ValueError: If a width is too small to be counted, or wants a gradient.
        """
        with torch.autocast(field.logits.device.type, enabled=False):
            logits = _rows(field.logits)
            pull = Pull(tuple(part(field, kernel) for kernel in field.kernels))
            mixtures = [mixture(kernel, logits) for kernel in field.kernels]
            q = logits.softmax(1)
            for _ in range(iterations):
                q = _softmax(pull(q, mixtures), logits, q)
            return _planes(q, field.logits)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply by one normalised kernel; see the base class."""
        with torch.autocast(values.device.type, enabled=False):
            found = Pull((part(field, kernel),))(_rows(values), [values.new_tensor(1.0)])
            return _planes(found, values)


def part(field: Field, kernel: Kernel) -> Part:
    """Build the cells of one kernel, and normalise."""
    _refuse(kernel, vars(kernel).items())
    cells = _cells(field, kernel)
    speaking = None if field.speaking is None else field.speaking.flatten()
    ones = torch.ones_like(cells.weights[:, :1])
    heard = ones if speaking is None else speaking.unsqueeze(1)
    mass = _across(cells, heard)
    before, after = scaling(kernel, mass.view(len(field.logits), 1, -1))
    before, after = before.flatten(), after.flatten()
    if kernel.normalization == "symmetric":
        after = before
    if speaking is not None:
        before = before * speaking
    own = None if kernel.self_term else torch.minimum(cells.own(), mass.squeeze(1))
    return Part(cells, before, after, own)


def mixture(kernel: Kernel, like: Tensor) -> Tensor:
    """Multiply weight and compatibility: a number for Potts, a diagonal, or a matrix."""
    weight = torch.as_tensor(kernel.weight).to(like).reshape(())
    return weight if kernel.compatibility is None else weight * kernel.compatibility.to(like)


def _cells(field: Field, kernel: Kernel) -> Cells:
    batch = len(field.logits)
    if isinstance(kernel, Smoothness):
        widths = kernel.sigma if isinstance(kernel.sigma, tuple) else (kernel.sigma, kernel.sigma)
        return grid((float(widths[0]), float(widths[1])), field.logits).repeated(batch)
    features = kernel.features(field.image, field.logits)
    _refuse(kernel, [("features", features)])
    try:
        cells = lattice(features.flatten(2))
    except OverflowError as error:
        raise ValueError(too_narrow(kernel, features, str(error))) from None
    return cells.repeated(batch if len(features) == 1 else 1)


def _across(cells: Cells, rows: Tensor) -> Tensor:
    """Multiply rows by K as it is, unnormalised."""
    ones = torch.ones_like(cells.weights[:, 0])
    return Pull((Part(cells, ones, ones, None),))(rows, [rows.new_tensor(1.0)])


def _refuse(kernel: Kernel, held: Iterable[tuple[str, object]]) -> None:
    """Refuse to differentiate by what only the dense form can."""
    for name, value in held:
        among = value if isinstance(value, tuple) else (value,)
        wanted = any(isinstance(one, Tensor) and one.requires_grad for one in among)
        if wanted and torch.is_grad_enabled() and name not in ("weight", "compatibility"):
            raise ValueError(
                f"The lattice gives no gradient to {name} of {type(kernel).__name__}; use "
                'engine="exact", or torch.no_grad().'
            )


def _softmax(pulled: Tensor, logits: Tensor, q: Tensor) -> Tensor:
    """Update the marginals; if no gradient needs the old ones, in their place."""
    if pulled.requires_grad or logits.requires_grad:
        return (pulled + logits).softmax(1)
    return torch.softmax(pulled.add_(logits), 1, out=q)


def _rows(values: Tensor) -> Tensor:
    """Lay ``(B, L, H, W)`` out as one row of L a pixel, ``(B H W, L)``."""
    return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1]).contiguous()


def _planes(rows: Tensor, like: Tensor) -> Tensor:
    """Lay rows out as the planes they came from."""
    batch, labels, height, width = like.shape
    return rows.view(batch, height, width, labels).permute(0, 3, 1, 2).contiguous()
