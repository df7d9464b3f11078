"""Export of a fitted model's networks to other programs: ONNX and torch.export."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from scene.registry import unknown
from scene.views import VIEWS

from ..export.export import TOLERANCE as TOLERANCE
from ..export.export import Export as Export
from ..export.export import export as export_run
from ..export.export import require_free_export as require_free_export
from .loaded import LoadedRun


def export(
    model: LoadedRun,
    folder: str | Path,
    *,
    format: str = "onnx",
    part: str = "all",
    given: Sequence[Collection[str]] | None = None,
    split: str | None = None,
    data: str | None = None,
    download: bool = False,
    force: bool = False,
    seed: int = 0,
    watch: Callable[[str], None] = lambda title: None,
) -> Export:
    """Write networks of a model into a folder, and compare each with the model on true scenes.

    The dense CRF, flows and their solver stay outside; the result says so.

    Args:
        model: A fitted model.
        folder: Where to; written whole or not at all.
        format: ``onnx`` or ``torch.export``.
        part: ``segmenter``, ``encoder``, ``decoder``, or ``all`` that the model has.
        given: Sets of views that encoders read, as ``[("image",), ("image", "classes")]``; None =
            each view alone, and all together.
        split: Split of the data that networks are compared on; None = ``test``, else ``val``.
        data: The data; None = the run's own.
        download: Let ``voc2012`` be fetched.
        force: Replace an earlier export.
        seed: Seed of the draws of z that decoders are compared on.
        watch: Called with the name of each network before it is written.

    Raises:
        FileExistsError: If the folder holds something, and ``force`` does not replace it.
        LookupError: If there is no such format, part, view, data or split.
        ModuleNotFoundError: If a package that the format needs is not installed.
        ValueError: If the model has no such network, one cannot be captured, or one differs from
            the original by more than `TOLERANCE`.
    """
    for name in (name for names in given or () for name in names):
        if name not in VIEWS:
            raise LookupError(unknown(name, VIEWS, "view") + ".")
    require_free_export(Path(folder), force)
    return export_run(
        model.run,
        model.assembly,
        model.dataset(split, data=data, download=download),
        Path(folder),
        format=format,
        part=part,
        given=None if given is None else [frozenset(names) for names in given],
        force=force,
        seed=seed,
        watch=watch,
    )
