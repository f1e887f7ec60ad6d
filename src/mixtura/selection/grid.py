"""The grid of a selection: every number of components with every family, each cell fitted well.

Cells help each other: one Ward tree and one set of k-means++ draws serve every family, the best K split once starts K + 1, and a special
family's mixture starts the general ones that contain it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixtura.exchange import merge, promise
from mixtura.families import Family
from mixtura.fitting import Fit, Step, fit, sweep
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX
from mixtura.regularisation import Regularisation
from mixtura.rules import Rule
from mixtura.rules.maximising import maximise, split
from mixtura.scouting import Labels, Scout
from mixtura.selection.candidate import Candidate, candidate_of, is_regular, unfitted
from mixtura.sources import Source
from mixtura.starting import candidates, labellings, like, short_runs
from mixtura.statistics import Statistics

ROUNDING = 1e-12  # nats per row: falls below it are none
HOPE = 0.02  # nats per row that more than a few steps of EM may still gain
WIDER = 2.0  # than the whole is the wider of two halves with one centre; the other is as much narrower


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a selection stands: the cell (of `cells`) being fitted and its last step."""

    components: int
    family: Family
    cell: int
    cells: int
    step: Step


@dataclass(frozen=True, eq=False)
class Grid:
    """What all cells share."""

    scout: Scout
    source: Source
    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int
    generator: np.random.Generator

    def fit(self, counts: Sequence[int], families: Sequence[Family], on_progress: Callable[[Progress], object] | None) -> list[Candidate]:
        """All cells; where it is interrupted (KeyboardInterrupt), those that are done by then, if any."""
        cells, partitions = [(K, family) for K in counts for family in families], {K: self._labellings(K) for K in counts}
        done: dict[tuple[int, str], _Cell] = {}
        try:
            self._fill(cells, partitions, done, on_progress)
        except KeyboardInterrupt:
            if not done:
                raise
        return [
            candidate_of(done[K, family.name].fit, self.source, done[K, family.name].seconds)
            if (K, family.name) in done
            else unfitted(K, family, self.source.D, "too few rows" if partitions[K] is None else "interrupted")
            for K, family in cells
        ]

    def _fill(
        self, cells: Sequence[tuple[int, Family]], partitions: dict[int, Labels | None], done: Done, on_progress: Callable[[Progress], object] | None
    ) -> None:
        """Few components before many and special families before general ones; then once more, for what the later ones found."""
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

    def _labellings(self, K: int) -> Labels | None:
        return labellings(self.scout, K, self.generator) if K <= len(self.scout.rows) else None

    def _first(self, K: int, family: Family, labels: Labels, done: Done, tell: Tell) -> _Cell:
        """The best that partitions and the cells before this one lead to."""
        beside = [cell for (k, _), cell in done.items() if k == K]
        nested = [cell.fit.mixture for cell in beside if family.nests(cell.fit.mixture.family)]
        starts = candidates(self.scout, labels, K, family, self.regularisation)
        starts += [self._within(mixture, family) for mixture in _most_general(nested)]
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
        """Its statistics on the scout's rows, whole second moments: what any other family needs to take over its components.

        Factors make no whole ones.
        """
        return sweep(mixture, self.scout.source, moment=None if mixture.family.n_factors else MATRIX)

    def _within(self, mixture: Mixture, family: Family) -> Mixture:
        """The mixture as one of this more general family; with more factors, found anew, for loadings of zero would stay so."""
        return like(mixture, family, self.scout, self.regularisation) if family.n_factors else mixture.to_family(family)

    def _like(self, cell: _Cell, family: Family) -> Mixture:
        """The mixture of this family for another's posteriors."""
        seen = cell.seen
        if seen.moment is not MATRIX or family.n_factors:
            return like(cell.fit.mixture, family, self.scout, self.regularisation)
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
