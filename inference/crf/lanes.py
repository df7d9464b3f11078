"""Eight labels at a time: the vector arithmetic of compiled kernels, said outright.

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
"""Labels in a `Lanes`; rows of labels are padded to a multiple of it."""

LOWEST = -3e38
"""The logit of a padding label: whatever is added, it stays without a chance."""

_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_WHOLE = ir.VectorType(ir.IntType(32), WIDTH)
_FUSE = ("contract",)


class Lanes(types.Type):
    """Eight float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


lanes = Lanes()


@intrinsic
def load(typing: Any, array: Any, start: Any) -> Any:
    """Read ``array[start : start + 8]`` of a flat float32 array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature, args), align=4)

    return lanes(array, types.int64), code


@intrinsic
def item(typing: Any, array: Any, index: Any) -> Any:
    """Read one number of a flat array, at an index that is not negative: this asks no question."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.load(builder.gep(held.data, [args[1]]))

    return array.dtype(array, types.int64), code


@intrinsic
def store(typing: Any, array: Any, start: Any, value: Any) -> Any:
    """Write ``array[start : start + 8] = value`` of a flat float32 array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, signature, args), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), code


@intrinsic
def fill(typing: Any, value: Any) -> Any:
    """Give eight times the same number."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], _int(0))
        same = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), same)

    return lanes(types.float32), code


def _lanewise(doc: str, combine: Callable[..., Any], count: int) -> Any:
    """Make a function of ``count`` lanes from what it emits."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return combine(builder, *args)

    def one(typing: Any, a: Any) -> Any:
        return lanes(lanes), code

    def two(typing: Any, a: Any, b: Any) -> Any:
        return lanes(lanes, lanes), code

    def three(typing: Any, a: Any, b: Any, c: Any) -> Any:
        return lanes(lanes, lanes, lanes), code

    chosen: Any = (one, two, three)[count - 1]
    chosen.__doc__ = doc
    return intrinsic(chosen)


def _reduced(doc: str, combine: Callable[..., Any]) -> Any:
    """Make a function that takes lanes to one number by halves."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, span = args[0], WIDTH // 2
        while span:
            order = [(i + span) % WIDTH for i in range(WIDTH)]
            turned = builder.shuffle_vector(value, value, ir.Constant(_WHOLE, order))
            value, span = combine(builder, value, turned), span // 2
        return builder.extract_element(value, _int(0))

    def reduce(typing: Any, value: Any) -> Any:
        return types.float32(lanes), code

    reduce.__doc__ = doc
    return intrinsic(reduce)


def _add(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b, flags=_FUSE)


def _multiply(builder: Any, a: Any, b: Any) -> Any:
    return builder.fmul(a, b, flags=_FUSE)


def _greater(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _add(builder, _multiply(builder, a, b), c)


def _exponential(builder: Any, x: Any) -> Any:
    """Emit eˣ for −86 ≤ x ≤ 0, and e⁻⁸⁶ ≈ 0 below: 2ⁿ times a series about the nearest n."""
    x = _greater(builder, x, _same(-86.0))
    near = _same(12582912.0)  # 1.5 · 2²³: adding it rounds to whole numbers
    shifted = builder.fadd(builder.fmul(x, _same(1.4426950408889634)), near)
    n = builder.fsub(shifted, near)
    r = _multiply_add(builder, n, _same(-0.693145751953125), x)
    r = _multiply_add(builder, n, _same(-1.4286068203094172e-06), r)
    series = _same(1 / 720)
    for term in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
        series = _multiply_add(builder, series, r, _same(term))
    whole = builder.add(builder.fptosi(n, _WHOLE), ir.Constant(_WHOLE, [127] * WIDTH))
    power = builder.shl(whole, ir.Constant(_WHOLE, [23] * WIDTH))
    return builder.fmul(series, builder.bitcast(power, _VECTOR))


add = _lanewise("Give a + b.", _add, 2)
multiply = _lanewise("Give a · b.", _multiply, 2)
greater = _lanewise("Give the greater of a and b.", _greater, 2)
multiply_add = _lanewise("Give a · b + c.", _multiply_add, 3)
exponential = _lanewise("Give eˣ for x ≤ 0, within 3e-7 of itself.", _exponential, 1)
total = _reduced("Add eight numbers up.", _add)
greatest = _reduced("Find the greatest of eight numbers.", _greater)


def _same(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * WIDTH)


def _int(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), value)


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Point at eight numbers of an array."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _VECTOR.as_pointer())
