"""Arithmetic of `Lanes`: sums, products, exponentials, and what takes rows of them to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from .lanes import WIDTH, Lanes, intrinsic, place

_INT = ir.IntType(32)
_FUSE = ("contract",)


@intrinsic
def turn(
    typing: Any, source: Any, start: Any, stride: Any, target: Any, begin: Any, pace: Any
) -> Any:
    """Transpose eight by eight numbers: rows of one array are columns of the other.

    ``target[begin + j · pace + i] = source[start + i · stride + j]``.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args

        def corner(which: int, i: int) -> Any:
            step = builder.mul(args[which + 2], ir.Constant(ir.IntType(64), i))
            at = builder.add(args[which + 1], step)
            pair = typing_pair(kinds[which])
            return place(context, builder, pair, (args[which], at), WIDTH)

        rows = [builder.load(corner(0, i), align=4) for i in range(WIDTH)]
        for half in (4, 2, 1):
            rows = _crossed(builder, rows, half)
        for i, row in enumerate(rows):
            builder.store(row, corner(3, i), align=4)
        return context.get_dummy_value()

    def typing_pair(kind: Any) -> Any:
        return types.void(kind, types.int64)

    whole = types.int64
    return types.void(source, whole, whole, target, whole, whole), code


def _crossed(builder: Any, rows: list[Any], half: int) -> list[Any]:
    """Swap what lies ``half`` to the right in rows with what lies ``half`` below."""
    found = list(rows)
    for i in range(WIDTH):
        if not i & half:
            found[i], found[i + half] = _sorted(builder, rows[i], rows[i + half], half)
    return found


def _sorted(builder: Any, one: Any, other: Any, half: int) -> tuple[Any, Any]:
    """Give what two rows have at places without the bit ``half``, in turn, and at those with."""
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


def _folded(doc: str, combine: Callable[..., Any]) -> Any:
    """Make a function that takes eight rows of eight numbers to one number each."""

    def fold(typing: Any, array: Any, start: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            rows = []
            for i in range(WIDTH):
                at = args[0], builder.add(args[1], ir.Constant(ir.IntType(64), i * WIDTH))
                rows.append(builder.load(place(context, builder, signature, at, WIDTH), align=4))
            for half in (1, 2, 4):
                pairs = zip(rows[::2], rows[1::2], strict=True)
                rows = [combine(builder, *_sorted(builder, *pair, half)) for pair in pairs]
            return rows[0]

        return Lanes(WIDTH)(array, types.int64), code

    fold.__doc__ = doc
    return intrinsic(fold)


def _halved(doc: str, combine: Callable[..., Any]) -> Any:
    """Make a function that takes lanes to half as many."""

    def halve(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            span = value.count // 2
            kind = ir.VectorType(_INT, span)
            low, high = (
                builder.shuffle_vector(args[0], args[0], ir.Constant(kind, order))
                for order in (list(range(span)), list(range(span, 2 * span)))
            )
            return combine(builder, low, high)

        return Lanes(value.count // 2)(value), code

    halve.__doc__ = doc
    return intrinsic(halve)


def _lanewise(doc: str, combine: Callable[..., Any], count: int) -> Any:
    """Make a function of ``count`` lanes from what it emits."""

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


def _less(builder: Any, a: Any, b: Any) -> Any:
    one, nothing = (ir.Constant(a.type, [value] * a.type.count) for value in (1.0, 0.0))
    return builder.select(builder.fcmp_ordered("<", a, b), one, nothing)


def _greater(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _add(builder, _multiply(builder, a, b), c)


def _exp2(builder: Any, x: Any) -> Any:
    """Emit 2ˣ for −125 ≤ x ≤ 0, and 2⁻¹²⁵ ≈ 0 below: 2ⁿ times a polynomial about the nearest n.

    Its greatest error is the least a polynomial of degree five has that is right at 0: 9.1e-8.
    """
    count = x.type.count
    whole_kind = ir.VectorType(_INT, count)

    def same(value: float) -> ir.Constant:
        return ir.Constant(x.type, [value] * count)

    x = _greater(builder, x, same(-125.0))
    near = same(12582912.0)  # 1.5 · 2²³: adding it rounds to whole numbers, its last bits are n
    shifted = builder.fadd(x, near)
    r = builder.fsub(x, builder.fsub(shifted, near))
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


add = _lanewise("Give a + b.", _add, 2)
multiply = _lanewise("Give a · b.", _multiply, 2)
floor = _lanewise("Give the greatest whole number not above a.", _floor, 1)
less = _lanewise("Give 1 where a < b, else 0.", _less, 2)
subtract = _lanewise("Give a − b.", _subtract, 2)
greater = _lanewise("Give the greater of a and b.", _greater, 2)
multiply_add = _lanewise("Give a · b + c.", _multiply_add, 3)
exp2 = _lanewise("Give 2ˣ for x ≤ 0, within 2e-7 of itself.", _exp2, 1)
reciprocal = _lanewise("Give 1 / a.", _reciprocal, 1)
half_sum = _halved("Add the upper half of lanes to the lower.", _add)
half_greater = _halved("Give the greater of the upper half of lanes and the lower.", _greater)
sums = _folded("Add up each of eight rows of eight numbers, of a flat array.", _add)
peaks = _folded("Find the greatest in each of eight rows of eight numbers.", _greater)
