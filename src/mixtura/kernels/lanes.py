"""Vectors of the processor as a Numba type: what the kernels add, multiply and exponentiate.

A `Lanes` value is one register (or a few, where registers are short) of float64 or float32: 512 bits with AVX-512, 256 with
AVX2, 128 elsewhere (NEON, SSE2). The kernels are written in these values, so their speed does not hang on whether LLVM's loop
vectoriser sees through a loop, their sums keep one order, and they compile in a fraction of the time.

Leaves out: masks, gathers and anything that the kernels do not use.
"""

from __future__ import annotations

import functools
import operator
import threading
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.core import cgutils, config
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, overload, register_model


def _register_bytes() -> int:
    features = config.CPU_FEATURES
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        return 64
    return 32 if "+avx2" in features else 16


REGISTER_BYTES = _register_bytes()
# contract: a*b+c may fuse; nsz, arcp: signs of zero and reciprocals are free. Sums are never reordered.
FAST = {"contract", "nsz", "arcp"}
kernel = njit(nogil=True, fastmath=FAST, error_model="numpy", cache=True)


class Entry:
    """A kernel that Python calls with rows first: compiled once for each dtype of the rows, whatever their layout in memory.

    Numba alone would compile anew for rows that are read-only, Fortran-ordered or strided, some seconds each time.
    """

    def __init__(self, function: Any):
        self.function = function
        self.compiled: dict[np.dtype[Any], Any] = {}
        self.lock = threading.Lock()
        functools.update_wrapper(self, function)

    def __call__(self, rows: np.ndarray[Any, Any], *arguments: Any) -> Any:  # noqa: D102 (the class says it)
        compiled = self.compiled.get(rows.dtype) or self._compile(rows, arguments)
        return compiled(rows, *arguments)

    def _compile(self, rows: np.ndarray[Any, Any], arguments: tuple[Any, ...]) -> Any:
        with self.lock:
            if rows.dtype not in self.compiled:
                any_layout = types.Array(typeof(rows).dtype, 2, "A", readonly=True)
                compiled = kernel(self.function)
                compiled.compile((any_layout, *map(typeof, arguments)))
                compiled.disable_compile()
                self.compiled[rows.dtype] = compiled
        return self.compiled[rows.dtype]


def lanes_per_register(dtype: np.dtype[Any] | type) -> int:
    """How many numbers of a dtype one register holds."""
    return REGISTER_BYTES // np.dtype(dtype).itemsize


class Lanes(types.Type):  # type: ignore[misc]
    """The Numba type of one register: `count` numbers of `dtype`."""

    def __init__(self, dtype: Any, count: int):
        self.dtype, self.count = dtype, count
        super().__init__(f"Lanes({dtype} x {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, lanes: Lanes):
        number = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.count))


