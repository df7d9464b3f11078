"""Arithmetic of SIMD vectors: sums, products, exponentials, reductions and transposes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from .simd import WIDTH, Vector, address, intrinsic

_INT = ir.IntType(32)
_FUSE = ("contract",)


@intrinsic
def transpose8(
    typing: Any, source: Any, start: Any, stride: Any, target: Any, begin: Any, pitch: Any
) -> Any:
    """Transpose eight by eight numbers of one flat array into another.

    ``target[begin + j · pitch + i] = source[start + i · stride + j]`` for i and j below 8.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args

        def row(which: int, i: int) -> Any:
            step = builder.mul(args[which + 2], ir.Constant(ir.IntType(64), i))
            at = builder.add(args[which + 1], step)
            pair = types.void(kinds[which], types.int64)
            return address(context, builder, pair, (args[which], at), WIDTH)

        rows = [builder.load(row(0, i), align=4) for i in range(WIDTH)]
        for half in (4, 2, 1):
            rows = _exchange(builder, rows, half)
        for i, values in enumerate(rows):
            builder.store(values, row(3, i), align=4)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, target, whole, whole), code


def _exchange(builder: Any, rows: list[Any], half: int) -> list[Any]:
    """Exchange what lies ``half`` to the right in rows with what lies ``half`` below."""
    result = list(rows)
    for i in range(WIDTH):
        if not i & half:
            result[i], result[i + half] = _interleave(builder, rows[i], rows[i + half], half)
    return result


def _interleave(builder: Any, one: Any, other: Any, half: int) -> tuple[Any, Any]:
    """Collect two rows' elements whose index lacks the bit ``half``, in turn, and the others."""
    low, high = [], []
    for j in range(WIDTH):
        upper = j & half == 0
        low.append(j if upper else WIDTH + j - half)
        high.append(j + half if upper else WIDTH + j)
    kind = ir.VectorType(_INT, WIDTH)
    return (
        builder.shuffle_vector(one, other, ir.Constant(kind, low)),
        builder.shuffle_vector(one, other, ir.Constant(kind, high)),
    )


def _row_reduction(doc: str, combine: Callable[..., Any]) -> Any:
    """Make a function that reduces eight rows of eight numbers to one number a row."""

    def reduce(typing: Any, array: Any, start: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            rows = []
            for i in range(WIDTH):
                at = args[0], builder.add(args[1], ir.Constant(ir.IntType(64), i * WIDTH))
                rows.append(builder.load(address(context, builder, signature, at, WIDTH), align=4))
            for half in (1, 2, 4):
                pairs = zip(rows[::2], rows[1::2], strict=True)
                rows = [combine(builder, *_interleave(builder, *pair, half)) for pair in pairs]
            return rows[0]

        return Vector(WIDTH)(array, types.int64), code

    reduce.__doc__ = doc
    return intrinsic(reduce)


def _half_reduction(doc: str, combine: Callable[..., Any]) -> Any:
    """Make a function that combines the two halves of a vector."""

    def reduce(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            span = value.count // 2
            kind = ir.VectorType(_INT, span)
            low, high = (
                builder.shuffle_vector(args[0], args[0], ir.Constant(kind, order))
                for order in (list(range(span)), list(range(span, 2 * span)))
            )
            return combine(builder, low, high)

        return Vector(value.count // 2)(value), code

    reduce.__doc__ = doc
    return intrinsic(reduce)


def _elementwise(doc: str, combine: Callable[..., Any], count: int) -> Any:
    """Make a function of ``count`` vectors from what emits its code."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return combine(builder, *args)

    def one(typing: Any, a: Any) -> Any:
        return a(a), code

    def two(typing: Any, a: Any, b: Any) -> Any:
        return a(a, a), code

    def three(typing: Any, a: Any, b: Any, c: Any) -> Any:
        return a(a, a, a), code

    chosen: Any = (one, two, three)[count - 1]
    chosen.__doc__ = doc
    return intrinsic(chosen)


def _add(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b, flags=_FUSE)


def _subtract(builder: Any, a: Any, b: Any) -> Any:
    return builder.fsub(a, b)


def _multiply(builder: Any, a: Any, b: Any) -> Any:
    return builder.fmul(a, b, flags=_FUSE)


def _reciprocal(builder: Any, a: Any) -> Any:
    return builder.fdiv(ir.Constant(a.type, [1.0] * a.type.count), a)


def _floor(builder: Any, a: Any) -> Any:
    kind = ir.FunctionType(a.type, [a.type])
    name = f"llvm.floor.v{a.type.count}f32"
    return builder.call(builder.module.declare_intrinsic(name, (), kind), [a])


def _is_less(builder: Any, a: Any, b: Any) -> Any:
    one, zero = (ir.Constant(a.type, [value] * a.type.count) for value in (1.0, 0.0))
    return builder.select(builder.fcmp_ordered("<", a, b), one, zero)


def _maximum(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(a.type, [a.type] * 3)
    name = f"llvm.fmuladd.v{a.type.count}f32"  # one rounding where the CPU can, two elsewhere
    return builder.call(builder.module.declare_intrinsic(name, (), kind), [a, b, c])


def _exp2(builder: Any, x: Any) -> Any:
    """Emit 2ˣ for −125 ≤ x ≤ 0, and 2⁻¹²⁵ ≈ 0 below: 2ⁿ times a polynomial about the nearest n.

    The polynomial has degree five and is right at 0; no other such has a smaller maximal error,
    9.1e-8.
    """
    count = x.type.count
    whole_kind = ir.VectorType(_INT, count)

    def same(value: float) -> ir.Constant:
        return ir.Constant(x.type, [value] * count)

    x = _maximum(builder, x, same(-125.0))
    magic = same(12582912.0)  # 1.5 · 2²³: adding it rounds to whole numbers, its last bits are n
    shifted = builder.fadd(x, magic)
    r = builder.fsub(x, builder.fsub(shifted, magic))
    series = same(0.0013264727150643467)
    for term in (
        0.009671512642931913,
        0.05550733743407024,
        0.24022242085303525,
        0.6931469775990552,
        1.0,
    ):
        series = _multiply_add(builder, series, r, same(term))
    bits = ir.Constant(whole_kind, [23] * count)
    n = builder.shl(builder.bitcast(shifted, whole_kind), bits)
    return builder.bitcast(builder.add(builder.bitcast(series, whole_kind), n), x.type)


add = _elementwise("Return a + b.", _add, 2)
subtract = _elementwise("Return a − b.", _subtract, 2)
multiply = _elementwise("Return a · b.", _multiply, 2)
multiply_add = _elementwise("Return a · b + c.", _multiply_add, 3)
reciprocal = _elementwise("Return 1 / a.", _reciprocal, 1)
maximum = _elementwise("Return the greater of a and b.", _maximum, 2)
floor = _elementwise("Return the greatest whole number that is not above a.", _floor, 1)
is_less = _elementwise("Return 1 where a < b, else 0.", _is_less, 2)
exp2 = _elementwise("Return 2ˣ for x ≤ 0, with a relative error below 2e-7.", _exp2, 1)
add_halves = _half_reduction("Return the lower half of a vector plus its upper half.", _add)
max_halves = _half_reduction("Return the maximum of a vector's halves, elementwise.", _maximum)
row_sums = _row_reduction("Return the sum of each of eight rows of eight numbers.", _add)
row_maxima = _row_reduction("Return the maximum of each of eight rows of eight.", _maximum)
