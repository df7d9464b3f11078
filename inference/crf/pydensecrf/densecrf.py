"""The classes and constants of ``pydensecrf.densecrf``, on our engines.

Names, argument order, shapes and signs are those of pydensecrf; results are NumPy arrays, where
pydensecrf returns matrices to be passed to ``np.array``. Argument names in camel case and letters
such as ``Q`` are pydensecrf's, too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..checks import check_iterations
from ..engines import Field, choose_engine, message
from ..kernels import Appearance, FeatureMap, Kernel, Smoothness
from .arguments import (
    Array,
    KernelType,
    NormalizationType,
    Pair,
    Triple,
    colour_widths,
    down_right,
    kernel_options,
    to_colours,
)

CONST_KERNEL = KernelType.CONST_KERNEL
DIAG_KERNEL = KernelType.DIAG_KERNEL
FULL_KERNEL = KernelType.FULL_KERNEL
NO_NORMALIZATION = NormalizationType.NO_NORMALIZATION
NORMALIZE_BEFORE = NormalizationType.NORMALIZE_BEFORE
NORMALIZE_AFTER = NormalizationType.NORMALIZE_AFTER
NORMALIZE_SYMMETRIC = NormalizationType.NORMALIZE_SYMMETRIC


class ConstUnary:
    """Unary energies to pass to `DenseCRF.setUnary`.

    Args:
        u: ``(L, N)``: negative log-probabilities.
    """

    def __init__(self, u: Array) -> None:
        self.u = u


class DenseCRF:
    """A fully connected CRF over N variables, of any number of dimensions.

    Args:
        nvar: N.
        nlabels: L.
    """

    def __init__(self, nvar: int, nlabels: int, *_: object, **__: object) -> None:
        if nvar < 1 or nlabels < 1:
            raise ValueError(f"nvar and nlabels must be 1 or more, not {nvar} and {nlabels}.")
        self._nlabels = int(nlabels)
        rows = next(n for n in range(min(256, nvar), 0, -1) if nvar % n == 0)
        self._size = (rows, int(nvar) // rows)  # any rows: threads share them
        self._kernels: list[Kernel] = []
        self._image: Tensor | None = None
        self._logits = torch.zeros(1, self._nlabels, *self._size)

    def setUnaryEnergy(self, u: Array, f: Array | None = None) -> None:
        """Set the unary energies.

        Args:
            u: ``(L, N)`` float: negative log-probabilities, for instance by
                `inference.crf.pydensecrf.utils.unary_from_softmax`.
            f: Features of a logistic unary; refused, for it belongs to pydensecrf's learning.

        Raises:
            ValueError: If the shape is another, a number is not finite, or there are features.
        """
        if f is not None:
            raise ValueError(
                "Logistic unaries are not supported; pass the energies L·f with "
                "setUnaryEnergy(u), and learn kernels with `scene crf fit`."
            )
        energies = np.asarray(u)
        if energies.shape != (self._nlabels, self._pixels):
            raise ValueError(
                f"Bad shape for unary energy (Need {(self._nlabels, self._pixels)}, got "
                f"{energies.shape}); reshape (L, H, W) by u.reshape(L, -1)."
            )
        numbers = np.array(energies, np.float32)  # a copy, as pydensecrf's is
        if not np.isfinite(numbers).all():
            raise ValueError(
                "Unary energies hold a NaN or an infinity; clip probabilities above 0 first."
            )
        self._logits = torch.from_numpy(-numbers).reshape(1, self._nlabels, *self._size)

    def setUnary(self, unary: ConstUnary) -> None:
        """Set the unary energies that a `ConstUnary` holds.

        Raises:
            ValueError: If it is another kind of unary, or holds energies of another shape.
        """
        if not isinstance(unary, ConstUnary):
            raise ValueError(f"setUnary takes a ConstUnary, not {type(unary).__name__}.")
        self.setUnaryEnergy(unary.u)

    def addPairwiseEnergy(
        self,
        features: Array,
        compat: float | Array,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel over any features.

        Args:
            features: ``(D, N)``, each divided by its width, for instance by
                `inference.crf.pydensecrf.utils.create_pairwise_bilateral`.
            compat: A number w rewards equal labels by w (Potts). An array ``(L,)`` or ``(L, L)``
                is a penalty: its diagonal, or all of it, made symmetric.
            kernel: A `KernelType`; it has no effect on inference, as in pydensecrf.
            normalization: A `NormalizationType`.

        Raises:
            ValueError: If a shape does not fit, or the normalisation is none of ours.
        """
        values = np.asarray(features, np.float32)
        if values.ndim != 2 or values.shape[1] != self._pixels:
            raise ValueError(
                f"Bad shape for pairwise energy (Need (?, {self._pixels}), got {values.shape}); "
                "features are (D, N)."
            )
        shaped = torch.from_numpy(values.copy()).reshape(-1, *self._size)
        self._add(
            FeatureMap(
                values=shaped, **kernel_options(compat, kernel, normalization, self._nlabels)
            )
        )

    def inference(self, niter: int) -> Array:
        """Run mean field.

        Args:
            niter: Iterations; with 0 the softmax of the negative energies.

        Returns:
            Marginals, ``(L, N)`` float32.

        Raises:
            ValueError: If ``niter`` is negative, or a width is too small for a lattice.
        """
        check_iterations(niter)
        field = self._field()
        marginals = choose_engine("auto", field).marginals(field, niter)
        return self._flat(marginals)

    def map(self, niter: int) -> Array:
        """Run mean field, and return the label of the largest marginal.

        Args:
            niter: Iterations.

        Returns:
            Labels, ``(N,)`` int16, as the C++ returns them.

        Raises:
            ValueError: If ``niter`` is negative, or a width is too small for a lattice.
        """
        return np.asarray(self.inference(niter).argmax(0).astype(np.int16))

    def startInference(self) -> tuple[Array, Array, Array]:
        """Return the marginals before the first iteration, to pass to `stepInference`.

        Returns:
            The softmax of the negative energies, ``(L, N)`` float32; and two empty arrays, in
            place of pydensecrf's memory to work in.
        """
        empty = np.empty((0, 0), np.float32)
        return self._flat(self._logits.softmax(1)), empty, empty.copy()

    def stepInference(self, Q: Array, tmp1: Array, tmp2: Array) -> None:
        """Take one iteration of mean field.

        Each step builds its lattices anew; `inference` builds them once for all.

        Args:
            Q: Marginals, ``(L, N)`` float32, updated in place.
            tmp1: Not used.
            tmp2: Not used.

        Raises:
            ValueError: If the marginals have another shape or type.
        """
        q = self._marginals(Q)
        field = self._field()
        logits = field.logits.clone()
        for kernel in field.kernels:
            filtered = self._filtered(field, kernel, q)
            logits += message(kernel, filtered.flatten(2)).reshape(logits.shape)
        Q[...] = self._flat(logits.softmax(1))

    def klDivergence(self, Q: Array) -> float:
        """Return what pydensecrf calls the KL divergence from Q to the CRF.

        Σ Q log Q + Σ U Q + Σ Q (C K Q), with energies U and penalties C K Q, added over kernels.
        The log partition function is left out, and each pair of pixels counts twice, as there.

        Args:
            Q: Marginals, ``(L, N)``.

        Raises:
            ValueError: If the marginals have another shape or type.
        """
        q = self._marginals(Q)
        field = self._field()
        total = (q * q.clamp_min(1e-20).log()).double().sum() - (q * field.logits).double().sum()
        for kernel in field.kernels:
            filtered = self._filtered(field, kernel, q)
            total -= (q.flatten(2) * message(kernel, filtered.flatten(2))).double().sum()
        return float(total)

    @property
    def _pixels(self) -> int:
        return self._size[0] * self._size[1]

    def _field(self) -> Field:
        return Field(self._logits, self._image, tuple(self._kernels))

    def _filtered(self, field: Field, kernel: Kernel, q: Tensor) -> Tensor:
        return choose_engine("auto", field).filtered(field, kernel, q)

    def _flat(self, values: Tensor) -> Array:
        return values.reshape(self._nlabels, -1).numpy()

    def _marginals(self, Q: Array) -> Tensor:
        expected = (self._nlabels, self._pixels)
        if not isinstance(Q, np.ndarray) or Q.shape != expected or Q.dtype != np.float32:
            raise ValueError(
                f"Q must be a float32 array of shape {expected}, as startInference and inference "
                "return it."
            )
        return torch.from_numpy(Q.copy()).reshape(self._logits.shape)

    def _add(self, kernel: Kernel) -> None:
        self._kernels.append(kernel)


