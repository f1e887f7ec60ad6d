"""`select` and what it gives: every cell of a grid fitted, then ranked by a criterion.

    BIC = 2 loglik - p log n        AIC = 2 loglik - 2 p        larger is better (mclust's sign)

A cell whose optimum is not a regular one ranks behind all that are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.errors import ConstantColumnWarning, DataError, ParameterError, RepairWarning
from mixtura.families import ALL, USUAL, Family, family_of, in_order
from mixtura.moments import NORM
from mixtura.randomness import generator_of
from mixtura.regularisation import regularisation_of
from mixtura.rules import Rule, rule_of
from mixtura.scouting import Scout
from mixtura.selection.candidate import Candidate
from mixtura.selection.grid import Grid, Progress
from mixtura.sources import open as open_source
from mixtura.starting import check_components, check_distinct

CRITERIA = ("bic", "aic")
GROUPS = {"auto": USUAL, "all": ALL}


@dataclass(frozen=True, eq=False)
class Selection:
    """All candidates, the best first, regular ones before the others; the criterion that ranked them; columns that told nothing."""

    candidates: tuple[Candidate, ...]
    criterion: str
    constant_columns: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The first candidate."""
        return self.candidates[0]


def select(
    data: Any,
    n_components: int | Iterable[int] = range(1, 10),
    families: str | Family | Sequence[str | Family] = "auto",
    *,
    criterion: str = "bic",
    rule: str | Rule = "em",
    learning_rate: float | None = None,
    reg_covar: str | float = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    sample_weight: ArrayLike | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Selection:
    """Fits every number of components with every family and ranks them by `criterion` ("bic" or "aic").

    `families` names them, or is "all" for the fourteen, or "auto" for the six whose search is quick: one covariance for all components, or each
    its own. `data` is anything `mixtura.open` takes; `tol`, in nats per row, bounds the remaining gain of each fit.

    Raises DataError where nothing can be fitted (one row, identical rows, fewer rows than components), ParameterError for a grid,
    family or criterion that makes no sense. Warns ConstantColumnWarning for columns that hold one value.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-4.0], [4.0]], 100, axis=0)
    >>> mixtura.select(X, range(1, 4), "tied", random_state=0).best.components
    2
    """
    if criterion not in CRITERIA:
        raise ParameterError(f"unknown criterion: got {criterion!r}, expected one of {', '.join(map(repr, CRITERIA))}; try 'bic'")
    source = open_source(data, weights=sample_weight, n_jobs=n_jobs)
    counts = _counts(n_components)
    chosen = _families(families, source.D)
    check_components(source, min(counts))
    generator = generator_of(random_state)
    scout = Scout.of(source, generator)
    _check_rows(scout)
    check_distinct(len(scout.rows), min(counts))
    constant = tuple(name for name, flag in zip(source.columns, source.profile.constant, strict=True) if flag)
    if constant:
        warnings.warn(f"constant column {', '.join(map(repr, constant))}: it tells no components apart; try leaving it out", ConstantColumnWarning, 2)
    regularisation = regularisation_of(reg_covar)
    grid = Grid(scout, source, rule_of(rule, regularisation, learning_rate, tol=tol), regularisation, tol, max_iter, generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)  # the status of the candidate says it
        cells = grid.fit(counts, chosen, on_progress)
    ranked = sorted(cells, key=lambda one: (one.regular, getattr(one, criterion)), reverse=True)
    return Selection(tuple(ranked), criterion, constant)


def _counts(n_components: int | Iterable[int]) -> list[int]:
    counts = [n_components] if isinstance(n_components, int | np.integer) else sorted(set(n_components))
    if not counts or any(isinstance(K, bool) or not isinstance(K, int | np.integer) or K < 1 for K in counts):
        raise ParameterError(f"n_components is not usable: got {n_components!r}, expected integers >= 1; try range(1, 10)")
    return [int(K) for K in counts]


def _families(families: str | Family | Sequence[str | Family], D: int) -> list[Family]:
    """The named families, special before general; all fourteen, or the usual six (one column knows two only)."""
    if isinstance(families, str) and families in GROUPS:
        return list(GROUPS[families]) if D > 1 else [family for family in ALL if family.moment is NORM]
    names = [families] if isinstance(families, str | Family) else families
    chosen = in_order(family_of(name) for name in names)
    if not chosen:
        raise ParameterError("no family to choose from: got an empty sequence, expected names of families; try 'auto'")
    for family in chosen:
        family.shape(1, D)  # raises where there are too many factors
    return chosen


def _check_rows(scout: Scout) -> None:
    if len(scout.rows) == 1:
        rows = scout.source.n_rows
        what = "a single row" if rows == 1 else f"{rows} identical rows"
        raise DataError(f"nothing to fit: got {what}, expected at least two different rows; try more data")
