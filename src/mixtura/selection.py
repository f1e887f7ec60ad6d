"""Choosing components and family: every cell of a grid fitted well, then ranked by a criterion.

    BIC = 2 loglik - p log n        AIC = 2 loglik - 2 p        larger is better (mclust's sign)

Cells help each other: one Ward tree and one set of k-means++ draws serve every family, the best K split once starts K + 1, and a special
family's mixture starts the general ones that contain it. A cell whose optimum is not a regular one ranks behind all that are.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.errors import ConstantColumnWarning, DataError, ParameterError, RepairWarning
from mixtura.exchange import merge, promise
from mixtura.families import ALL, USUAL, Family, family_of
from mixtura.fitting import Fit, Step, fit, sweep
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, NORM
from mixtura.randomness import generator_of
from mixtura.regularisation import RELATIVE_FLOOR, Regularisation, regularisation_of
from mixtura.rules import Rule, rule_of
from mixtura.rules.maximising import maximise, split
from mixtura.scouting import Labels, Scout
from mixtura.sources import Source
from mixtura.sources import open as open_source
from mixtura.starting import candidates, check_components, check_distinct, labellings, short_runs
from mixtura.statistics import Statistics

CRITERIA = ("bic", "aic")
GROUPS = {"auto": USUAL, "all": ALL}
ROUNDING = 1e-12  # nats per row: falls below it are none
HOPE = 0.02  # nats per row that more than a few steps of EM may still gain
WIDER = 2.0  # than the whole is the wider of two halves with one centre; the other is as much narrower


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cell of the grid. `log_likelihood` is a sum over rows in nats; `bic` and `aic` are larger for better models.

    `status` is "converged", "not converged", "repaired" (a component was re-seeded or floored on the way), "spurious" (a component holds
    less than D + 1 rows, or is flatter than a millionth of the data's variance in some direction) or "too few rows" (not fitted).
    """

    components: int
    family: Family
    mixture: Mixture | None
    log_likelihood: float
    n_parameters: int
    bic: float
    aic: float
    status: str
    steps: int
    seconds: float
    history: tuple[float, ...]

    @property
    def regular(self) -> bool:
        """Whether the likelihood has an ordinary maximum here, so that the criterion means what it says."""
        return self.status not in ("spurious", "too few rows")


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


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a selection stands: the cell (of `cells`) being fitted and its last step."""

    components: int
    family: Family
    cell: int
    cells: int
    step: Step


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
    grid = _Grid(scout, source, rule_of(rule, regularisation, learning_rate, tol=tol), regularisation, tol, max_iter, generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)  # the status of the candidate says it
        cells = grid.fit(counts, chosen, on_progress)
    ranked = sorted(cells, key=lambda one: (one.regular, getattr(one, criterion)), reverse=True)
    return Selection(tuple(ranked), criterion, constant)


@dataclass(frozen=True, eq=False)
class _Grid:
    """What all cells share."""

    scout: Scout
    source: Source
    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int
    generator: np.random.Generator

    def fit(self, counts: Sequence[int], families: Sequence[Family], on_progress: Callable[[Progress], object] | None) -> list[Candidate]:
        """All cells, few components before many and special families before general ones; then once more, for what the later ones found."""
        cells, partitions = [(K, family) for K in counts for family in families], {K: self._labellings(K) for K in counts}
        done: dict[tuple[int, str], _Cell] = {}
        for turn in (self._first, self._again):
            on_progress = None if turn == self._again else on_progress  # a cell is told once
            for number, (K, family) in enumerate(cells):
                if (labels := partitions[K]) is None:
                    continue
                begun = time.perf_counter()
                tell = None if on_progress is None else _teller(on_progress, K, family, number, len(cells))
                own = done.get((K, family.name))
                cell = turn(K, family, labels, done, tell)
                seconds = time.perf_counter() - begun + (own.seconds if own else 0.0)
                done[K, family.name] = replace(cell, seconds=seconds)
        return [
            _candidate(done[K, family.name].fit, self.source, done[K, family.name].seconds)
            if (K, family.name) in done
            else _unfitted(K, family, self.source.D)
            for K, family in cells
        ]

    def _labellings(self, K: int) -> Labels | None:
        return labellings(self.scout, K, self.generator) if K <= len(self.scout.rows) else None

    def _first(self, K: int, family: Family, labels: Labels, done: Done, tell: Tell) -> _Cell:
        """The best that partitions and the cells before this one lead to."""
        beside = [cell for (k, _), cell in done.items() if k == K]
        nested = [cell.fit.mixture for cell in beside if family.nests(cell.fit.mixture.family)]
        starts = candidates(self.scout, labels, K, family, self.regularisation)
        starts += [mixture.to_family(family) for mixture in _most_general(nested)]
        starts += [self._like(cell, family) for cell in beside if cell.regular and not family.nests(cell.fit.mixture.family)]
        if (fewer := done.get((K - 1, family.name))) is not None:
            starts += _grown(fewer.fit.mixture)
        begin = self._best_of(starts)
        return self._no_worse(self._fit(begin, len(done), tell), done, tell)

    def _again(self, K: int, family: Family, labels: Labels, done: Done, tell: Tell) -> _Cell:
        """What the cells fitted after this one lead to, where it is better."""
        own, latest = done[K, family.name], max(cell.number for cell in done.values()) + 1
        later = {key: cell for key, cell in done.items() if cell.number > own.number and cell.regular}
        starts = [self._like(cell, family) for (k, name), cell in later.items() if k == K and name != family.name]
        if (fewer := later.get((K - 1, family.name))) is not None:
            starts += _grown(fewer.fit.mixture)
        if (more := later.get((K + 1, family.name))) is not None:
            starts.append(merge(more.fit.mixture, self.regularisation, self.scout.reference(family.moment)))
        if starts:
            begin = self._best_of(starts)
            if self._seen(begin).mean_log_likelihood > own.seen.mean_log_likelihood - HOPE:
                found = self._fit(begin, latest, tell)
                if found.regular >= own.regular and found.fit.log_likelihood > own.fit.log_likelihood + ROUNDING:
                    own = found
        return self._no_worse(own, done, tell)

    def _best_of(self, starts: list[Mixture]) -> Mixture:
        """The most promising after short runs; those on the way to an optimum that is not regular come last, however likely."""

        def worth(step: Step) -> tuple[bool, float]:
            promising, log_likelihood = promise(step)
            return promising and is_regular(step, self.scout.source.profile.rows), log_likelihood

        return short_runs(starts, self.scout.source, self.regularisation, worth)

    def _no_worse(self, cell: _Cell, done: Done, tell: Tell) -> _Cell:
        """The cell, or one as good as the best of those whose mixtures it contains: of a special family, or of one component less."""
        mixture = cell.fit.mixture
        contained = [one.fit for (k, _), one in done.items() if k == mixture.K and mixture.family.nests(one.fit.mixture.family)]
        contained += [one.fit for key, one in done.items() if key == (mixture.K - 1, mixture.family.name)]
        best = max(contained, key=lambda one: one.log_likelihood, default=cell.fit)
        if cell.fit.log_likelihood >= best.log_likelihood - ROUNDING:
            return cell
        same = _twice(best.mixture) if best.mixture.K < mixture.K else best.mixture.to_family(mixture.family)
        return self._fit(same, max(one.number for one in done.values()) + 1, tell)

    def _fit(self, begin: Mixture, number: int, tell: Tell) -> _Cell:
        found = fit(self.source, begin, self.rule, tol=self.tol, max_steps=self.max_iter, on_step=tell)
        return _Cell(found, is_regular(found.best, self.source.profile.rows), self._seen(found.mixture), number)

    def _seen(self, mixture: Mixture) -> Statistics:
        """Its statistics on the scout's rows, whole second moments: what any other family needs to take over its components."""
        return sweep(mixture, self.scout.source, moment=MATRIX)

    def _like(self, cell: _Cell, family: Family) -> Mixture:
        """The mixture of this family for another's posteriors."""
        seen = cell.seen
        kept = family.moment.keep(seen.scatter)
        moved = replace(seen, moment=family.moment, pooled=family.pooled, pivots=seen.means, first=np.zeros_like(seen.first))
        return maximise(family, replace(moved, second=kept.sum(axis=0) if family.pooled else kept), self.regularisation)[0]


