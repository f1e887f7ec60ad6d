"""Rows and weights: what numbers may be like. A table of recipes; `tame` ones must be fitted, others may be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fuzz.cases import Case

MOST_ROWS, MOST_COLUMNS = 300, 12
Generator = np.random.Generator


class Rows(NamedTuple):
    """Numbers as they were drawn (N, D), whatever their dtype, and whether nothing about them is out of the ordinary."""

    values: Any
    tame: bool

    @property
    def as_float(self) -> np.ndarray:
        """The same in float64, infinite where they do not fit."""
        if self.values.dtype != object:
            with np.errstate(over="ignore"):
                return np.asarray(self.values, dtype=float)
        return np.array([[_number(cell) for cell in row] for row in self.values], dtype=float)


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def clusters(draw: Generator, n: int, D: int) -> np.ndarray:
    K = int(draw.integers(1, 6))
    centres = draw.normal(size=(K, D)) * draw.choice([0.5, 3.0, 30.0])
    return centres[draw.integers(K, size=n)] + draw.normal(size=(n, D)) * draw.uniform(0.1, 2.0, size=D)


def constant_columns(draw: Generator, n: int, D: int) -> np.ndarray:
    X = clusters(draw, n, D)
    X[:, draw.uniform(size=D) < 0.5] = draw.choice([0.0, 1.0, -7.5])
    return X


def one_row_again(draw: Generator, n: int, D: int) -> np.ndarray:
    return np.repeat(draw.normal(size=(1, D)), n, axis=0)


def duplicates(draw: Generator, n: int, D: int) -> np.ndarray:
    few = clusters(draw, max(1, min(n, int(draw.integers(1, 9)))), D)
    return few[draw.integers(len(few), size=n)]


def collinear(draw: Generator, n: int, D: int) -> np.ndarray:
    rank = max(1, D // 2)
    return clusters(draw, n, rank) @ draw.normal(size=(rank, D))


def whole_numbers(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.integers(-5, 6, size=(n, D))


def flags(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.integers(0, 2, size=(n, D)).astype(bool)


def offset(draw: Generator, n: int, D: int) -> np.ndarray:
    return clusters(draw, n, D) + draw.choice([1e3, -1e5, 1e7])


def far_offset(draw: Generator, n: int, D: int) -> np.ndarray:
    return clusters(draw, n, D) + draw.choice([1e12, 1e15, 1e18, -1e100])


def units(draw: Generator, n: int, D: int) -> np.ndarray:
    return clusters(draw, n, D) * 10.0 ** draw.integers(-3, 4, size=D)


def far_units(draw: Generator, n: int, D: int) -> np.ndarray:
    return clusters(draw, n, D) * 10.0 ** draw.uniform(-160, 160, size=D)


def one_unit(draw: Generator, n: int, D: int) -> np.ndarray:
    return clusters(draw, n, D) * 10.0 ** draw.uniform(-310, 305)


def any_magnitude(draw: Generator, n: int, D: int) -> np.ndarray:
    most = draw.choice([20.0, 100.0, 300.0])
    return draw.choice([-1.0, 1.0], size=(n, D)) * 10.0 ** draw.uniform(-most, most, size=(n, D))


def subnormal(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.integers(-9, 10, size=(n, D)) * 5e-324


def beside_subnormal(draw: Generator, n: int, D: int) -> np.ndarray:
    return np.where(draw.uniform(size=(n, D)) < 0.5, clusters(draw, n, D), 5e-324)


def zeros(draw: Generator, n: int, D: int) -> np.ndarray:
    return np.zeros((n, D)) * draw.choice([1.0, -1.0])


def outliers(draw: Generator, n: int, D: int) -> np.ndarray:
    X = clusters(draw, n, D)
    X[draw.integers(n, size=1 + n // 50), draw.integers(D)] = draw.choice([1e3, -1e8, 1e15, 1e30, 1e100, 1e200, 1.7e308])
    return X


def heavy_tails(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.standard_cauchy(size=(n, D)) ** int(draw.choice([1, 3, 9]))


def large_integers(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.integers(-(2**62), 2**62, size=(n, D)) | 1


def neighbouring_integers(draw: Generator, n: int, D: int) -> np.ndarray:
    return 2**53 + draw.integers(0, 9, size=(n, D))


def unsigned_integers(draw: Generator, n: int, D: int) -> np.ndarray:
    return draw.integers(0, 2**64, size=(n, D), dtype=np.uint64)


def endless_integers(draw: Generator, n: int, D: int) -> np.ndarray:
    X = whole_numbers(draw, n, D).astype(object)
    X[int(draw.integers(n)), int(draw.integers(D))] = int(draw.choice([-1, 1])) * 10 ** int(draw.choice([30, 308, 309, 400, 5000]))
    return X


def objects(draw: Generator, n: int, D: int) -> np.ndarray:
    X = clusters(draw, n, D).astype(object)
    strange = [None, "oops", "", "1.5", b"2", 1 + 2j, float("nan"), [1], {}, (), np.datetime64("2020-01-01"), True, "\x1b[31m"]
    X[int(draw.integers(n)), int(draw.integers(D))] = strange[int(draw.integers(len(strange)))]
    return X


def not_finite(draw: Generator, n: int, D: int) -> np.ndarray:
    X = clusters(draw, n, D)
    X[draw.integers(n, size=1 + int(draw.integers(3))), draw.integers(D)] = draw.choice([np.nan, np.inf, -np.inf])
    return X


def all_missing(draw: Generator, n: int, D: int) -> np.ndarray:
    return np.full((n, D), np.nan)


def line(draw: Generator, n: int, D: int) -> np.ndarray:
    return np.repeat(np.arange(float(n))[:, None], D, axis=1) * draw.choice([1.0, 1e-9, 1e9])


def a_hair_apart(draw: Generator, n: int, D: int) -> np.ndarray:
    base = draw.normal(size=D)
    return np.where(draw.uniform(size=(n, D)) < 0.5, base, np.nextafter(base, np.inf))


TAME: tuple[Callable[[Generator, int, int], np.ndarray], ...] = (
    clusters,
    constant_columns,
    duplicates,
    collinear,
    whole_numbers,
    flags,
    offset,
    units,
    line,
)
WILD: tuple[Callable[[Generator, int, int], np.ndarray], ...] = (
    one_row_again, far_offset, far_units, one_unit, any_magnitude, subnormal, beside_subnormal, zeros, outliers, heavy_tails, large_integers,
    neighbouring_integers, unsigned_integers, endless_integers, objects, not_finite, all_missing, a_hair_apart,
)  # fmt: skip


def rows(case: Case, wild: float = 0.5, columns: int | None = None, most: tuple[int, int] = (MOST_ROWS, MOST_COLUMNS)) -> Rows:
    """Some rows by a recipe, a `wild` one in such a share of cases; so many columns, or up to the `most` rows and columns."""
    n = int(case.draw.choice([1, 2, 3, case.draw.integers(1, 30), case.draw.integers(1, most[0] + 1)], p=[0.03, 0.03, 0.04, 0.4, 0.5]))
    D = int(case.draw.choice([1, 2, case.draw.integers(1, most[1] + 1)], p=[0.2, 0.3, 0.5])) if columns is None else columns
    tame = not case.chance(wild)
    recipes = TAME if tame else WILD
    recipe = recipes[int(case.draw.integers(len(recipes)))]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = recipe(case.draw, n, D)
    case.note("rows", f"{recipe.__name__} of {n} x {D}")
    return Rows(values, tame)


def weights(case: Case, n: int) -> tuple[Any, bool]:
    """Weights of n rows or None, and whether they are tame."""
    name = case.one_of("weights", ["none"] * 30 + list(WEIGHTS) + 3 * [name for name, (_, tame) in WEIGHTS.items() if tame])
    if name == "none":
        return None, True
    made, tame = WEIGHTS[name]
    return made(case.draw, n), tame


def _some_zero(draw: Generator, n: int) -> np.ndarray:
    w = draw.uniform(0.1, 3.0, size=n) * (draw.uniform(size=n) < 0.7)
    w[int(draw.integers(n))] = 1.0
    return w


def _one(draw: Generator, n: int, value: Any, otherwise: float = 1.0) -> np.ndarray:
    w = np.full(n, otherwise, dtype=object if isinstance(value, int | str) else float)
    w[int(draw.integers(n))] = value
    return w


WEIGHTS: dict[str, tuple[Callable[[Generator, int], Any], bool]] = {
    "ones": (lambda draw, n: np.ones(n), True),
    "whole": (lambda draw, n: draw.integers(1, 4, size=n), True),
    "some zero": (_some_zero, True),
    "list": (lambda draw, n: draw.uniform(0.5, 2.0, size=n).tolist(), True),
    "single": (lambda draw, n: draw.uniform(0.5, 2.0, size=n).astype(np.float32), True),
    "twelve decades": (lambda draw, n: 10.0 ** draw.uniform(-6, 6, size=n), False),
    "six hundred decades": (lambda draw, n: 10.0 ** draw.uniform(-307, 307, size=n), False),
    "huge": (lambda draw, n: np.full(n, 1e300), False),
    "largest": (lambda draw, n: np.full(n, 1.7e308), False),
    "tiny": (lambda draw, n: np.full(n, 1e-310), False),
    "least": (lambda draw, n: np.full(n, 5e-324), False),
    "small": (lambda draw, n: draw.uniform(size=n) * 1e-30, False),
    "one huge": (lambda draw, n: _one(draw, n, 1e300), False),
    "one tiny": (lambda draw, n: _one(draw, n, 1e-310), False),
    "one of all": (lambda draw, n: _one(draw, n, 1.0, 0.0), False),
    "none of all": (lambda draw, n: np.zeros(n), False),
    "one negative": (lambda draw, n: _one(draw, n, -1.0), False),
    "one missing": (lambda draw, n: _one(draw, n, np.nan), False),
    "one infinite": (lambda draw, n: _one(draw, n, np.inf), False),
    "one endless": (lambda draw, n: _one(draw, n, 10**400), False),
    "one word": (lambda draw, n: _one(draw, n, "oops"), False),
    "too few": (lambda draw, n: np.ones(n - 1), False),
    "two columns": (lambda draw, n: np.ones((n, 2)), False),
    "one number": (lambda draw, n: 2.0, False),
}
REFUSED = ("one negative", "one missing", "one infinite", "one endless", "one word", "too few", "two columns", "none of all")
