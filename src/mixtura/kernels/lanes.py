"""Vectors of the processor as a Numba type: what the kernels add, multiply and exponentiate.

A `Lanes` value is one register (or a few, where registers are short) of float64 or float32: 512 bits with AVX-512, 256 with
AVX2, 128 elsewhere (NEON, SSE2). The kernels are written in these values, so their speed does not hang on whether LLVM's loop
vectoriser sees through a loop, their sums keep one order, and they compile in a fraction of the time.

Leaves out: masks, gathers and anything that the kernels do not use.
"""

from __future__ import annotations

import functools
import math
import operator
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.core import cgutils, config
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from mixtura.compiling import callback, compiled, the_compiler
from mixtura.properties import cached_property


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
_options = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
kernel = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_options)  # called by others, whose machine code holds it
inlined = njit(inline="always", **_options)  # not even compiled by itself


def _digest() -> str:
    """What the machine code of this package depends on, in eight digits: its sources, and those of the families' compiled M-steps."""
    folder = Path(__file__).parent
    sources = (path for part in (folder, folder.parent / "families") for path in sorted(part.glob("*.py")))
    return f"{zlib.crc32(b''.join(path.read_bytes() for path in sources)):08x}"


class Entry:
    """A kernel that Python calls with rows first: compiled once for each dtype of the rows, whatever their layout in memory.

    Numba alone would compile anew for rows that are read-only, Fortran-ordered or strided, some seconds each time; and it would take
    machine code from its cache that holds older kernels of other files, so the name under which it is kept tells all of them.

    A `direct` one does not look at its arguments' types again, which takes longer than a short kernel: its one caller makes them always alike.
    """

    def __init__(self, function: Any, direct: bool = False):
        function.__qualname__ += f"_{DIGEST}"
        self.function, self.direct = function, direct
        self.compiled: dict[np.dtype[Any], Any] = {}
        functools.update_wrapper(self, function)

    def __call__(self, rows: np.ndarray[Any, Any], *arguments: Any) -> Any:  # noqa: D102 (the class says it)
        run = self.compiled.get(rows.dtype) or self._compile(rows, arguments)
        return run(rows, *arguments)

    def _compile(self, rows: np.ndarray[Any, Any], arguments: tuple[Any, ...]) -> Any:
        with the_compiler:
            if rows.dtype not in self.compiled:
                any_layout = types.Array(typeof(rows).dtype, 2, "A", readonly=True)
                dispatcher = compiled(**_options)(self.function)
                signature = (any_layout, *map(typeof, arguments))
                dispatcher.compile(signature)
                dispatcher.disable_compile()
                self.compiled[rows.dtype] = dispatcher.get_overload(signature) if self.direct else dispatcher
        return self.compiled[rows.dtype]


class Pointer:
    """A kernel that others call by its address: compiled once, when it is first wanted, and kept on disk, whoever calls it.

    Whatever calls a `kernel` holds its machine code, and compiles it again.
    """

    @classmethod
    def of(cls, signature: Any) -> Callable[[Any], Pointer]:
        """The decorator for functions of this signature."""
        return lambda function: cls(function, signature)

    def __init__(self, function: Any, signature: Any):
        function.__qualname__ += f"_{DIGEST}"
        self.function, self.signature, self.__doc__ = function, signature, function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """What a kernel takes as an argument."""
        with the_compiler:  # another thread may have it by now
            return vars(self).get("compiled") or callback(self.function, self.signature, fastmath=FAST, error_model="numpy")


def lanes_per_register(dtype: np.dtype[Any] | type) -> int:
    """How many numbers of a dtype one register holds."""
    return REGISTER_BYTES // np.dtype(dtype).itemsize


DIGEST = _digest()


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


def _place(context: Any, builder: Any, kind: Any, args: Any) -> tuple[Any, Any]:
    """Where table[i, j] lies, in bytes, whatever the layout, and how far it is to the next row; `args` are table, i and j."""
    view = context.make_array(kind)(context, builder, args[0])
    row_stride, column_stride = cgutils.unpack_tuple(builder, view.strides)
    offset = builder.add(builder.mul(args[1], row_stride), builder.mul(args[2], column_stride))
    return builder.gep(builder.bitcast(view.data, cgutils.voidptr_t), [offset]), row_stride


