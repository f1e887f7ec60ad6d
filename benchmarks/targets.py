"""The numbered targets for speed, each held against the figures of this very run.

A target is one or several checks; a check is a figure per case and the least (or greatest) that it may be. It is "short" where one case
misses, and names the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.fits import TOLERANCE
from benchmarks.machine import cores

ROUNDED = 1e-4  # nats per row: two fits that stop at tol=1e-3 on the way to one optimum differ by more
Figures = Mapping[str, Any]  # of every kind of case, by its name


class Value(NamedTuple):
    """A case's figure and what is asked of it."""

    case: str
    value: float
    asked: float


@dataclass(frozen=True)
class Check:
    """One clause of a target: its values, and whether they have to be above what is asked (or at it) or below."""

    target: int
    words: str
    values: tuple[Value, ...]
    above: bool = True
    missing_allowed: float = 0.0  # share of the cases that may miss

    @property
    def misses(self) -> list[Value]:
        return [one for one in self.values if not (one.value >= one.asked if self.above else one.value < one.asked)]

    @property
    def verdict(self) -> str:
        if not self.values:
            return "not run"
        return "pass" if len(self.misses) <= self.missing_allowed * len(self.values) else "short"

    @property
    def worst(self) -> Value | None:
        """The case that misses most, or passes with least to spare, relative to what is asked."""
        sign = 1 if self.above else -1
        return min(self.values, key=lambda one: sign * (one.value - one.asked) / (abs(one.asked) or 1), default=None)

    @property
    def line(self) -> str:
        """The check in words."""
        said = f"  {self.target}. {self.verdict:<8} {self.words}"
        if self.worst is None:
            return said
        case, value, asked = self.worst
        return f"{said}: {len(self.values) - len(self.misses)} of {len(self.values)}; worst {value:.5g} for {asked:.5g}, {case}"


def checks(found: Figures) -> list[Check]:
    """Every clause of the eight targets."""
    return [*_full(found), *_simpler(found), *_float32(found), *_threads(found), *_large(found), *_small(found), *_memory(found), *_compiling(found)]


def lines(found: Figures, quick: bool) -> list[str]:
    """The section "done when"."""
    heading = "Done when" + (" (of --quick, whose cases are smaller than the targets': a first look, no verdict)" if quick else "")
    return ["", heading, *(check.line for check in checks(found))]


def as_json(found: Figures) -> list[dict[str, Any]]:
    """The same, for --json."""
    return [
        {
            "target": check.target,
            "words": check.words,
            "verdict": check.verdict,
            "worst": None if check.worst is None else check.worst._asdict(),
            "misses": [miss._asdict() for miss in check.misses],
            "cases": len(check.values),
        }
        for check in checks(found)
    ]


def _full(found: Figures) -> list[Check]:
    everything = [one for one in _sweep(found, "float64") if one["family"] == "full"]
    mine = [one for one in everything if not one["wide"]]
    onedal = _values(everything, _beside("oneDAL"), lambda one: 2.0 if one["d"] <= 16 else 1.5)
    return [
        Check(1, "full, float64: 2.0 x oneDAL at d <= 16, 1.5 x above", onedal),
        Check(1, "full, float64: 60 % of the roofline on every case", _values(mine, _share, 0.60)),
        Check(1, "full, float64: 75 % of the roofline on half of them", _values(mine, _share, 0.75), missing_allowed=0.5),
        Check(
            1,
            "full, float64: 30 x scikit-learn at d <= 16, 8 x above",
            _values(mine, _beside("scikit-learn"), lambda one: 30 if one["d"] <= 16 else 8),
        ),
    ]


def _simpler(found: Figures) -> list[Check]:
    mine = [one for one in _sweep(found, "float64") if one["family"] != "full" and one["d"] <= 32]
    return [
        Check(2, "diag, float64, d <= 32: 2 x oneDAL's diagonal", _values(mine, _beside("oneDAL"), 2.0)),
        Check(2, "diag, tied, spherical, float64, d <= 32: 10 x scikit-learn", _values(mine, _beside("scikit-learn"), 10.0)),
    ]


