"""Formats of exported networks: how each is written, and run again to be compared."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scene.registry import unknown

from .networks import Network, Tensors

OPSET = 18
"""The version of ONNX's operators."""

Runner = Callable[[Tensors], Tensors]
"""Runs a network that was loaded from a file."""


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        suffix: Of its files.
        packages: Packages that it needs beside torch.
        write: Writes a captured network to a file.
        load: Loads a file, without what wrote it.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[torch.export.ExportedProgram, Network, Path], None]
    load: Callable[[Path], Runner]

    def require(self) -> None:
        """Refuse to go on without the packages.

        Raises:
            ModuleNotFoundError: If one is missing.
        """
        missing = [name for name in self.packages if find_spec(name) is None]
        if missing:
            raise ModuleNotFoundError(
                f"{missing[0]} is not installed; add the extra onnx: pip install "
                "'scene-suite[onnx]', or choose --format torch.export."
            )


def format_of(name: str) -> Format:
    """Find a format by its name.

    Raises:
        LookupError: If there is none of that name.
    """
    if name not in FORMATS:
        raise LookupError(unknown(name, FORMATS, "format") + ".")
    return FORMATS[name]


def capture(network: Network, examples: Tensors) -> torch.export.ExportedProgram:
    """Capture a network as a graph with any number of scenes.

    Args:
        network: The network.
        examples: Its inputs, of two scenes or more.

    Raises:
        ValueError: If it cannot be captured.
    """
    batch = torch.export.Dim("batch")
    shapes: tuple[Any, ...] = tuple({0: batch} for _ in examples)
    fixed = _fixed_inputs(network.module)
    if len(shapes) > fixed:
        shapes = (*shapes[:fixed], shapes[fixed:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(
                network.module.eval(), examples, dynamic_shapes=shapes, strict=False
            )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(
            f"The {network.name} cannot be captured as a graph that is the same for all scenes: "
            f"{first}."
        ) from error


def _fixed_inputs(module: nn.Module) -> int:
    """Count the inputs of ``forward`` before those that are any number."""
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(one.kind is not one.VAR_POSITIONAL for one in parameters)


def _write_torch(program: torch.export.ExportedProgram, network: Network, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)


def _load_torch(path: Path) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(path).module()

    def run(inputs: Tensors) -> Tensors:
        with torch.no_grad():
            return tuple(module(*inputs))

    return run


def _write_onnx(program: torch.export.ExportedProgram, network: Network, path: Path) -> None:
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            program,
            (),
            path,
            dynamo=True,
            input_names=network.inputs,
            output_names=network.outputs,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.dim_param = "batch"
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _load_onnx(path: Path) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(inputs: Tensors) -> Tensors:
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(output) for output in session.run(None, feed))

    return run


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _load_onnx),
    "torch.export": Format(".pt2", (), _write_torch, _load_torch),
}
"""Formats by name."""


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference of two tensors; infinite if shapes differ.

    >>> difference(torch.zeros(2), torch.tensor([0.0, 0.5]))
    0.5
    """
    if one.shape != other.shape:
        return float("inf")
    gap = (one.double() - other.double()).abs().max().item()
    return float("inf") if gap != gap else float(gap)