@intrinsic
def column(typing: Any, table: Any, i: Any, j: Any) -> Any:
    """The register table[i, j], table[i+1, j], ... The table may have any layout."""
    lanes = _lanes(table.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, row_stride = _place(context, builder, sig.args[0], args)
        register = ir.Constant(context.get_value_type(lanes), ir.Undefined)
        for lane in range(lanes.count):
            # the same multiples for every register: they are computed once
            place = builder.gep(start, [builder.mul(row_stride, ir.Constant(row_stride.type, lane))])
            place = builder.bitcast(place, register.type.element.as_pointer())
            register = builder.insert_element(register, builder.load(place, align=1), ir.Constant(ir.IntType(32), lane))
        return register

    return lanes(table, types.intp, types.intp), generate


@intrinsic
def downwards(typing: Any, table: Any, i: Any, j: Any) -> Any:
    """The register table[i, j], table[i+1, j], ... of a table whose columns lie one after the other."""
    lanes = _lanes(table.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start, _ = _place(context, builder, sig.args[0], args)
        return builder.load(builder.bitcast(start, context.get_value_type(lanes).as_pointer()), align=1)

    return lanes(table, types.intp, types.intp), generate


@intrinsic
def prefetch(typing: Any, table: Any, i: Any, beyond: Any) -> Any:
    """Asks for the cache line that lies so many bytes beyond the start of row i; a place outside the table does no harm."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(sig.args[0])(context, builder, args[0])
        row_stride = cgutils.unpack_tuple(builder, view.strides)[0]
        place = builder.gep(builder.bitcast(view.data, cgutils.voidptr_t), [builder.add(builder.mul(args[1], row_stride), args[2])])
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, ir.Constant(flag, 0), ir.Constant(flag, 2), ir.Constant(flag, 1)])  # to read, to L2, data
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp), generate


@intrinsic
def gather(typing: Any, table: Any, i: Any, places: Any, row: Any, start: Any) -> Any:
    """The register table[i, places[row, start]], table[i, places[row, start + 1]], ... of C-contiguous arrays."""
    lanes = _lanes(table.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        numbers = _pointer(context, builder, sig.args[2], args[2], list(args[3:5]), Lanes(types.int64, 1))
        numbers = builder.bitcast(numbers, ir.IntType(64).as_pointer())
        first = _pointer(context, builder, sig.args[0], args[0], [args[1], ir.Constant(ir.IntType(64), 0)], lanes)
        register = ir.Constant(context.get_value_type(lanes), ir.Undefined)
        first = builder.bitcast(first, register.type.element.as_pointer())
        for lane in range(lanes.count):
            number = builder.load(builder.gep(numbers, [ir.Constant(ir.IntType(64), lane)]))
            value = builder.load(builder.gep(first, [number]))
            register = builder.insert_element(register, value, ir.Constant(ir.IntType(32), lane))
        return register

    return lanes(table, types.intp, places, types.intp, types.intp), generate


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
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """The smaller of each pair."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return a(a, a), generate


@intrinsic
def where_greater(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a > b, else y."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return x(a, a, x, x), generate


@intrinsic
def any_greater(typing: Any, a: Any, b: Any) -> Any:
    """Whether a > b in any lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = builder.bitcast(builder.fcmp_ordered(">", *args), ir.IntType(a.count))
        return builder.icmp_unsigned("!=", lanes, ir.Constant(lanes.type, 0))

    return types.boolean(a, a), generate


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


class _Float(NamedTuple):
    """How a dtype is laid out (IEEE 754), and the approximations that reach its precision.

    `exp_series` is exp(r) = 1 + r (c_0 + c_1 r + ...) for |r| <= ln(2)/2, `log_series` artanh(t) = t (1 + t^2 (c_0 + c_1 t^2 + ...)) for
    |t| <= 3 - sqrt(8): minimax polynomials of our own (Remez), relative errors 3e-16 and 2e-16 (float32: 3e-9 and 1e-9).
    """

    mantissa: int
    bias: int
    least: float
    exp_series: tuple[float, ...]
    log_series: tuple[float, ...]


_FLOATS = {
    64: _Float(
        mantissa=52,
        bias=1023,
        least=-300.0,
        exp_series=(
            *(1.000000000000009, 0.5000000000000083, 0.1666666666652392, 0.041666666665592426, 0.008333333395903772),
            *(0.0013888889256496292, 0.00019841157849895117, 2.480111575281836e-05, 2.764511625941463e-06, 2.7779420610127974e-07),
        ),
        log_series=(0.333333333332936, 0.20000000026137696, 0.14285708564753394, 0.11111685851956404, 0.09061820946540373, 0.08409915029962807),
    ),
    32: _Float(
        mantissa=23,
        bias=127,
        least=-60.0,
        exp_series=(1.0000000496717516, 0.500000043464993, 0.16666365314046083, 0.041664776484517975, 0.008379020831388254, 0.0014061279273114963),
        log_series=(0.3333338819119668, 0.19988770726617014, 0.1493586569869112),
    ),
}


class _Arithmetic:
    """LLVM instructions on registers of one type, numbers standing for registers filled with them."""

    def __init__(self, builder: Any, kind: Any, bits: int):
        self.builder, self.kind, self.float = builder, kind, _FLOATS[bits]
        self.integers = ir.VectorType(ir.IntType(bits), kind.count)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        name = f"llvm.fmuladd.v{self.kind.count}f{self.integers.element.width}"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(self.kind, [self.kind] * 3), name)
        return self.builder.call(function, [self.filled(value) for value in (a, b, c)])

    def filled(self, value: Any) -> Any:
        return _constant(self.kind, value) if isinstance(value, float) else value

    def polynomial(self, coefficients: tuple[float, ...], x: Any) -> Any:
        result: Any = coefficients[-1]
        for coefficient in coefficients[-2::-1]:
            result = self.fma(result, x, coefficient)
        return result

    def bits(self, x: Any) -> Any:
        return self.builder.bitcast(x, self.integers)

    def number(self, bits: Any) -> Any:
        return self.builder.bitcast(bits, self.kind)

    def integer(self, value: int) -> Any:
        return _constant(self.integers, value)


@intrinsic
def exp(typing: Any, x: Any) -> Any:
    """exp(x) for x <= 0; below exp(-300) (float32: exp(-60)) it stays there.

    exp(x) = 2^n exp(r), n = round(x / ln 2). The relative error is 2 units in the last place and a tenth of a unit more for each n, from
    the rounding of ln 2: a posterior that small has no use for more. Those below the limit would make products subnormal, which
    processors compute ten times slower.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        do = _Arithmetic(builder, args[0].type, x.dtype.bitwidth)
        layout = do.float
        least = do.filled(layout.least)
        x_kept = builder.select(builder.fcmp_ordered(">", args[0], least), args[0], least)
        magic = 1.5 * 2.0**layout.mantissa  # what is added to it is rounded to an integer, which sits in its low bits
        shifted = do.fma(x_kept, 1 / math.log(2), magic)
        n = builder.fsub(shifted, do.filled(magic))
        r = do.fma(n, -math.log(2), x_kept)
        power = builder.shl(builder.add(do.bits(shifted), do.integer(layout.bias)), do.integer(layout.mantissa))
        return builder.fmul(do.polynomial((1.0, *layout.exp_series), r), do.number(power))

    return x(x), generate


@intrinsic
def log(typing: Any, x: Any) -> Any:
    """log(x) for positive normal x, within 2 units in the last place: e ln 2 + 2 artanh(t), x = 2^e m, t = (m-1)/(m+1), m in [sqrt(1/2), sqrt(2))."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        do = _Arithmetic(builder, args[0].type, x.dtype.bitwidth)
        layout = do.float
        root_half = 0x3FE6A09E667F3BCD if layout.mantissa == 52 else 0x3F3504F3
        # shifting by the bits of sqrt(1/2) makes the exponent that of x / sqrt(1/2), and leaves m between it and twice it
        shifted = builder.sub(do.bits(args[0]), do.integer(root_half))
        e = builder.ashr(shifted, do.integer(layout.mantissa))
        m = do.number(builder.sub(do.bits(args[0]), builder.shl(e, do.integer(layout.mantissa))))
        one = do.filled(1.0)
        t = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        series = do.polynomial((1.0, *layout.log_series), builder.fmul(t, t))
        return do.fma(builder.sitofp(e, args[0].type), math.log(2), builder.fmul(builder.fadd(t, t), series))

    return x(x), generate