class DenseCRF2D(DenseCRF):
    """A fully connected CRF over the pixels of an image.

    Args:
        w: Width W, in pixels. It comes before the height.
        h: Height H, in pixels.
        nlabels: L.
    """

    def __init__(self, w: int, h: int, nlabels: int, *_: object, **__: object) -> None:
        super().__init__(w * h, nlabels)
        self._size = (int(h), int(w))
        self._logits = self._logits.reshape(1, self._nlabels, *self._size)

    def addPairwiseGaussian(
        self,
        sxy: Pair,
        compat: float | Array,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a smoothness kernel: near pixels agree.

        Args:
            sxy: σ_γ in pixels; or two, horizontal and vertical.
            compat: A number w rewards equal labels by w (Potts). An array ``(L,)`` or ``(L, L)``
                is a penalty: its diagonal, or all of it, made symmetric.
            kernel: A `KernelType`; it has no effect on inference, as in pydensecrf.
            normalization: A `NormalizationType`.

        Raises:
            ValueError: If a width is not positive, a shape does not fit, or the normalisation is
                none of ours.
        """
        options = kernel_options(compat, kernel, normalization, self._nlabels)
        self._add(Smoothness(sigma=down_right(sxy), **options))

    def addPairwiseBilateral(
        self,
        sxy: Pair,
        srgb: Triple,
        rgbim: Array,
        compat: float | Array,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add an appearance kernel: near pixels of similar colour agree.

        Args:
            sxy: σ_α in pixels; or two, horizontal and vertical.
            srgb: σ_β in units of colour, 0-255; or three, one a channel.
            rgbim: ``(H, W, 3)`` uint8.
            compat: A number w rewards equal labels by w (Potts). An array ``(L,)`` or ``(L, L)``
                is a penalty: its diagonal, or all of it, made symmetric.
            kernel: A `KernelType`; it has no effect on inference, as in pydensecrf.
            normalization: A `NormalizationType`.

        Raises:
            ValueError: If the image has another shape or type, a width is not positive, a shape
                does not fit, or the normalisation is none of ours.
        """
        colours = to_colours(rgbim, self._size)
        options = kernel_options(compat, kernel, normalization, self._nlabels)
        widths = colour_widths(srgb)
        if self._image is None:
            self._image = colours
        places = down_right(sxy)
        if len(set(widths)) == 1 and torch.equal(self._image, colours):
            self._add(Appearance(sigma_xy=places, sigma_rgb=widths[0], **options))
            return
        channels = colours[0].permute(2, 0, 1).float().contiguous()
        self._add(FeatureMap(values=channels, sigma=widths, sigma_xy=places, **options))
