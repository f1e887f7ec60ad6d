"""`select`: every cell of a grid fitted, on a subsample of many rows; the folds, where a criterion asks for them; the best refitted to all rows.

An interrupt (KeyboardInterrupt) ends the search, not what it found: what was done by then is ranked and given.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking
from mixtura.errors import ConstantColumnWarning, DataError, InterruptionWarning, ParameterError, RepairWarning
from mixtura.families import ALL, USUAL, Family, family_of
from mixtura.fitting import Fit, Step, fit
from mixtura.mixture import Mixture
from mixtura.moments import NORM
from mixtura.randomness import generator_of
from mixtura.regularisation import Regularisation, regularisation_of
from mixtura.rules import Rule, rule_of
from mixtura.scouting import SUBSAMPLE, Scout
from mixtura.selection.candidate import Candidate, candidate_of
from mixtura.selection.criteria import CRITERIA, Cell, held_out
from mixtura.selection.grid import Grid, Progress
from mixtura.selection.selection import Selection, ranked
from mixtura.sources import Source
from mixtura.sources import open as open_source
from mixtura.starting import check_components, check_distinct

GROUPS = {"auto": USUAL, "all": ALL}
REFITTED = 5  # candidates that go on from the subsample to all rows; the subsample rarely misplaces the best by more

Tell = Callable[[Progress], object]


def select(
    data: Any,
    n_components: int | Iterable[int] = range(1, 10),
    families: str | Family | Sequence[str | Family] = "auto",
    *,
    criterion: str = "bic",
    folds: int = 5,
    subsample: int | None = SUBSAMPLE,
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
    """Fits every number of components with every family and ranks them by `criterion`; all of them are larger for better models:

        "bic"        2 loglik - p log n: mclust's sign, not that of scikit-learn (Schwarz 1978)
        "icl"        bic + 2 sum_i w_i log max_k r_ik: components should also be apart (Biernacki, Celeux & Govaert 2000)
        "aic"        2 loglik - 2 p (Akaike 1974)
        "held_out"   mean log density, in nats per row, of rows under a mixture that was fitted without them

    for p free parameters and row weights w_i of sum n; posteriors are r_ik. For "held_out" the rows are dealt into `folds` parts, seeded from
    `random_state`, and the grid is fitted once more without each of them; what is ranked is the fit to all rows.

    `families` names them, or is "all" for the fourteen, or "auto". `data` is anything `mixtura.open` takes; `tol`, in nats per row, bounds the
    remaining gain of each fit.

    Where there are more rows than `subsample`, the grid is fitted to so many of them (None takes all). The five best candidates go on
    from there to all rows; then, while the best so far has a neighbour in its family, with more or fewer components, that has not, that one
    goes on too. Those on all rows rank first; `rows` in the table tells which they are.

    An interrupt (Ctrl-C) ends the search and gives what was done by then, with `interrupted` True; before the first cell is done it is raised.

    Raises DataError where nothing can be fitted (one row, identical rows, fewer rows than components or folds), ParameterError for a grid,
    family, criterion or number that makes no sense. Warns ConstantColumnWarning for columns that hold one value, InterruptionWarning.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-4.0], [4.0]], 100, axis=0)
    >>> selection = mixtura.select(X, range(1, 4), "tied", random_state=0)
    >>> selection.best
    GaussianMixture(covariance_type='tied_spherical', max_iter=1000, n_components=2, random_state=0, tol=1e-06)
    >>> selection.best.predict([[-4.0]]) == selection.best.predict([[4.0]])
    array([False])
    """
    _check_options(criterion, folds, subsample)
    source = open_source(data, weights=sample_weight, n_jobs=n_jobs)
    counts = _counts(n_components)
    chosen = _families(families, source.D)
    check_components(source, min(counts))
    if criterion == "held_out" and folds > source.profile.rows:
        raise DataError(
            f"too few rows to hold some out: got {source.profile.rows} rows for {folds} folds, expected at least one each; try fewer folds"
        )
    generator = generator_of(random_state)
    part = source if subsample is None else source.sample(int(subsample), generator)
    scout = Scout.of(part, generator)
    _check_rows(scout)
    check_distinct(len(scout.rows), min(counts))
    constant = tuple(name for name, flag in zip(source.columns, source.profile.constant, strict=True) if flag)
    if constant:
        warnings.warn(f"constant column {', '.join(map(repr, constant))}: it tells no components apart; try leaving it out", ConstantColumnWarning, 2)
    regularisation = regularisation_of(reg_covar)
    how = _How(rule_of(rule, regularisation, learning_rate, tol=tol), regularisation, tol, max_iter)
    search = _Search(source, subsample, counts, chosen, how, criterion, folds, generator, on_progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)  # the status of the candidate says it
        search.run(part, scout)
    if search.interrupted:
        warnings.warn(search.interrupted, InterruptionWarning, stacklevel=2)
    elif criterion == "held_out" and all(np.isneginf(one.held_out) for one in search.cells.values()):
        raise DataError(
            f"nothing could be fitted to the rows of every {folds - 1} folds: expected at least one cell; try fewer components or more folds"
        )
    parameters = {
        "tol": tol,
        "reg_covar": reg_covar,
        "max_iter": max_iter,
        "random_state": random_state if isinstance(random_state, int | np.integer) else None,
        "rule": rule,
        "learning_rate": learning_rate,
        "n_jobs": n_jobs,
    }
    columns = source.columns if source.named else None
    return Selection(tuple(search.cells.values()), search.criterion, bool(search.interrupted), constant, columns, parameters)


@dataclass(frozen=True, eq=False)
class _How:
    """How a cell is fitted."""

    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int

    def grid(self, scout: Scout, source: Source, generator: np.random.Generator) -> Grid:
        return Grid(scout, source, self.rule, self.regularisation, self.tol, self.max_iter, generator)


@dataclass(eq=False)
class _Search:
    """A search under way: the cells by now, in grid order, and what it was interrupted at, if it was."""

    source: Source
    subsample: int | None
    counts: Sequence[int]
    families: Sequence[Family]
    how: _How
    criterion: str
    folds: int
    generator: np.random.Generator
    on_progress: Tell | None

    def __post_init__(self) -> None:
        self.cells: dict[Cell, Candidate] = {}
        self.without: list[dict[Cell, Mixture]] = []  # for each fold, the mixtures of the others' rows
        self.folded = 0  # folds that are done
        self.interrupted = ""
        self.seed = int(self.generator.integers(2**32)) if self.criterion == "held_out" else 0
        self.planned = len(self.counts) * len(self.families)  # cells to be told of
        self.told = 0

    def run(self, part: Source, scout: Scout) -> None:
        """The grid on a part of the rows, the folds, and the best on all rows; as far as it gets."""
        size = self.planned
        self.planned += size * self.folds * (self.criterion == "held_out") + REFITTED * (part is not self.source)
        try:
            self._grid(part, scout)
            if self.criterion == "held_out":
                self._hold_out()
            if part is not self.source:
                self._refit_the_best()
        except KeyboardInterrupt:
            if not self.cells:
                raise
            self._tell_of_interrupt(part)

    def _grid(self, part: Source, scout: Scout) -> None:
        cells = self.how.grid(scout, part, self.generator).fit(self.counts, self.families, self._teller())
        self.cells = {one.cell: one for one in cells}
        _stop_if_interrupted(cells)

    def _hold_out(self) -> None:
        """The held-out density of each cell, over the folds that are done."""

        def learn(fold: int, training: Source) -> dict[Cell, Mixture]:
            generator = np.random.default_rng([self.seed, fold])
            part = training if self.subsample is None else training.sample(self.subsample, generator)
            cells = self.how.grid(Scout.of(part, generator), part, generator).fit(self.counts, self.families, self._teller())
            _stop_if_interrupted(cells)
            self.without.append({one.cell: one.mixture for one in cells if one.mixture is not None})
            return self.without[fold]

        for densities in held_out(self.source, self.folds, self.seed, learn):
            self.cells = {cell: replace(one, held_out=densities.get(cell, -np.inf)) for cell, one in self.cells.items()}
            self.folded += 1

    def _refit_the_best(self) -> None:
        """To all rows: the first few; then the best so far and its neighbours, until these all are."""
        waiting = [one for one in ranked(self.cells.values(), self.criterion)[:REFITTED] if one.mixture is not None]
        while waiting:
            for one in waiting:
                self.cells[one.cell] = self._refit(one)
            best = ranked(self.cells.values(), self.criterion)[0]
            waiting = [one for one in (best, *self._neighbours(best)) if one.mixture is not None and one.rows < self.source.profile.rows]

    def _neighbours(self, one: Candidate) -> list[Candidate]:
        """The same family with the next more and the next fewer components."""
        place = self.counts.index(one.components)
        return [self.cells[K, one.family.name] for K in (*self.counts[max(0, place - 1) : place], *self.counts[place + 1 : place + 2])]

    def _refit(self, one: Candidate) -> Candidate:
        """The candidate fitted to all rows, from where it stands; its held-out density with all rows of the other folds."""
        assert one.mixture is not None
        begun = time.perf_counter()
        result = self._fit(self.source, one.mixture, self._step_teller(one))
        new = replace(candidate_of(result, self.source, one.seconds + time.perf_counter() - begun), before=one)
        if self.criterion != "held_out" or np.isneginf(one.held_out):
            return new

        def learn(fold: int, training: Source) -> dict[Cell, Mixture]:
            return {one.cell: self._fit(training, self.without[fold][one.cell], None).mixture}

        *_, densities = held_out(self.source, self.folds, self.seed, learn)
        return replace(new, held_out=densities[one.cell])

    def _fit(self, source: Source, begin: Mixture, on_step: Callable[[Step], object] | None) -> Fit:
        return fit(source, begin, self.how.rule, tol=self.how.tol, max_steps=self.how.max_iter, on_step=on_step)

    def _teller(self) -> Tell | None:
        """Tells of the cells of a grid, numbered on from those before."""
        before, self.told = self.told, self.told + len(self.counts) * len(self.families)
        tell = self.on_progress
        return None if tell is None else lambda at: tell(replace(at, cell=before + at.cell, cells=self.planned))

    def _step_teller(self, one: Candidate) -> Callable[[Step], object] | None:
        """Tells of the steps of one cell."""
        number, self.told = self.told, self.told + 1
        self.planned = max(self.planned, self.told)
        tell = self.on_progress
        return None if tell is None else lambda step: tell(Progress(one.components, one.family, number, self.planned, step))

    def _tell_of_interrupt(self, part: Source) -> None:
        done = sum(one.status != "interrupted" for one in self.cells.values())
        got, expected = f"{done} of {len(self.cells)} cells", "all of them"
        if done == len(self.cells):
            refitted = sum(one.rows > part.profile.rows for one in self.cells.values())
            got, expected = f"all {done} cells, and {refitted} refitted to all rows", f"at least {min(REFITTED, done)} refitted"
        if self.criterion == "held_out" and self.folded < self.folds:
            got, expected = f"{got.split(',')[0]}, and {self.folded} of {self.folds} folds", "all of them"
            if not self.folded:
                self.criterion = "bic"
                got += ", so that they are ranked by bic"
        self.interrupted = f"the selection was interrupted: got {got}, expected {expected}; try again, or use what there is"


def _stop_if_interrupted(cells: Iterable[Candidate]) -> None:
    """A grid gives back what it has; its caller should stop as well."""
    if any(one.status == "interrupted" for one in cells):
        raise KeyboardInterrupt


def _check_options(criterion: str, folds: int, subsample: int | None) -> None:
    if criterion not in CRITERIA:
        raise ParameterError(f"unknown criterion: got {criterion!r}, expected one of {', '.join(map(repr, CRITERIA))}; try 'bic'")
    checking.whole("folds", folds, 2, remedy=5)
    if subsample is not None:
        checking.whole("subsample", subsample, 2, remedy=SUBSAMPLE)


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
