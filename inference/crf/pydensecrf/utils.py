"""The functions of ``pydensecrf.utils``: unary energies, and features of pairwise energies.

The module has that name because pydensecrf's has it, and scripts import it so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def unary_from_labels(
    labels: Array, n_labels: int, gt_prob: float, zero_unsure: bool = True
) -> Array:
    """Turn labels that are right with some probability into unary energies.

    Args:
        labels: Integer, of any shape; N pixels.
        n_labels: L; without the label 0 if ``zero_unsure``.
        gt_prob: Probability that a label is right, above 0 and below 1; the rest is spread evenly
            over the others.
        zero_unsure: Whether the label 0 means "unknown", with uniform probabilities; labels then
            count from 1.

    Returns:
        Negative log-probabilities, ``(n_labels, N)`` float32.

    Raises:
        ValueError: If the probability or a label is out of range.

    >>> unary_from_labels(np.array([0, 1, 2]), 2, 0.75).round(2)
    array([[0.69, 0.29, 1.39],
           [0.69, 1.39, 0.29]], dtype=float32)
    """
    if not 0 < gt_prob < 1:
        raise ValueError(f"gt_prob must be above 0 and below 1, not {gt_prob}.")
    if n_labels < 2:
        raise ValueError(f"n_labels must be 2 or more, not {n_labels}.")
    ids = np.asarray(labels).flatten().astype(np.int64)
    first = 1 if zero_unsure else 0
    if ids.size and not (0 <= ids.min() and ids.max() < n_labels + first):
        raise ValueError(
            f"labels run from {ids.min()} to {ids.max()}, but with n_labels={n_labels} and "
            f"zero_unsure={zero_unsure} they run from 0 to {n_labels + first - 1}."
        )
    energies = np.full((n_labels, ids.size), -np.log((1.0 - gt_prob) / (n_labels - 1)), np.float32)
    energies[ids - first, np.arange(ids.size)] = -np.log(gt_prob)
    if zero_unsure:
        energies[:, ids == 0] = -np.log(1.0 / n_labels)
    return energies


def compute_unary(labels: Array, M: int, GT_PROB: float = 0.5) -> Array:
    """Turn labels into unary energies; deprecated: use `unary_from_labels`.

    Args:
        labels: Integer, of any shape; 0 is unknown.
        M: How many labels there are.
        GT_PROB: Probability that a label is right.

    Returns:
        Negative log-probabilities, ``(M, N)`` float32.
    """
    logging.warning("pydensecrf.compute_unary is deprecated, use unary_from_labels instead.")
    return unary_from_labels(labels, M, GT_PROB)


def unary_from_softmax(sm: Array, scale: float | None = None, clip: float | None = 1e-5) -> Array:
    """Turn probabilities into unary energies.

    Args:
        sm: ``(L, ...)``: probabilities, labels first.
        scale: Certainty of the probabilities, above 0 and at most 1: they become ``scale`` times
            themselves plus ``1 - scale`` times the uniform distribution. None is 1.
        clip: The least probability; None does not clip.

    Returns:
        Negative log-probabilities, ``(L, N)`` float32.

    Raises:
        ValueError: If ``scale`` is out of range.

    >>> unary_from_softmax(np.array([[0.5, 1.0], [0.5, 0.0]])).round(1) + 0
    array([[ 0.7,  0. ],
           [ 0.7, 11.5]], dtype=float32)
    """
    labels = len(sm)
    if scale is not None:
        if not 0 < scale <= 1:
            raise ValueError(f"scale must be above 0 and at most 1, not {scale}.")
        sm = scale * sm + (1 - scale) * (np.ones(sm.shape) / labels)
    if clip is not None:
        sm = np.clip(sm, clip, 1.0)
    return np.asarray(-np.log(sm).reshape([labels, -1]).astype(np.float32))


def softmax_to_unary(sm: Array, GT_PROB: float = 1) -> Array:
    """Turn probabilities into unary energies; deprecated: use `unary_from_softmax`.

    Args:
        sm: ``(L, ...)``: probabilities, labels first.
        GT_PROB: Certainty of the probabilities, above 0 and at most 1.

    Returns:
        Negative log-probabilities, ``(L, N)`` float32, not clipped.
    """
    logging.warning("pydensecrf.softmax_to_unary is deprecated, use unary_from_softmax instead.")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def create_pairwise_gaussian(sdims: Sequence[float], shape: Sequence[int]) -> Array:
    """Return positions divided by their widths, for `DenseCRF.addPairwiseEnergy`.

    Args:
        sdims: Widths, one an axis, in the order of ``shape``.
        shape: Extent of the image or volume.

    Returns:
        ``(axes, N)`` float32.
    """
    return _positions(sdims, shape).reshape(len(sdims), -1)


def create_pairwise_bilateral(
    sdims: Sequence[float], schan: float | Sequence[float], img: Array, chdim: int = -1
) -> Array:
    """Return positions and channels divided by their widths, for `DenseCRF.addPairwiseEnergy`.

    Args:
        sdims: Widths of positions, one an axis, in the order of the image's axes.
        schan: Widths of channels: one for all, or one each.
        img: The image or volume.
        chdim: Axis of its channels; -1 if it has none.

    Returns:
        ``(axes + channels, N)`` float32.
    """
    channels = (img[np.newaxis] if chdim == -1 else np.moveaxis(img, chdim, 0)).astype(np.float32)
    if isinstance(schan, Sequence | np.ndarray):
        for channel, width in zip(channels, schan, strict=True):
            channel /= width
    else:
        channels /= schan
    features = np.concatenate([_positions(sdims, channels.shape[1:]), channels])
    return features.reshape(len(features), -1)


def _positions(sdims: Sequence[float], shape: Sequence[int]) -> Array:
    """Return the coordinates of every pixel divided by their widths, ``(axes, *shape)``."""
    axes = np.meshgrid(*[range(size) for size in shape], indexing="ij")
    mesh = np.array(axes, dtype=np.float32)
    for axis, width in zip(mesh, sdims, strict=True):
        axis /= width
    return mesh