def _lanes(dtype: Any) -> Lanes:
    return Lanes(dtype, REGISTER_BYTES * 8 // dtype.bitwidth)


def _like(source: Any) -> Lanes:
    return source if isinstance(source, Lanes) else _lanes(source.dtype)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, indices: list[Any], lanes: Lanes) -> Any:
    """Where the register at these indices of a C-contiguous array lies."""
    view = context.make_array(array_type)(context, builder, array)
    strides = cgutils.unpack_tuple(builder, view.strides)
    strides[-1] = ir.Constant(strides[-1].type, array_type.dtype.bitwidth // 8)
    offset = ir.Constant(strides[-1].type, 0)
    for index, stride in zip(indices, strides, strict=True):
        offset = builder.add(offset, builder.mul(index, stride, flags=["nsw"]), flags=["nsw"])
    start = builder.bitcast(view.data, cgutils.voidptr_t)
    place = builder.gep(start, [offset], inbounds=True)
    return builder.bitcast(place, context.get_value_type(lanes).as_pointer())


def _constant(lanes_ir: Any, value: Any) -> Any:
    return ir.Constant(lanes_ir, [value] * lanes_ir.count)


def _spread(builder: Any, number: Any, count: int) -> Any:
    one = builder.insert_element(ir.Constant(ir.VectorType(number.type, count), ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count))


@intrinsic
def load(typing: Any, array: Any, i: Any, j: Any) -> Any:
    """The register that starts at array[i, j]."""
    lanes = _lanes(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = _pointer(context, builder, sig.args[0], args[0], list(args[1:]), lanes)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return lanes(array, types.intp, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, i: Any, j: Any, value: Any) -> Any:
    """array[i, j:] = value, one register."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = _pointer(context, builder, sig.args[0], args[0], list(args[1:3]), value)
        builder.store(args[3], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


def _fold(builder: Any, left: Any, right: Any, groups: int) -> Any:
    """Both registers hold `groups` partial sums side by side; halves each and sets left's beside right's."""
    count, size = left.type.count, left.type.count // groups
    if size == 1:
        return _pick(builder, left, right, list(range(2 * count)))
    starts = [side * count + group * size for side in range(2) for group in range(groups)]
    lower = [start + lane for start in starts for lane in range(size // 2)]
    return builder.fadd(_pick(builder, left, right, lower), _pick(builder, left, right, [lane + size // 2 for lane in lower]))


def _pick(builder: Any, left: Any, right: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _four_sums(builder: Any, registers: list[Any]) -> Any:
    """Four registers become one of four sums, each added pairwise."""
    a, b, c, d = registers
    result, groups = _fold(builder, _fold(builder, a, b, 1), _fold(builder, c, d, 1), 2), 4
    while (size := result.type.count // groups) > 1:
        lower = [group * size + lane for group in range(groups) for lane in range(size // 2)]
        upper = [lane + size // 2 for lane in lower]
        result = builder.fadd(_pick(builder, result, result, lower), _pick(builder, result, result, upper))
    return result


@intrinsic
def accumulate(typing: Any, table: Any, i: Any, j: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """table[i, j:j+4] += (sum of a, sum of b, sum of c, sum of d), added in float64."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        four = Lanes(types.float64, 4)
        place = _pointer(context, builder, sig.args[0], args[0], list(args[1:3]), four)
        sums = _four_sums(builder, list(args[3:]))
        if a.dtype != types.float64:
            sums = builder.fpext(sums, context.get_value_type(four))
        builder.store(builder.fadd(builder.load(place, align=8), sums), place, align=8)
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp, a, a, a, a), generate


@intrinsic
def accumulate_lanes(typing: Any, table: Any, value: Any) -> Any:
    """table[0, :] += value, lane by lane in float64: a sum over many panels that is folded once, at the end."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = Lanes(types.float64, value.count)
        zero = ir.Constant(ir.IntType(64), 0)
        place = _pointer(context, builder, sig.args[0], args[0], [zero, zero], wide)
        term = args[1]
        if value.dtype != types.float64:
            term = builder.fpext(term, context.get_value_type(wide))
        builder.store(builder.fadd(builder.load(place, align=8), term), place, align=8)
        return context.get_dummy_value()

    return types.void(table, value), generate


@intrinsic
def splat(typing: Any, like: Any, number: Any) -> Any:
    """A register filled with one number; `like` is a register or an array of the wanted dtype."""
    lanes = _like(like)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, args[1], lanes.count)

    return lanes(like, lanes.dtype), generate


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a*b + c, fused where the processor can."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = args[0].type
        name = f"llvm.fmuladd.v{a.count}f{a.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return builder.call(function, args)

    return a(a, a, a), generate


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger of each pair."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, a), generate


@intrinsic
def where_greater(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a > b, else y."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return x(a, a, x, x), generate


_LAYOUT = {64: (52, 1023), 32: (23, 127)}  # bits of mantissa, bias of exponent (IEEE 754)


@intrinsic
def power_of_two(typing: Any, shifted: Any) -> Any:
    """2^n, where n sits in the low bits of `shifted` (it was added to 1.5 * 2^mantissa)."""
    mantissa, bias = _LAYOUT[shifted.dtype.bitwidth]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(shifted.dtype.bitwidth), shifted.count)
        n = builder.add(builder.bitcast(args[0], integers), _constant(integers, bias))
        return builder.bitcast(builder.shl(n, _constant(integers, mantissa)), args[0].type)

    return shifted(shifted), generate


@intrinsic
def exponent(typing: Any, x: Any) -> Any:
    """floor(log2(x)) of positive normal numbers, as floats."""
    mantissa, bias = _LAYOUT[x.dtype.bitwidth]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(x.dtype.bitwidth), x.count)
        n = builder.lshr(builder.bitcast(args[0], integers), _constant(integers, mantissa))
        return builder.sitofp(builder.sub(n, _constant(integers, bias)), args[0].type)

    return x(x), generate


@intrinsic
def significand(typing: Any, x: Any) -> Any:
    """x / 2^exponent(x), in [1, 2)."""
    mantissa, bias = _LAYOUT[x.dtype.bitwidth]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(x.dtype.bitwidth), x.count)
        kept = builder.and_(builder.bitcast(args[0], integers), _constant(integers, (1 << mantissa) - 1))
        return builder.bitcast(builder.or_(kept, _constant(integers, bias << mantissa)), args[0].type)

    return x(x), generate


@intrinsic
def total(typing: Any, x: Any) -> Any:
    """The sum of the lanes in float64, first to last."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        result = ir.Constant(ir.DoubleType(), 0.0)
        for lane in range(x.count):
            number = builder.extract_element(args[0], ir.Constant(ir.IntType(32), lane))
            if x.dtype != types.float64:
                number = builder.fpext(number, ir.DoubleType())
            result = builder.fadd(result, number)
        return result

    return types.float64(x), generate


def _define(symbol: Any, instruction: str) -> None:
    """Gives registers one of Python's binary operators."""

    @infer_global(symbol)
    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, keywords: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)

    lower_builtin(symbol, Lanes, Lanes)(lower)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _define(_symbol, _instruction)


