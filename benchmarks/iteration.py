"""One EM iteration of every family, shape and dtype, beside oneDAL's, scikit-learn's and the roofline.

A case is a family and a shape; float64 and float32 take turns within it, and so do one thread and all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data, rivals
from benchmarks.machine import cores
from benchmarks.measuring import FAILURES, Timing, Turn, alternate, ratio, tell, timed
from benchmarks.roofline import DTYPES, Rates, features
from benchmarks.sweep import CASES as SHAPES

FAMILIES = ("full", "diag", "tied", "spherical")
WIDE = ((8_000, 100, 10), (8_000, 112, 10), (30_000, 64, 3))  # shapes of full, begun so wide that components lose their rows, and are clipped
WORK = 5e8  # floating-point operations that the counted steps of a turn add up to, at least, so that short steps can be timed
STEPS = (3, 40)  # but no fewer and no more of them
SLOW = {"scikit-learn": 2, "product": 2}  # rounds of the sides that are slow; `--quick` has one


class Case(NamedTuple):
    """A family and N rows, d columns, K components, begun at unit covariances or, `wide`, all at the covariance of the rows."""

    family: str
    N: int
    d: int
    K: int
    wide: bool = False

    @property
    def name(self) -> str:
        return f"sweep/{self.family}/{self.N}x{self.d}x{self.K}" + "/wide" * self.wide

    @property
    def steps(self) -> int:
        """How many steps of Mixtura's, and iterations of oneDAL's, are timed together."""
        operations = self.N * self.K * (4 * features(self.family, self.d) + 40)
        return int(np.clip(-(-WORK // operations), *STEPS))


@dataclass(frozen=True)
class Record:
    """What was measured of a case in one dtype: the timings of "mixtura", "one thread", "oneDAL", "scikit-learn" and the "product"."""

    case: Case
    dtype: str
    timings: dict[str, Timing]
    same_bits: bool
    beside_double: float | None  # how many times faster than float64, where this is float32


def cases(quick: bool) -> Iterator[Case]:
    """All families and shapes; `quick` has a tenth of the rows, 2,000 or more, and every other shape of the simpler families and of the wide."""
    for family in FAMILIES:
        for N, d, K in SHAPES[:: 2 if quick and family != "full" else 1]:
            yield Case(family, max(N // 10, 2_000) if quick else N, d, K)
    for N, d, K in WIDE[:: 2 if quick else 1]:
        yield Case("full", N, d, K, wide=True)


def measure(case: Case, rates: Rates, rounds: int, quick: bool) -> list[Record]:
    """Both records of a case."""
    X = data.rows(case.N, case.d, case.K)
    means = data.start_means(X, case.K)
    covariances = data.wide_covariances(X, case.K) if case.wide else data.unit_covariances(case.family, case.K, case.d)
    rows = {dtype: X.astype(dtype) for dtype in DTYPES}
    turns: dict[str, Turn] = {f"product {dtype}": rates.turn(dtype) for dtype in DTYPES}
    turns |= {f"scikit-learn {dtype}": rivals.scikit_learn(rows[dtype], case.family, means, covariances) for dtype in DTYPES}
    ours: dict[str, rivals.MixturaSteps] = {}
    for side, n_jobs in (("mixtura", None), ("one thread", 1)):
        for dtype in DTYPES:
            ours[f"{side} {dtype}"] = rivals.MixturaSteps(rows[dtype], case.family, means, covariances, case.steps, n_jobs)
    turns |= ours
    for dtype in DTYPES:
        onedal = rivals.onedal(rows[dtype], case.family, means, covariances, case.steps)
        if onedal is not None:
            turns[f"oneDAL {dtype}"] = onedal
    for steps in ours.values():
        with contextlib.suppress(*FAILURES):  # they come again, and are told
            steps()  # compiles, which takes memory that the iteration does not
    slow = {side: 1 if quick else times for side, times in SLOW.items()}
    timings = alternate(turns, {name: min(rounds, slow.get(name.rpartition(" ")[0], rounds)) for name in turns})
    beside_double = ratio(timings["mixtura float64"], timings["mixtura float32"])
    return [
        Record(
            case,
            dtype,
            {name.rpartition(" ")[0]: timing for name, timing in timings.items() if name.endswith(dtype)},
            rivals.same_bits(ours[f"mixtura {dtype}"], ours[f"one thread {dtype}"]),
            beside_double if dtype == "float32" else None,
        )
        for dtype in DTYPES
    ]


def figures(record: Record, rates: Rates) -> dict[str, Any]:
    """A record as plain numbers: ns per row and component, shares of the roofline, ratios, memory, errors and every round's seconds.

    `share` is by the best product of the run, `share_now` by the best within this case.
    """
    case, timings = record.case, record.timings
    unit = 1e9 / (case.N * case.K)
    shape = (case.family, case.N, case.d, case.K, record.dtype)
    mine = timings["mixtura"]
    now = timings["product"].seconds
    roofline = rates.seconds(*shape)
    roofline_now = rates.seconds(*shape, product=2 * 2048**3 / min(now)) if now else None
    sides = [side for side in timings if side != "product"]
    return {
        "case": case.name,
        **case._asdict(),
        "dtype": record.dtype,
        "steps": case.steps,
        "ns": {side: None if (middle := timings[side].median) is None else middle * unit for side in sides},
        "roofline_ns": roofline * unit,
        "share": roofline / mine.median if mine.median else None,
        "share_now": roofline_now / mine.median if mine.median and roofline_now else None,
        "ratio": {side: ratio(timings[side], mine) for side in sides if side != "mixtura"},
        "beside_float64": record.beside_double,
        "same_bits": record.same_bits,
        "extra_mb": {side: timings[side].extra_mb for side in sides},
        "errors": {side: timings[side].error for side in sides if timings[side].error},
        "seconds": {side: timings[side].seconds for side in sides},
    }


class Column(NamedTuple):
    """A column of the table: its head, width and digits, and which figure it shows."""

    head: str
    width: int
    digits: int
    figure: Callable[[dict[str, Any]], float | None]


GROUPS: dict[str, tuple[Column, ...]] = {
    "ns per row x component": (
        Column("roofline", 8, 2, lambda one: one["roofline_ns"]),
        Column("mixtura", 8, 2, lambda one: one["ns"]["mixtura"]),
        Column("1 thread", 8, 2, lambda one: one["ns"]["one thread"]),
        Column("oneDAL", 8, 2, lambda one: one["ns"].get("oneDAL")),
        Column("sklearn", 8, 1, lambda one: one["ns"]["scikit-learn"]),
    ),
    "roofline share": (
        Column("best", 6, 2, lambda one: one["share"]),
        Column("now", 6, 2, lambda one: one["share_now"]),
    ),
    "times faster than": (
        Column("1 thr", 6, 2, lambda one: one["ratio"]["one thread"]),
        Column("float64", 7, 2, lambda one: one["beside_float64"]),
        Column("oneDAL", 6, 2, lambda one: one["ratio"].get("oneDAL")),
        Column("sklearn", 7, 1, lambda one: one["ratio"]["scikit-learn"]),
    ),
    "extra MB at the peak": (
        Column("mixtura", 7, 1, lambda one: one["extra_mb"]["mixtura"]),
        Column("oneDAL", 6, 0, lambda one: one["extra_mb"].get("oneDAL")),
        Column("sklearn", 7, 0, lambda one: one["extra_mb"]["scikit-learn"]),
    ),
}


def head() -> list[str]:
    """The two lines above a table."""
    named = [" ".join(f"{column.head:>{column.width}}" for column in columns) for columns in GROUPS.values()]
    groups = [f"{group:^{len(names)}}" for group, names in zip(GROUPS, named, strict=True)]
    shape = f"{'N':>7} {'d':>3} {'K':>2} {'dtype':<7}"
    return [" | ".join([" " * len(shape), *groups, ""]), " | ".join([shape, *named, "bits"])]


def row(one: dict[str, Any]) -> str:
    """A line of the table."""
    cells = [" ".join(_cell(column.figure(one), column.width, column.digits) for column in columns) for columns in GROUPS.values()]
    return " | ".join([f"{one['N']:>7} {one['d']:>3} {one['K']:>2} {one['dtype']}", *cells, "same" if one["same_bits"] else "DIFFER"])


def tables(measured: Sequence[dict[str, Any]]) -> list[str]:
    """A table per family."""
    lines = []
    for family, wide in [*((family, False) for family in FAMILIES), ("full", True)]:
        mine = [one for one in measured if (one["family"], one["wide"]) == (family, wide)]
        if mine:
            begun = ", all begun at that of the rows" * wide
            lines += ["", f"One EM iteration, {family} covariances{begun}, {cores()} threads", *head(), *map(row, mine)]
    if any(one["errors"] for one in measured):
        lines += ["", "A dash: oneDAL has no such structure or is not installed, or a side failed:"]
        lines += [f"  {one['case']} {one['dtype']}, {side}: {error}" for one in measured for side, error in one["errors"].items()]
    return lines


def run(chosen: Sequence[Case], rates: Rates, rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Measures the cases one after another, telling of each; the figures are by the best rates of the whole run."""
    records = []
    for number, case in enumerate(chosen, 1):
        seconds, both = timed(lambda case=case: measure(case, rates, rounds, quick))  # type: ignore[misc]
        records += both
        tell(f"[{number}/{len(chosen)}] {case.name}: {', '.join(_short(figures(record, rates)) for record in both)} ({seconds:.0f} s)")
    return [figures(record, rates) for record in records]


def _short(one: dict[str, Any]) -> str:
    ns, times = one["ns"], one["ratio"]
    return (
        f"{one['dtype']} {_cell(ns['mixtura'], 0, 2)} ns, share {_cell(one['share'], 0, 2)}, "
        f"{_cell(times.get('oneDAL'), 0, 1)} x oneDAL, {_cell(times['scikit-learn'], 0, 1)} x sklearn"
    )


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
