"""How rows are handed over: dtypes and layouts of arrays, lists, tables of three libraries, sources, functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import mixtura
from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.values import Rows

DTYPES = ("f8", "f8", "f8", "f8", "f8", "f8", "f4", "f4", "f4", "f2", ">f8", ">f4", "i8", "i4", "i2", "i1", "u8", "u4", "u1", "?", "g", "O")


class Wrapped(NamedTuple):
    """What is handed over, its numbers in float64 as they must be read, and whether it must be read at all."""

    data: Any
    numbers: np.ndarray
    readable: bool
    single: bool = False  # float32

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.numbers).all())


def wrap(case: Case, rows: Rows) -> Wrapped:
    """The rows in some dtype and some container."""
    values = rows.values
    if values.dtype == float and case.chance(0.6):
        values = _cast(values, case.one_of("dtype", DTYPES))
    name = case.one_of("container", STRANGE if case.chance(0.1) else ["array"] * 12 + [name for name in CONTAINERS if name not in STRANGE])
    numbers = Rows(values, rows.tame).as_float
    single = values.dtype == np.float32
    if name == "array":
        return Wrapped(values, numbers, True, single)
    made = CONTAINERS[name](case, values)
    readable = name not in STRANGE and name not in MAYBE
    if name == "masked":
        numbers = np.where(np.ma.getmaskarray(made), np.nan, numbers)
        single = False
    return Wrapped(made, numbers, readable, single and name not in ("list", "tuple", "nullable", "objects"))


def _cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """What `astype` gives, without NumPy's warnings: it is what is handed over that matters."""
    with np.errstate(all="ignore"):
        if dtype == "?":
            return values > 0
        if np.dtype(dtype).kind in "iu":
            info = np.iinfo(dtype)
            return np.nan_to_num(np.clip(values, info.min, info.max)).astype(dtype)
        return values.astype(dtype)


def _strided(case: Case, X: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), dtype=X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def _backwards(case: Case, X: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def _fixed(case: Case, X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def _masked(case: Case, X: np.ndarray) -> Any:
    return np.ma.MaskedArray(X, mask=case.draw.uniform(size=X.shape) < case.draw.choice([0.0, 0.1]))


def _mapped(case: Case, X: np.ndarray) -> Any:
    if X.dtype == object:
        return X
    mapped = np.memmap(case.folder / "rows", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    return mapped


def _names(case: Case, D: int) -> list[Any]:
    choice = case.one_of("names", ["plain", "plain", "plain", "numbers", "strange", "twice"])
    if choice == "numbers":
        return list(range(D))
    if choice == "strange":
        return [["", " ", "é", "\x1b[31m", "a,b", '"', "x0", "\n", "0", "nan", "<b>", "weight"][j % 12] + str(j // 12 or "") for j in range(D)]
    return ["a"] * D if choice == "twice" else [f"column {j}" for j in range(D)]


def _pandas(case: Case, X: np.ndarray) -> Any:
    import pandas

    return pandas.DataFrame(X, columns=_names(case, X.shape[1]))


def _nullable(case: Case, X: np.ndarray) -> Any:
    import pandas

    frame = pandas.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
    return frame if X.dtype == object else frame.convert_dtypes()


def _polars(case: Case, X: np.ndarray) -> Any:
    import polars

    if X.dtype == object or X.dtype.kind == "g" or not X.dtype.isnative or X.dtype == np.longdouble:
        X = np.array([[_plain(cell) for cell in row] for row in X], dtype=float)
    return polars.DataFrame(np.ascontiguousarray(X), schema=[f"column {j}" for j in range(X.shape[1])])


def _arrow(case: Case, X: np.ndarray) -> Any:
    import pyarrow

    if X.dtype == object or not X.dtype.isnative or X.dtype == np.longdouble:
        X = np.array([[_plain(cell) for cell in row] for row in X], dtype=float)
    return pyarrow.table({f"column {j}": np.ascontiguousarray(X[:, j]) for j in range(X.shape[1])})


def _plain(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
    except OverflowError:
        return float("inf")


def _structured(case: Case, X: np.ndarray) -> Any:
    return np.rec.fromarrays([X[:, j] for j in range(X.shape[1])])


def _sparse(case: Case, X: np.ndarray) -> Any:
    from scipy import sparse

    return sparse.csr_array(np.nan_to_num(Rows(X, False).as_float))


def _cube(case: Case, X: np.ndarray) -> Any:
    return X[None]


def _ragged(case: Case, X: np.ndarray) -> Any:
    return [*X.tolist(), [1.0] * (X.shape[1] + 1)]


CONTAINERS: dict[str, Callable[[Case, np.ndarray], Any]] = {
    "Fortran": lambda case, X: np.asfortranarray(X),
    "strided": _strided,
    "backwards": _backwards,
    "fixed": _fixed,
    "masked": _masked,
    "mapped": _mapped,
    "list": lambda case, X: X.tolist(),
    "tuple": lambda case, X: tuple(map(tuple, X.tolist())),
    "objects": lambda case, X: X.astype(object),
    "matrix": lambda case, X: X.view(np.matrix) if X.dtype != object else X,
    "pandas": _pandas,
    "nullable": _nullable,
    "polars": _polars,
    "arrow": _arrow,
    "source": lambda case, X: mixtura.open(X),
    "function": lambda case, X: lambda: iter([X[: len(X) // 2], X[len(X) // 2 :]] if len(X) > 1 else [X]),
    "structured": _structured,
    "sparse": _sparse,
    "flat": lambda case, X: X.ravel(),
    "cube": _cube,
    "ragged": _ragged,
    "complex": lambda case, X: Rows(X, False).as_float + 1j,
    "words": lambda case, X: X.astype(str),
    "times": lambda case, X: np.full(X.shape, "2020-01-01", dtype="M8[D]"),
    "empty": lambda case, X: X[:0],
    "no columns": lambda case, X: X[:, :0],
    "scalar": lambda case, X: X[0, 0],
    "nothing": lambda case, X: None,
}
STRANGE = ("structured", "sparse", "flat", "cube", "ragged", "complex", "words", "times", "empty", "no columns", "scalar", "nothing")
MAYBE = ("pandas", "function", "source")  # names may be refused, and weights beside the others
