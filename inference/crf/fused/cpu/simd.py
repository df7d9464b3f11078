"""SIMD vectors of eight or sixteen float32 in compiled code: loads, stores and broadcasts.

Numba leaves vectorisation to LLVM, which gives up where two arrays might overlap. Here a `Vector`
is a value held in a variable, and each function below is one or a few instructions. They work in
compiled code only. "A flat array" below is a one-dimensional contiguous array, or a `pointer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

intrinsic: Callable[[Callable[..., Any]], Any] = _intrinsic

Pointer = Any
"""What `pointer` returns: the address of a number. It has no type outside compiled code."""

WIDTH = 8
"""Numbers in a narrow `Vector`; the labels of a pixel are padded to a multiple of it."""

WIDE = 16
"""Numbers in a wide `Vector`."""

PADDING_LOGIT = -3e38
"""The logit of a label that only fills a vector up: its probability is zero whatever is added."""


class Vector(types.Type):
    """Numba's type of a SIMD vector of float32.

    Args:
        count: Number of values.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Vector({count})")


_FLOAT, _INT = ir.FloatType(), ir.IntType(32)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(_FLOAT, kind.count))


def _loader(doc: str, count: int) -> Any:
    def load(typing: Any, array: Any, start: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(address(context, builder, signature, args, count), align=4)

        return Vector(count)(array, types.int64), code

    load.__doc__ = doc
    return intrinsic(load)


def _broadcaster(doc: str, count: int) -> Any:
    def broadcast(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _repeat(builder, args[0], count)

        return Vector(count)(types.float32), code

    broadcast.__doc__ = doc
    return intrinsic(broadcast)


load = _loader("Load ``array[start : start + 8]`` of a flat array.", WIDTH)
load_wide = _loader("Load ``array[start : start + 16]`` of a flat array.", WIDE)
broadcast = _broadcaster("Make a narrow vector of one number, repeated.", WIDTH)
broadcast_wide = _broadcaster("Make a wide vector of one number, repeated.", WIDE)


@intrinsic
def load_like(typing: Any, array: Any, start: Any, like: Any) -> Any:
    """Load a vector as wide as ``like`` from a flat float32 array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(address(context, builder, signature, args, like.count), align=4)

    return like(array, types.int64, like), code


@intrinsic
def broadcast_like(typing: Any, value: Any, like: Any) -> Any:
    """Make a vector as wide as ``like`` of one number, repeated."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _repeat(builder, args[0], like.count)

    return like(types.float32, like), code


@intrinsic
def width_of(typing: Any, like: Any) -> Any:
    """Return how many numbers a vector holds, a constant."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), like.count)

    return types.int64(like), code


@intrinsic
def pointer(typing: Any, array: Any, start: Any) -> Any:
    """Return the address of ``array[start]``, to stand for the rest of the array.

    Compiled code counts references each time it passes an array on, which takes longer than the
    work on a few pixels. Pointers are not counted: the caller must keep the array.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(_first(context, builder, signature, args), [args[1]])

    return types.CPointer(array.dtype)(array, types.int64), code


@intrinsic
def get(typing: Any, array: Any, index: Any) -> Any:
    """Read one number of a flat array at an index ≥ 0, without checking it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(_first(context, builder, signature, args), [args[1]]))

    return array.dtype(array, types.int64), code


@intrinsic
def put(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write one number of a flat array at an index ≥ 0, without checking it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = builder.gep(_first(context, builder, signature, args), [args[1]])
        builder.store(args[2], at)
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), code


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask the CPU to bring a number of a flat array into the cache: it will be read soon."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = builder.gep(_first(context, builder, signature, args), [args[1]])
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        ask = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
        builder.call(ask, [builder.bitcast(at, byte), _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), code


@intrinsic
def store(typing: Any, array: Any, start: Any, value: Any) -> Any:
    """Write a vector to a flat float32 array, from ``start`` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = address(context, builder, signature, args, value.count)
        builder.store(args[2], at, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), code


def address(context: Any, builder: Any, signature: Any, args: Any, count: int) -> Any:
    """Emit the address of ``count`` numbers, to be loaded or stored as one vector.

    Args:
        context: Numba's target context.
        builder: LLVM's builder.
        signature: Signature of the caller: its first argument is a flat array or a pointer.
        args: LLVM's values of the array and of the first number's index.
        count: Number of values.
    """
    kind = ir.VectorType(_FLOAT, count).as_pointer()
    first = _first(context, builder, signature, args)
    return builder.bitcast(builder.gep(first, [args[1]]), kind)


def _repeat(builder: Any, value: Any, count: int) -> Any:
    """Emit a vector of one number, repeated."""
    kind = ir.VectorType(_FLOAT, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    same = ir.Constant(ir.VectorType(_INT, count), [0] * count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), same)


def _first(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Emit the address of the first number of an array, or the pointer itself."""
    if isinstance(signature.args[0], types.CPointer):
        return args[0]
    return context.make_array(signature.args[0])(context, builder, args[0]).data
