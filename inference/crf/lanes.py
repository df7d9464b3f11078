"""Eight or sixteen labels at a time: the vector arithmetic of compiled kernels, said outright.

Numba leaves vectors to the compiler's guess, and it guesses wrongly where two arrays might be
one. Here a `Lanes` is a value that kernels hold in a variable, and each function below is one or
a few instructions. They can be called in compiled code only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

intrinsic: Callable[[Callable[..., Any]], Any] = _intrinsic

WIDTH = 8
"""Labels in narrow `Lanes`; rows of labels are padded to a multiple of it."""

WIDE = 16
"""Labels in wide `Lanes`."""

LOWEST = -3e38
"""The logit of a padding label: whatever is added, it stays without a chance."""

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)


class Lanes(types.Type):
    """So many float32.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Lanes({count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(_FLOAT, kind.count))


def _reader(count: int) -> Any:
    @intrinsic
    def read(typing: Any, array: Any, start: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(place(context, builder, signature, args, count), align=4)

        return Lanes(count)(array, types.int64), code

    return read


def _filler(count: int) -> Any:
    @intrinsic
    def same(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _spread(builder, args[0], count)

        return Lanes(count)(types.float32), code

    return same


load, load_wide = _reader(WIDTH), _reader(WIDE)  # array[start : start + count], of a flat array
fill, fill_wide = _filler(WIDTH), _filler(WIDE)  # the same number count times


@intrinsic
def load_like(typing: Any, array: Any, start: Any, like: Any) -> Any:
    """Read as many numbers of a flat float32 array as ``like`` has."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(place(context, builder, signature, args, like.count), align=4)

    return like(array, types.int64, like), code


@intrinsic
def fill_like(typing: Any, value: Any, like: Any) -> Any:
    """Give a number as often as ``like`` has some."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, args[0], like.count)

    return like(types.float32, like), code


@intrinsic
def lanes_of(typing: Any, like: Any) -> Any:
    """Give how many numbers ``like`` has."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), like.count)

    return types.int64(like), code


@intrinsic
def pointer(typing: Any, array: Any, start: Any) -> Any:
    """Give where an array's numbers are from ``start`` on, in place of the array.

    Compiled code counts who holds an array each time it is handed on, which takes longer than
    what is done with a few pixels. Pointers are not counted: the caller keeps the array.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(_start(context, builder, signature, args), [args[1]])

    return types.CPointer(array.dtype)(array, types.int64), code


@intrinsic
def item(typing: Any, array: Any, index: Any) -> Any:
    """Read one number of a flat array, at an index that is not negative: this asks no question."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(_start(context, builder, signature, args), [args[1]]))

    return array.dtype(array, types.int64), code


@intrinsic
def put(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write one number where `item` reads it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(_start(context, builder, signature, args), [args[1]])
        builder.store(args[2], place)
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), code


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for one number of a flat array to be brought near: it will be read soon."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = builder.gep(_start(context, builder, signature, args), [args[1]])
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        ask = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
        builder.call(ask, [builder.bitcast(at, byte), _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), code


@intrinsic
def store(typing: Any, array: Any, start: Any, value: Any) -> Any:
    """Write lanes to a flat float32 array, from ``start`` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = place(context, builder, signature, args, value.count)
        builder.store(args[2], at, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), code


def _spread(builder: Any, value: Any, count: int) -> Any:
    """Give a number ``count`` times."""
    kind = ir.VectorType(_FLOAT, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    same = ir.Constant(ir.VectorType(_INT, count), [0] * count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), same)


def place(context: Any, builder: Any, signature: Any, args: Any, count: int) -> Any:
    """Point at so many numbers of an array."""
    kind = ir.VectorType(_FLOAT, count).as_pointer()
    start = _start(context, builder, signature, args)
    return builder.bitcast(builder.gep(start, [args[1]]), kind)


def _start(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Point at the first number of an array, or of what a pointer points at."""
    if isinstance(signature.args[0], types.CPointer):
        return args[0]
    return context.make_array(signature.args[0])(context, builder, args[0]).data