@intrinsic
def wide_registers(typing: Any) -> Any:
    """Lets LLVM keep 512-bit registers whole in the function that calls it; by default it halves them on many processors."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        # llvmlite knows neither attribute by name, so they are added as raw text; other processors ignore them
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        set.add(builder.function.attributes, '"min-legal-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


def exp(x: Any) -> Any:
    """exp(x) for x <= 0, within 2 units in the last place; below exp(-300) (float32: exp(-60)) it stays there.

    Smaller posteriors would make products subnormal, which processors compute ten times slower, and matter to no sum.
    """
    raise NotImplementedError("only inside kernels")


def log(x: Any) -> Any:
    """log(x) for positive normal x, within 2 units in the last place."""
    raise NotImplementedError("only inside kernels")


@overload(exp, inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2; exp(r) is its Taylor sum, r keeps ln 2 in two parts (Cody & Waite)."""
    if x.dtype == types.float64:

        def implementation(x):  # type: ignore[no-untyped-def]
            magic = splat(x, 6755399441055744.0)
            x = maximum(x, splat(x, -300.0))
            shifted = fma(x, splat(x, 1.4426950408889634), magic)
            n = shifted - magic
            r = fma(n, splat(x, -0.6931471803691238), x)
            r = fma(n, splat(x, -1.9082149292705877e-10), r)
            p = splat(x, 2.505210838544172e-08)
            p = fma(p, r, splat(x, 2.755731922398589e-07))
            p = fma(p, r, splat(x, 2.7557319223985893e-06))
            p = fma(p, r, splat(x, 2.48015873015873e-05))
            p = fma(p, r, splat(x, 0.0001984126984126984))
            p = fma(p, r, splat(x, 0.001388888888888889))
            p = fma(p, r, splat(x, 0.008333333333333333))
            p = fma(p, r, splat(x, 0.041666666666666664))
            p = fma(p, r, splat(x, 0.16666666666666666))
            p = fma(p, r, splat(x, 0.5))
            p = fma(p, r, splat(x, 1.0))
            p = fma(p, r, splat(x, 1.0))
            return p * power_of_two(shifted)
    else:

        def implementation(x):  # type: ignore[no-untyped-def]
            magic = splat(x, 12582912.0)
            x = maximum(x, splat(x, -60.0))
            shifted = fma(x, splat(x, 1.4426950408889634), magic)
            n = shifted - magic
            r = fma(n, splat(x, -0.693359375), x)
            r = fma(n, splat(x, 0.00021219444005469057), r)
            p = splat(x, 0.0001984126984126984)
            p = fma(p, r, splat(x, 0.001388888888888889))
            p = fma(p, r, splat(x, 0.008333333333333333))
            p = fma(p, r, splat(x, 0.041666666666666664))
            p = fma(p, r, splat(x, 0.16666666666666666))
            p = fma(p, r, splat(x, 0.5))
            p = fma(p, r, splat(x, 1.0))
            p = fma(p, r, splat(x, 1.0))
            return p * power_of_two(shifted)

    return implementation


@overload(log, inline="always")
def _log(x):  # type: ignore[no-untyped-def]
    """log(x) = e ln 2 + 2 artanh((m-1)/(m+1)), x = 2^e m, m in [sqrt(1/2), sqrt 2): |t| <= 0.1716, so t^19 ends the sum in float64."""

    def implementation(x):  # type: ignore[no-untyped-def]
        one = splat(x, 1.0)
        root = splat(x, 1.4142135623730951)
        m = significand(x)
        e = exponent(x) + where_greater(m, root, one, splat(x, 0.0))
        m = where_greater(m, root, m * splat(x, 0.5), m)
        t = (m - one) / (m + one)
        s = t * t
        p = splat(x, 1.0 / 19.0)
        p = fma(p, s, splat(x, 1.0 / 17.0))
        p = fma(p, s, splat(x, 1.0 / 15.0))
        p = fma(p, s, splat(x, 1.0 / 13.0))
        p = fma(p, s, splat(x, 1.0 / 11.0))
        p = fma(p, s, splat(x, 1.0 / 9.0))
        p = fma(p, s, splat(x, 1.0 / 7.0))
        p = fma(p, s, splat(x, 1.0 / 5.0))
        p = fma(p, s, splat(x, 1.0 / 3.0))
        p = fma(p, s, one)
        return fma(e, splat(x, 0.6931471805599453), (t + t) * p)

    return implementation
