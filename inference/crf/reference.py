"""The reference engine: the C++ of the paper's authors, from ``pydensecrf2``, made safe."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .engines import Engine, Field
from .kernels import Appearance, Kernel, Smoothness, pair

MISSING = (
    "The engine 'pydensecrf' is an optional extra, compiled while it is installed: "
    "pip install 'scene-suite[pydensecrf]' (this takes a C++ compiler and a minute or two)."
)
NORMALIZATIONS = {"symmetric": 3, "before": 1, "after": 2}
"""The C++'s numbers of our normalisations; its NO_NORMALIZATION has another scale than K."""

DIAGONAL = 1
"""The C++'s number of a kernel with one width a feature; it only matters to its learning."""

TOO_LARGE = "{pixels} pixels with {labels} labels are too many for pydensecrf; use another engine."

KEYS = 2**15 - 16
"""Lattice coordinates are kept in 16 bits; a few are left for the neighbours of the outermost."""


Term = tuple[Kernel, "float | np.ndarray[Any, Any]"]
"""A kernel and its compatibility: a penalty, or of Potts a reward."""


class DenseCRF(Protocol):
    """The methods of the C++'s ``DenseCRF2D`` that are used here."""

    addPairwiseGaussian: Callable[..., None]
    addPairwiseBilateral: Callable[..., None]
    addPairwiseEnergy: Callable[..., None]
    setUnaryEnergy: Callable[..., None]
    inference: Callable[[int], Any]
    startInference: Callable[[], tuple[Any, Any, Any]]
    stepInference: Callable[[Any, Any, Any], None]


class Reference(Engine):
    """Run ``pydensecrf2`` on a field, image by image: float32, one thread, no gradients.

    It knows no void pixels, always keeps the self term, and takes symmetric compatibilities only.
    What would make its C++ read out of bounds, overflow or abort is refused before it is called.

    Raises:
        LookupError: If it is not installed; the message says how to install it.

    Source:
        Krähenbühl & Koltun (2011); their code, as ``pydensecrf2`` packages it.
    """

    def __init__(self) -> None:
        try:
            from pydensecrf.densecrf import DenseCRF2D
        except ImportError as missing:
            raise LookupError(MISSING) from missing
        self._kind = DenseCRF2D

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Run mean field in C++, as `Engine.marginals` says.

        Raises:
            ValueError: If the field asks for what it cannot do, or is too large for it.
        """
        labels = field.logits.shape[1]
        _check(field, field.kernels, labels)
        if labels == 1:  # there is nothing to decide
            return torch.ones_like(field.logits)
        terms = [(kernel, _compatibility(kernel)) for kernel in field.kernels]
        marginals = []
        for index, logits in enumerate(field.logits.detach().flatten(2)):
            crf = self._make(field, index, terms, labels)
            crf.setUnaryEnergy(_array((logits.amax(0) - logits).clamp_max(1e30)))
            marginals.append(torch.from_numpy(np.asarray(crf.inference(iterations))))
        return torch.stack(marginals).to(field.logits).reshape(field.logits.shape)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply values by the normalised matrix of one kernel, as `Engine.filtered` says.

        The C++ has no function for it, so a label of zeros is added and one iteration taken: the
        logarithm of the ratio of two marginals is then what the filter added.
        """
        labels = values.shape[1] + 1
        _check(field, (kernel,), labels)
        largest = values.abs().max().clamp_min(1e-30)
        products = []
        for index, scene in enumerate((values / largest).detach().flatten(2)):
            crf = self._make(field, index, [(kernel, 1.0)], labels)
            q, *rest = crf.startInference()
            view = np.asarray(q)  # of the memory of the C++
            view[:-1], view[-1] = _array(scene), 0.0
            crf.stepInference(q, *rest)
            logs = np.log(view)
            products.append(torch.from_numpy(logs[:-1] - logs[-1:]))
        return torch.stack(products).to(values).reshape(values.shape) * largest

    def _make(self, field: Field, index: int, terms: Sequence[Term], labels: int) -> DenseCRF:
        """Make a C++ field of one image; it takes width before height."""
        height, width = field.logits.shape[-2:]
        crf: DenseCRF = self._kind(width, height, labels)
        image = None if field.image is None else _bytes(field.image[index])
        for kernel, compatibility in terms:
            how = (compatibility, DIAGONAL, NORMALIZATIONS[kernel.normalization])
            if isinstance(kernel, Smoothness):
                down, across = map(_number, pair(kernel.sigma))
                crf.addPairwiseGaussian((across, down), *how)
            elif isinstance(kernel, Appearance) and image is not None:
                down, across = map(_number, pair(kernel.sigma_xy))
                colour = _number(kernel.sigma_rgb)
                crf.addPairwiseBilateral((across, down), colour, image, *how)
            else:
                features = kernel.features(field.image, field.logits).detach().flatten(2)
                crf.addPairwiseEnergy(_array(features[index % len(features)]), *how)
        return crf


