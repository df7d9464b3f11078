"""The parameters of a dense CRF as plain data: what a file holds, and `fit` and `ablate` vary."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .limits import HEAVIEST, MOST_ITERATIONS, WIDEST

if TYPE_CHECKING:
    from .kernels import Kernel

FORMAT = 1
"""Version of the file's layout; a file of another version is refused."""

Compatibility = tuple[float, ...] | tuple[tuple[float, ...], ...]

REFERENCE = 500 * 375
"""Pixels of the photographs of PASCAL VOC, for which the usual widths were published."""

_WIDTHS = ("smoothness_sigma", "appearance_sigma_xy", "appearance_sigma_rgb")
_WEIGHTS = ("smoothness_weight", "appearance_weight")


@dataclass(frozen=True)
class Parameters:
    """A smoothness and an appearance kernel, the label compatibility both share, and iterations.

    Attributes:
        smoothness_sigma: σ_γ, in pixels.
        smoothness_weight: 0 leaves the kernel out.
        appearance_sigma_xy: σ_α, in pixels.
        appearance_sigma_rgb: σ_β, on the scale 0-255.
        appearance_weight: 0 leaves the kernel out.
        iterations: Iterations of mean field.
        relative: ``appearance_sigma_xy`` is that of an image of `REFERENCE` pixels; of another
            image it is in proportion to the square root of its pixels, see `at`.
        compatibility: Rows of an ``(L, L)`` matrix, or its diagonal, as
            `inference.crf.kernels.Kernel` has it; None is Potts.

    Raises:
        ValueError: If a number is none or out of range, or a compatibility is not square.

    >>> Parameters(appearance_weight=0).kernels()[0].sigma
    3.0
    """

    smoothness_sigma: float = 3.0
    smoothness_weight: float = 3.0
    appearance_sigma_xy: float = 80.0
    appearance_sigma_rgb: float = 13.0
    appearance_weight: float = 10.0
    iterations: int = 10
    compatibility: Compatibility | None = None
    relative: bool = False

    def __post_init__(self) -> None:
        for name in (*_WIDTHS, *_WEIGHTS):
            value, most = getattr(self, name), WIDEST if name in _WIDTHS else HEAVIEST
            if not _number(value) or value < 0 or (name in _WIDTHS and value == 0):
                allowed = "positive" if name in _WIDTHS else "0 or more"
                raise ValueError(f"{_option(name)} must be {allowed}, not {_abbreviated(value)}.")
            if value > most:
                raise ValueError(
                    f"{_option(name)} is at most {most:g}, not {_abbreviated(value)}."
                )
        if not isinstance(self.relative, bool):
            raise ValueError(f"relative is true or false, not {_abbreviated(self.relative)}.")
        whole = isinstance(self.iterations, int) and not isinstance(self.iterations, bool)
        if not whole or self.iterations < 0:
            raise ValueError(f"iterations must be 0 or more, not {_abbreviated(self.iterations)}.")
        if self.iterations > MOST_ITERATIONS:
            raise ValueError(
                f"iterations are at most {MOST_ITERATIONS}, not {_abbreviated(self.iterations)}."
            )
        if self.compatibility is not None:
            _require_square(self.compatibility)

    def kernels(self) -> tuple[Kernel, ...]:
        """Return the kernels whose weight is not 0."""
        import torch

        from .kernels import Appearance, Smoothness

        shared = self.compatibility
        compatibility = None if shared is None else torch.tensor(shared)
        kernels: list[Kernel] = []
        if self.smoothness_weight:
            kernels.append(
                Smoothness(
                    sigma=self.smoothness_sigma,
                    weight=self.smoothness_weight,
                    compatibility=compatibility,
                )
            )
        if self.appearance_weight:
            kernels.append(
                Appearance(
                    sigma_xy=self.appearance_sigma_xy,
                    sigma_rgb=self.appearance_sigma_rgb,
                    weight=self.appearance_weight,
                    compatibility=compatibility,
                )
            )
        return tuple(kernels)

    def at(self, size: tuple[int, int]) -> Parameters:
        """Return the parameters for images of a size, whose widths are in pixels of those.

        Args:
            size: Height and width in pixels.

        >>> Parameters(relative=True).at((240, 320)).appearance_sigma_xy
        51.2
        """
        if not self.relative:
            return self
        scale = math.sqrt(math.prod(size) / REFERENCE)
        width = min(max(round(self.appearance_sigma_xy * scale, 1), 1.0), WIDEST)
        return replace(self, appearance_sigma_xy=width, relative=False)

    def require(self, count: int) -> None:
        """Refuse another number of labels than the compatibility is for.

        Raises:
            ValueError: If there are not ``count``.
        """
        if self.compatibility is not None and len(self.compatibility) != count:
            raise ValueError(
                f"These CRF parameters were fitted to {len(self.compatibility)} labels, but here "
                f"are {count}; fit them again, or leave the compatibility out."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Parameters:
        """Read plain data.

        Raises:
            ValueError: If it is no table, or names a parameter that does not exist.
        """
        if not isinstance(data, Mapping):
            raise ValueError("CRF parameters are a table of names and numbers.")
        if strange := sorted(set(data) - {f.name for f in fields(cls)}):
            raise ValueError(f"There is no CRF parameter called {strange[0]!r}.")
        return cls(**{name: _rows(value) for name, value in data.items()})


@dataclass(frozen=True)
class StoredParameters:
    """What a file of parameters holds.

    Attributes:
        parameters: Parameters of the CRF.
        helps: False if masks that it was not fitted to were no worse without the CRF.
        note: The scores that say so, in one line; empty where nobody measured.
    """

    parameters: Parameters
    helps: bool = True
    note: str = ""


def save(path: Path, parameters: Parameters, about: Mapping[str, Any]) -> None:
    """Write parameters, and facts about them, as JSON, whole or not at all."""
    from scene.storage.files import replace_file

    data = {"format": FORMAT, "parameters": parameters.to_json(), **about}
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: part.write_text(text))