def _float32(found: Figures) -> list[Check]:
    mine = [one for one in _sweep(found, "float32") if one["d"] >= 8 and not one["wide"]]
    full, others = ([one for one in mine if (one["family"] == "full") == wanted] for wanted in (True, False))
    return [
        Check(3, "float32 1.6 x float64, d >= 8, full", _values(full, _beside_double, 1.6)),
        Check(3, "float32 1.6 x float64, d >= 8, diag, tied, spherical", _values(others, _beside_double, 1.6)),
    ]


def _threads(found: Figures) -> list[Check]:
    mine = _sweep(found)
    full, others = ([one for one in mine if (one["family"] == "full") == wanted and cores() == 2 and not one["wide"]] for wanted in (True, False))
    return [
        Check(4, "two threads 1.8 x one, full", _values(full, _beside("one thread"), 1.8)),
        Check(4, "two threads 1.8 x one, diag, tied, spherical", _values(others, _beside("one thread"), 1.8)),
        Check(4, "the same bits from one thread and all", _values(mine, lambda one: float(one["same_bits"]), 1.0)),
    ]


def _large(found: Figures) -> list[Check]:
    large = found.get("large")
    faster = (Value("large", large["ratio"], 15.0),) if large else ()
    score = (Value("large", large["scores"]["mixtura"], large["scores"]["scikit-learn"] - ROUNDED),) if large else ()
    return [
        Check(5, "default fit of 1M x 8, K=16: 15 x scikit-learn's", faster),
        Check(5, f"its score not lower, or by less than {ROUNDED} nats per row", score),
    ]


def _small(found: Figures) -> list[Check]:
    iris, quality = found.get("iris"), found.get("quality") or {}
    return [
        Check(6, "iris, K=3: faster than scikit-learn", (Value("iris", iris["ratio"], 1.0),) if iris else ()),
        Check(
            6,
            f"default fits: at most {TOLERANCE} nats per row below scikit-learn's best of 10, in the median",
            tuple(Value(case, one["median"], -TOLERANCE) for case, one in quality.items()),
        ),
    ]


def _memory(found: Figures) -> list[Check]:
    memory = found.get("memory") or {}
    values = tuple(Value(what, memory[f"{what}_mb"], 200.0) for what in ("fit", "predict") if memory.get(f"{what}_mb") is not None)
    return [Check(7, "10M x 8 float32: under 200 MB above data and answer", values, above=False)]


def _compiling(found: Figures) -> list[Check]:
    first = found.get("first-fit") or {}

    def of(what: str, asked: float) -> tuple[Value, ...]:
        return tuple(Value(name.partition(", ")[2], value, asked) for name, value in first.items() if name.startswith(what))

    return [
        Check(8, "a default fit compiles in under 4 s", of("compile", 4.0), above=False),
        Check(8, "from python to a first fit in under 1.5 s, warm", of("warm", 1.5), above=False),
    ]


def _sweep(found: Figures, dtype: str | None = None) -> list[dict[str, Any]]:
    return [one for one in found.get("sweep", []) if dtype in (None, one["dtype"])]


def _values(
    cases: list[dict[str, Any]], figure: Callable[[dict[str, Any]], float | None], asked: float | Callable[[dict[str, Any]], float]
) -> tuple[Value, ...]:
    """The figure of every case that has one; 0 where Mixtura failed."""
    figures = [(one, 0.0 if "mixtura" in one["errors"] else figure(one)) for one in cases]
    return tuple(
        Value(f"{one['case']} {one['dtype']}", value, asked(one) if callable(asked) else asked) for one, value in figures if value is not None
    )


def _beside(side: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda one: one["ratio"].get(side)


def _share(one: dict[str, Any]) -> float | None:
    share: float | None = one["share"]
    return share


def _beside_double(one: dict[str, Any]) -> float | None:
    times: float | None = one["beside_float64"]
    return times
