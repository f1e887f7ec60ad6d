"""The grid of a selection: every number of components with every family, each cell fitted well.

Cells help each other: one Ward tree and one set of k-means++ draws serve every family, the best K split once starts K + 1, a special family's
mixture starts the general ones that contain it, and the posteriors of any family start any other. What helps whom is fixed by the grid, so
cells that do not wait for each other are fitted side by side and the bits are the same for any number of threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mixtura.exchange import twice
from mixtura.families import Family
from mixtura.fitting import Fit, Interrupted, Step, sweep
from mixtura.mixture import Mixture
from mixtura.selection.candidate import Candidate, candidate_of, is_regular, unfitted
from mixtura.selection.climbing import Around, Climber, Found
from mixtura.selection.order import run_in_order
from mixtura.sources.workers import hands

ROUNDING = 1e-12  # nats per row: falls below it are none
HOPE = 0.02  # nats per row that more than a few steps of EM may still gain


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a selection stands: a cell (of `cells`) and its last step.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> told = []
    >>> selection = mixtura.select(X, [1, 2], "full", random_state=0, on_progress=told.append)
    >>> told[-1].cells, {at.components for at in told}
    (2, {1, 2})
    """

    components: int
    family: Family
    cell: int
    cells: int
    step: Step


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell that is done: what was found, whether that is regular, and the time it took."""

    found: Found
    regular: bool
    seconds: float = 0.0

    @property
    def fit(self) -> Fit:
        """The fit."""
        return self.found.fit

    @property
    def mixture(self) -> Mixture:
        """The mixture of the fit."""
        return self.fit.mixture


class Filled(NamedTuple):
    """The cells of a grid in its order, and whether they were interrupted: those that were done by then stand, though they might be bettered."""

    candidates: list[Candidate]
    interrupted: bool


Key = tuple[int, str]
Cells = dict[Key, Cell]
Tell = Callable[[Progress], object] | None


@dataclass(frozen=True, eq=False)
class Grid:
    """How cells are found, and what a parameter must gain to be worth having: its `price`, in nats.

    A regular optimum that is not worth one component more than the cell before has, no criterion of this price would choose: where there is
    one, the likeliest optimum stands in the cell then, and its status says that it is spurious.
    """

    climber: Climber
    generator: np.random.Generator
    price: float = 1.0

    def fit(self, counts: Sequence[int], families: Sequence[Family], on_progress: Tell = None) -> Filled:
        """All cells; where it is interrupted (KeyboardInterrupt), those that are done by then, if any."""
        return _Filling(self, counts, families, on_progress).run()


class _Filling:
    """Two turns through one grid: few components before many and special families before general ones; then again, for what later ones found."""

    def __init__(self, grid: Grid, counts: Sequence[int], families: Sequence[Family], on_progress: Tell):
        self.grid, self.climber, self.on_progress = grid, grid.climber, on_progress
        self.families = {family.name: family for family in families}
        self.partitions = {K: grid.climber.partitions(K, grid.generator) for K in counts}
        self.keys: list[Key] = [(K, name) for K in counts for name in self.families]
        self.place = {key: number for number, key in enumerate(self.keys) if self.partitions[key[0]] is not None}
        self.telling = threading.Lock()  # one cell at a time
        self.first: Cells = {}
        self.second: Cells = {}

    def run(self) -> Filled:
        """Every cell as a candidate."""
        turns = {(False, *key): [(False, *other) for other in self._beside(key) if self._is_before(other, key)] for key in self.place}
        turns |= {(True, *key): [(False, *key), *((self._is_before(other, key), *other) for other in self._beside(key))] for key in self.place}
        interrupted = False
        try:
            with hands(self.climber.source.n_jobs, self.climber.side_by_side) as threads:
                run_in_order(turns, self._turn, threads)
        except KeyboardInterrupt:
            if not self.first:
                raise
            interrupted = True
        return Filled([self._candidate(key) for key in self.keys], interrupted)

    def _candidate(self, key: Key) -> Candidate:
        cell, family = self.second.get(key) or self.first.get(key), self.families[key[1]]
        if cell is None:
            return unfitted(key[0], family, self.climber.source.D, "interrupted" if key in self.place else "too few rows")
        return candidate_of(cell.fit, self.climber.source, cell.seconds, classified=not cell.fit.interrupted)

    def _beside(self, key: Key) -> list[Key]:
        """The cells that a cell looks at: as many components, or one less or more of the family."""
        K, name = key
        return [other for other in self.place if other != key and (other[0] == K or (other[1] == name and abs(other[0] - K) == 1))]

    def _is_before(self, other: Key, key: Key) -> bool:
        return self.place[other] < self.place[key]

    def _turn(self, turn: tuple[bool, int, str]) -> None:
        again, *_ = turn
        key, begun = (turn[1], turn[2]), time.perf_counter()
        try:
            cell = self._again(key) if again else self._first(key)
        except Interrupted as interrupted:
            if key not in self.first and interrupted.fit.mixture.K == key[0]:  # what it came to is better than nothing
                self.first[key] = self._cell(Found(interrupted.fit, None))
            raise
        spent = time.perf_counter() - begun + (self.first[key].seconds if again else 0.0)
        (self.second if again else self.first)[key] = replace(cell, seconds=spent)

    def _first(self, key: Key) -> Cell:
        """The best that partitions and the cells before this one lead to."""
        (K, name), family = key, self.families[key[1]]
        before = {other: self.first[other] for other in self._beside(key) if self._is_before(other, key)}
        beside = [cell for (k, _), cell in before.items() if k == K and (cell.regular or family.nests(cell.mixture.family))]
        fewer = before.get((K - 1, name))
        around = Around(K, self.partitions[K], [cell.found for cell in beside], None if fewer is None else fewer.mixture)
        found = self._cell(self.climber.best(family, around, self._worth(family, fewer), self._teller(key)))
        return self._no_worse(found, _best_of(before, family))

    def _worth(self, family: Family, fewer: Cell | None) -> float:
        """What an optimum must reach for one component more to be worth its parameters, in nats per row."""
        if fewer is None:
            return -np.inf
        K, D, grid = fewer.mixture.K, fewer.mixture.D, self.grid
        more = family.n_parameters(K + 1, D) - family.n_parameters(K, D)
        return fewer.fit.log_likelihood + more * grid.price / self.climber.source.profile.weight

    def _again(self, key: Key) -> Cell:
        """What the cells fitted after this one lead to, and those before it where they were found anew, where it is better."""
        (K, name), family, own = key, self.families[key[1]], self.first[key]
        about = {other: (self.second if self._is_before(other, key) else self.first)[other] for other in self._beside(key)}
        news = {other: cell for other, cell in about.items() if cell.regular and not self._was_seen(other, key, cell)}
        fewer, more = (None if (cell := news.get((k, name))) is None else cell.mixture for k in (K - 1, K + 1))
        around = Around(K, None, [cell.found for (k, _), cell in news.items() if k == K], fewer, more)
        if (better := self.climber.better(family, around, self._seen(own) - HOPE)) is not None:
            found = self._cell(better)
            if found.regular >= own.regular and found.fit.log_likelihood > own.fit.log_likelihood + ROUNDING:
                own = found
        return self._no_worse(own, _best_of({other: cell for other, cell in about.items() if other[0] <= K}, family))

    def _was_seen(self, other: Key, key: Key, cell: Cell) -> bool:
        """Whether the other cell was like this already in the first turn of cell `key`."""
        return self._is_before(other, key) and cell.fit is self.first[other].fit

    def _no_worse(self, cell: Cell, best: Fit | None) -> Cell:
        """The cell, or one as good as the best of those whose mixtures it contains."""
        mixture = cell.mixture
        if best is None or cell.fit.log_likelihood >= best.log_likelihood - ROUNDING:
            return cell
        same = twice(best.mixture) if best.mixture.K < mixture.K else best.mixture.to_family(mixture.family)
        return self._cell(self.climber.climb(same))

    def _cell(self, found: Found) -> Cell:
        return Cell(found, is_regular(found.fit.best, self.climber.source.profile.rows))

    def _seen(self, cell: Cell) -> float:
        """Its mean log-likelihood on the scout's rows."""
        seen = cell.found.seen or sweep(cell.mixture, self.climber.scout.source)
        return seen.mean_log_likelihood

    def _teller(self, key: Key) -> Callable[[Step], object] | None:
        if (tell := self.on_progress) is None:
            return None
        number, K, family = self.keys.index(key), key[0], self.families[key[1]]

        def told(step: Step) -> None:
            with self.telling:
                tell(Progress(K, family, number, len(self.keys), step))

        return told


def _best_of(others: Cells, family: Family) -> Fit | None:
    """The best of the cells whose mixtures are also of this family: of special ones, or of itself with one component less."""
    contained = [one.fit for one in others.values() if family.nests(one.mixture.family)]
    return max(contained, key=lambda one: one.log_likelihood, default=None)