@dataclass(frozen=True, eq=False)
class _Cell:
    """A cell that is done: its fit, whether that is regular, its statistics on the scout's rows, and the how-manieth fit it was."""

    fit: Fit
    regular: bool
    seen: Statistics
    number: int
    seconds: float = 0.0


Done = dict[tuple[int, str], _Cell]
Tell = Callable[[Step], object] | None


def _most_general(mixtures: list[Mixture]) -> list[Mixture]:
    """Those whose family no other one's nests: the others were starts of these already."""
    families = [mixture.family for mixture in mixtures]
    return [one for one in mixtures if not any(other.nests(one.family) for other in families if other is not one.family)]


def _grown(mixture: Mixture) -> list[Mixture]:
    """One component more: each in turn split in two, side by side, and where volumes vary into a narrow and a wide one."""
    grown = []
    for k in range(mixture.K):
        twins = _twice(mixture, k)
        grown.append(split(twins, into=mixture.K, heaviest=k))
        if mixture.family.code[0] == "V":
            covariances = twins.covariances.copy()
            covariances[k] /= WIDER
            covariances[-1] *= WIDER
            grown.append(Mixture(twins.weights, twins.means, covariances, mixture.family))
    return grown


def _twice(mixture: Mixture, k: int = -1) -> Mixture:
    """The same distribution with component k (the heaviest) as two equal ones of half its weight."""
    k = int(np.argmax(mixture.weights)) if k < 0 else k
    weights = np.append(mixture.weights, mixture.weights[k] / 2)
    weights[k] /= 2
    covariances = mixture.covariances if mixture.family.pooled else np.concatenate([mixture.covariances, mixture.covariances[[k]]])
    return Mixture(weights, np.vstack([mixture.means, mixture.means[k]]), covariances, mixture.family)