def _check(field: Field, kernels: Sequence[Kernel], labels: int) -> None:
    """Refuse what the C++ cannot do, and what would crash it."""
    if field.void is not None:
        raise ValueError("pydensecrf does not support void pixels; use another engine.")
    pixels, bytes_ = field.logits[0, 0].numel(), 32 * labels
    for kernel in kernels:
        if kernel.normalization not in NORMALIZATIONS:
            known = ", ".join(NORMALIZATIONS)
            raise ValueError(
                f"pydensecrf normalises {known}, but not {kernel.normalization!r}; "
                "use another engine."
            )
        if not kernel.self_term:
            raise ValueError("pydensecrf always keeps the self term; use another engine.")
        features = kernel.features(field.image, field.logits).detach().flatten(2)
        _check_keys(features)
        bytes_ += 40 * (features.shape[1] + 1)
        if pixels * (features.shape[1] + 1) * (labels + 4) >= 2**33:
            raise ValueError(TOO_LARGE.format(pixels=pixels, labels=labels))
    if pixels * bytes_ > _memory():
        raise ValueError(TOO_LARGE.format(pixels=pixels, labels=labels))


def _check_keys(features: Tensor) -> None:
    """Refuse features whose lattice coordinates would not fit 16 bits.

    The coordinates of a feature f are Σ_{i > j} s_i f_i − j s_j f_j, with s_i as its authors scale
    them, features counted from 1; this bounds them by the range of each feature.
    """
    size = features.shape[1]
    order = torch.arange(1, size + 1, dtype=torch.float64)
    scale = (2 / 3) ** 0.5 * (size + 1) / (order * (order + 1)).sqrt()
    low, high = features.amin((0, 2)), features.amax((0, 2))
    reach = scale * torch.maximum(high - low, torch.maximum(-low, high)).double().cpu()
    later = reach.flip(0).cumsum(0).flip(0)
    largest = torch.maximum(later, later - reach + order * reach).max()
    if not bool(largest < KEYS):
        raise ValueError(
            f"A width is so small that pixels lie {float(features.max() - features.min()):.3g} "
            "widths apart, which overflows pydensecrf's lattice; use wider ones, or exact."
        )


def _compatibility(kernel: Kernel) -> float | np.ndarray[Any, Any]:
    """Return the C++'s compatibility: of Potts a reward, otherwise a penalty."""
    weight = _number(kernel.weight)
    if kernel.compatibility is None:
        return weight
    compatibility = kernel.compatibility.detach()
    if compatibility.ndim == 2 and not torch.equal(compatibility, compatibility.mT):
        raise ValueError(
            "pydensecrf takes only label compatibilities that are symmetric; use another engine."
        )
    return -weight * _array(compatibility)


def _number(value: float | Tensor) -> float:
    return float(torch.as_tensor(value).detach())


def _array(values: Tensor) -> np.ndarray[Any, Any]:
    """Return an array that the C++ reads: float32, C order, writeable."""
    return np.require(values.detach().float().cpu().numpy(), np.float32, ["C", "W"])


def _bytes(image: Tensor) -> np.ndarray[Any, Any] | None:
    """Return an image as uint8 in C order, or None if that would lose something."""
    colours = image.to("cpu", torch.uint8)
    if image.dtype != torch.uint8 and not torch.equal(colours.to(image), image):
        return None
    return np.require(colours.numpy(), np.uint8, ["C", "W"])


def _memory() -> float:
    """Return the bytes of memory of this machine, or infinity if it is unknown."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
