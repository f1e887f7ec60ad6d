"""A search under way: the grid on a subsample of many rows; the folds, where a criterion asks for them; the best refitted to all rows.

An interrupt (KeyboardInterrupt) ends the search, not what it found: what was done by then is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixtura.exchange import twice
from mixtura.families import Family
from mixtura.fitting import Fit, Interrupted, Step, climb
from mixtura.mixture import Mixture
from mixtura.regularisation import Regularisation
from mixtura.rules import Rule
from mixtura.rules.maximising import split
from mixtura.scouting import Scout
from mixtura.selection.candidate import Candidate, candidate_of
from mixtura.selection.climbing import climber_of
from mixtura.selection.criteria import Cell, held_out, price_of
from mixtura.selection.grid import ROUNDING, Filled, Grid, Progress
from mixtura.selection.selection import ranked
from mixtura.sources import Source
from mixtura.starting import short_runs

REFITTED = 5  # candidates that go on from the subsample to all rows; the subsample rarely misplaces the best by more

Tell = Callable[[Progress], object]


@dataclass(frozen=True, eq=False)
class How:
    """How a cell is fitted."""

    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int
    criterion: str

    def grid(self, scout: Scout, source: Source, generator: np.random.Generator) -> Grid:
        """The grid of these rows."""
        climber = climber_of(scout, source, self.rule, self.regularisation, self.tol, self.max_iter)
        return Grid(climber, generator, price_of(self.criterion, source.profile.weight))


@dataclass(eq=False)
class Search:
    """A search under way: the cells by now, in grid order, and what it was interrupted at, if it was."""

    source: Source
    subsample: int | None
    counts: Sequence[int]
    families: Sequence[Family]
    how: How
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
        filled = self.how.grid(scout, part, self.generator).fit(self.counts, self.families, self._teller())
        self.cells = {one.cell: one for one in filled.candidates}
        _stop_if_interrupted(filled)

    def _hold_out(self) -> None:
        """The held-out density of each cell, over the folds that are done."""

        def learn(fold: int, training: Source) -> dict[Cell, Mixture]:
            generator = np.random.default_rng([self.seed, fold])
            part = training if self.subsample is None else training.sample(self.subsample, generator)
            filled = self.how.grid(Scout.of(part, generator), part, generator).fit(self.counts, self.families, self._teller())
            _stop_if_interrupted(filled)
            self.without.append({one.cell: one.mixture for one in filled.candidates if one.mixture is not None})
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
            self._lift()
            best = ranked(self.cells.values(), self.criterion)[0]
            waiting = [one for one in (best, *self._neighbours(best)) if one.mixture is not None and one.rows < self.source.profile.rows]

    def _lift(self) -> None:
        """Those on all rows that ended below one whose mixtures they contain (see Grid) go on from that one; few components first."""
        slack = ROUNDING * self.source.profile.weight
        for cell, one in self.cells.items():
            contained = [other for other in self.cells.values() if other.before is not None and _contains(one, other)]
            best = max(contained, key=lambda other: other.log_likelihood, default=one)
            if one.before is not None and one.log_likelihood < best.log_likelihood - slack:
                self.cells[cell] = self._lifted(one, best)

    def _lifted(self, one: Candidate, contained: Candidate) -> Candidate:
        """The candidate fitted to all rows from each way to divide a component of the other's mixture; at worst from that distribution itself."""
        assert contained.mixture is not None
        begun = time.perf_counter()
        mixture = contained.mixture.to_family(one.family)
        same = mixture if mixture.K == one.components else twice(mixture)
        divided = [split(twice(mixture, k), into=mixture.K, heaviest=k) for k in range(mixture.K)] if mixture.K < one.components else [same]
        result = self._fit(self.source, short_runs(divided, self.source, self.how.regularisation), None)
        if result.log_likelihood < contained.log_likelihood / self.source.profile.weight:
            result = self._fit(self.source, same, None)
        found = candidate_of(result, self.source, one.seconds + time.perf_counter() - begun)
        return replace(found, before=one.before, held_out=one.held_out)

    def _neighbours(self, one: Candidate) -> list[Candidate]:
        """The same family with the next more and the next fewer components."""
        place = self.counts.index(one.components)
        return [self.cells[K, one.family.name] for K in (*self.counts[max(0, place - 1) : place], *self.counts[place + 1 : place + 2])]

    def _refit(self, one: Candidate) -> Candidate:
        """The candidate fitted to all rows, from where it stands; its held-out density with all rows of the other folds."""
        assert one.mixture is not None
        begun = time.perf_counter()
        try:
            result = self._fit(self.source, one.mixture, self._step_teller(one))
        except Interrupted as interrupted:
            self.cells[one.cell] = self._unfinished(one, interrupted.fit)
            raise
        new = candidate_of(result, self.source, one.seconds + time.perf_counter() - begun)
        new = self.cells[one.cell] = replace(new, before=one, held_out=one.held_out)  # kept, should the folds be interrupted
        if self.criterion != "held_out" or np.isneginf(one.held_out):
            return new

        def learn(fold: int, training: Source) -> dict[Cell, Mixture]:
            return {one.cell: self._fit(training, self.without[fold][one.cell], None).mixture}

        *_, densities = held_out(self.source, self.folds, self.seed, learn)
        return replace(new, held_out=densities[one.cell])

    def _unfinished(self, one: Candidate, result: Fit) -> Candidate:
        """The candidate as far as its fit to all rows came, without another pass."""
        new = candidate_of(result, self.source, one.seconds, classified=False)
        return replace(new, before=one, held_out=one.held_out)

    def _fit(self, source: Source, begin: Mixture, on_step: Callable[[Step], object] | None) -> Fit:
        return climb(source, begin, self.how.rule, tol=self.how.tol, max_steps=self.how.max_iter, on_step=on_step)

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
        fitted = [one for one in self.cells.values() if one.status != "interrupted"]
        finished = [one for one in fitted if one.fit is None or not one.fit.interrupted]
        done = len(finished) + sum(one not in finished and one.before is not None for one in fitted)
        got, expected = f"{done} of {len(self.cells)} cells", "all of them"
        if done == len(self.cells):
            refitted = sum(one.rows > part.profile.rows for one in finished)
            got, expected = f"all {done} cells, and {refitted} refitted to all rows", f"at least {min(REFITTED, done)} refitted"
        if self.criterion == "held_out" and self.folded < self.folds:
            got, expected = f"{got.split(',')[0]}, and {self.folded} of {self.folds} folds", "all of them"
            if not self.folded:
                self.criterion = "bic"
                got += ", so that they are ranked by bic"
        got += "".join(f", and {one.fit.n_steps} steps of another" for one in fitted if one.fit is not None and one.fit.interrupted)
        self.interrupted = f"the selection was interrupted: got {got}, expected {expected}; try again, or use what there is"


def _contains(one: Candidate, other: Candidate) -> bool:
    """Whether every mixture of the other cell is one of this: of a special family, or of one component less."""
    if one.components == other.components:
        return one is not other and one.family.nests(other.family)
    return one.components == other.components + 1 and one.family.name == other.family.name


def _stop_if_interrupted(filled: Filled) -> None:
    """A grid gives back what it has; its caller should stop as well."""
    if filled.interrupted:
        raise KeyboardInterrupt