def _teller(on_progress: Callable[[Progress], object], K: int, family: Family, cell: int, cells: int) -> Callable[[Step], object]:
    return lambda step: on_progress(Progress(K, family, cell, cells, step))


def _candidate(result: Fit, source: Source, seconds: float) -> Candidate:
    mixture, n = result.mixture, source.profile.weight
    log_likelihood = result.log_likelihood * n
    p = mixture.n_parameters
    bic, aic = 2 * log_likelihood - p * np.log(n), 2 * log_likelihood - 2 * p
    status = _status(result, source.profile.rows)
    return Candidate(mixture.K, mixture.family, mixture, log_likelihood, p, float(bic), aic, status, result.n_steps, seconds, result.log_likelihoods)


def _unfitted(K: int, family: Family, D: int) -> Candidate:
    nan = float("nan")
    return Candidate(K, family, None, nan, family.n_parameters(K, D), -np.inf, -np.inf, "too few rows", 0, 0.0, ())


def _status(result: Fit, rows: int) -> str:
    if not is_regular(result.best, rows):
        return "spurious"
    if any(event.kind == "repair" for _, event in result.events):
        return "repaired"
    return "converged" if result.converged else "not converged"


def is_regular(step: Step, rows: int) -> bool:
    """Whether every component holds D + 1 rows and no covariance is flatter than a millionth of the data's.

    `rows` counts the rows; weights are scaled to it. One component alone is always regular.
    """
    mixture, statistics = step.mixture, step.statistics
    if mixture.K == 1:
        return True
    if not (statistics.counts * (rows / statistics.weight) >= mixture.D + 1 - 1e-9).all():
        return False
    if mixture.family.constraint is not None and any(event.kind == "repair" for event in step.events):
        return False  # held above the floor, not at it: see Family.maximise_above
    # a hair above the floor, where a clipped eigenvalue sits
    floored = mixture.family.moment.floor(mixture.covariances, statistics.data_covariance, RELATIVE_FLOOR * (1 + 1e-3))[1]
    return not floored.any()


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
    chosen = {family_of(name).name for name in names}
    if not chosen:
        raise ParameterError("no family to choose from: got an empty sequence, expected names of families; try 'auto'")
    return [family for family in ALL if family.name in chosen]


def _check_rows(scout: Scout) -> None:
    if len(scout.rows) == 1:
        rows = scout.source.n_rows
        what = "a single row" if rows == 1 else f"{rows} identical rows"
        raise DataError(f"nothing to fit: got {what}, expected at least two different rows; try more data")