def load(path: Path) -> Parameters:
    """Read the parameters that `save` wrote, or a person by hand: those left out are the defaults.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    return load_stored(path).parameters


def load_stored(path: Path) -> StoredParameters:
    """Read parameters, and whether the CRF helps: ``helps`` and ``note`` beside them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of CRF parameters {path}; write one with `scene crf fit`."
        )
    from scene.storage.files import read_json

    try:
        data = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error} Write one with `scene crf fit`.") from error
    try:
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError(f'it does not say "format": {FORMAT}.')
        helps, note = data.get("helps", True), data.get("note", "")
        if not isinstance(helps, bool) or not isinstance(note, str):
            raise ValueError("helps is true or false, and note is a text.")
        return StoredParameters(Parameters.from_json(data.get("parameters")), helps, note)
    except ValueError as error:
        raise ValueError(f"{path} holds no CRF parameters: {error}") from error


def _number(value: object) -> bool:
    """Return whether this is a finite number; an int no float can hold is refused elsewhere."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _option(name: str) -> str:
    return name.replace("_", "-")


def _abbreviated(value: object) -> str:
    """Write a value of any kind, shortened: a file may hold megabytes of it.

    >>> _abbreviated(10**999), _abbreviated([0.5])
    ('100000000000000000...0000000000000000000', '[0.5]')
    """
    return reprlib.aRepr.repr_int(value, 1) if isinstance(value, int) else reprlib.repr(value)


def _rows(value: Any) -> Any:
    """Turn a list, or a list of lists, into tuples."""
    if not isinstance(value, list):
        return value
    return tuple(tuple(row) if isinstance(row, list) else row for row in value)


def _require_square(table: Any) -> None:
    wrong = ValueError("A compatibility is a square matrix of numbers, or its diagonal.")
    if not isinstance(table, tuple) or not table:
        raise wrong
    flat = not any(isinstance(row, tuple) for row in table)
    rows = [table] if flat else table
    if not all(isinstance(row, tuple) and len(row) == len(table) for row in rows):
        raise wrong
    values = [value for row in rows for value in row]
    if not all(map(_number, values)):
        raise wrong
    if over := [value for value in values if abs(value) > HEAVIEST]:
        raise ValueError(
            f"A compatibility has entries of at most {HEAVIEST:g} either way, not "
            f"{_abbreviated(over[0])}."
        )


NO_CRF = Parameters(smoothness_weight=0.0, appearance_weight=0.0)
"""Parameters without a kernel: no CRF."""

USUAL = Parameters(relative=True)
"""The published parameters, in proportion to the photograph."""
