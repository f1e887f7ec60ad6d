"""Two ways from starts to a fit: compiled as a whole where rows are few, so that cells run side by side; sweep by sweep where they are many,
or columns, or where the family has factors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.exchange import merged, promise, twice
from mixtura.families import Family
from mixtura.few import Few, Start
from mixtura.fitting import Fit, Step, climb, sweep
from mixtura.kernels.climb import Standings
from mixtura.kernels.expanded import FULL, features
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, Array
from mixtura.properties import cached_property
from mixtura.regularisation import Floor, Regularisation, Ridge
from mixtura.rules import EM, Rule, Squarem
from mixtura.rules.maximising import maximise, split
from mixtura.scouting import Labels, Scout
from mixtura.selection.candidate import is_regular
from mixtura.sources import ArraySource, Source
from mixtura.sources.processors import n_threads
from mixtura.starting import FEW, like, partition, short_runs
from mixtura.statistics import Statistics
from mixtura.stopping import remaining_gain

TRIED = ((8, 8), (30, 3))  # steps that starts take, and how many of them go on; the last ones climb to the top
DRAWS, CHEAP = 32, 800_000  # of k-means++, each for every family; draws by rows, components and features
PLACES = 24  # where a component may be born, far from each other
MERGERS = 3  # of one component more that are tried in each cell
NEAR = 100  # accelerated steps that tell the best of the last ones
ROUNDING = 1e-9  # nats per row: what two ways to the same top may differ by

Tell = Callable[[Step], object] | None


class Found(NamedTuple):
    """A fit, and its statistics on the scout's rows with whole second moments, where any are made: what other families begin at."""

    fit: Fit
    seen: Statistics | None

    @property
    def mixture(self) -> Mixture:
        """The mixture of the fit."""
        return self.fit.mixture


class Tried(NamedTuple):
    """Where starts stand after short runs, and how each came there: its log-likelihoods per row, in the frame's coordinates."""

    at: Standings
    paths: list[Array]

    def then(self, at: Standings) -> Tried:
        """The same starts some steps further on."""
        return Tried(at, [np.concatenate([path, trace[:steps]]) for path, trace, steps in zip(self.paths, at.trace, at.steps, strict=True)])

    def chosen(self, which: NDArray[np.intp]) -> Tried:
        """Some of them, in this order."""
        return Tried(self.at.chosen(which), [self.paths[m] for m in which])

    @property
    def start(self) -> Start:
        """Their statistics, where the next steps begin."""
        return Start(self.at.counts, self.at.means, self.at.scatter)


@dataclass(frozen=True, eq=False)
class Partitions:
    """Hard partitions of the scout's rows into K parts, and their sums, once for all families; rows where a component may be born."""

    scout: Scout
    labels: Labels
    K: int
    places: Array

    @cached_property
    def start(self) -> Start:
        """The sums."""
        return Start.of_partitions(self.scout.rows, self.scout.weights, self.labels, self.K)


@dataclass(frozen=True, eq=False)
class Around:
    """Where a fit may begin: partitions of the rows; what others `found` with as many components; mixtures of `fewer` and of `more` by one."""

    K: int
    partitions: Partitions | None = None
    found: list[Found] = field(default_factory=list)
    fewer: Mixture | None = None
    more: Mixture | None = None

    @property
    def cuts(self) -> int:
        """How many of the partitions, the first ones, are cuts of trees: nothing random, and of a kind."""
        return 0 if self.partitions is None else min(len(self.partitions.scout.trees), len(self.partitions.labels))

    def nested(self, family: Family) -> list[Mixture]:
        """The mixtures found whose family this one nests, but for those whose family another one's nests: those started these already."""
        mixtures = [one.mixture for one in self.found if family.nests(one.mixture.family)]
        return [one for one in mixtures if not any(other.family.nests(one.family) for other in mixtures if other.family is not one.family)]

    def others(self, family: Family) -> list[Found]:
        """What was found of other families."""
        return [one for one in self.found if not family.nests(one.mixture.family)]


@dataclass(frozen=True, eq=False)
class Climber(ABC):
    """Fits by `rule` to all rows of the source, from starts that are compared on the scout's rows."""

    scout: Scout
    source: Source
    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int
    draws: int = DRAWS  # of k-means++ at most

    @property
    def draws_are_cheap(self) -> bool:
        """Whether many starts cost next to nothing."""
        return False

    @property
    def side_by_side(self) -> int:
        """How many fits are best done at the same time: a sweep of many rows uses all processors itself."""
        return 1

    def partitions(self, K: int, generator: np.random.Generator) -> Partitions | None:
        """The trees' cuts and draws of k-means++; None where there are fewer rows than components."""
        rows = self.scout.rows
        if len(rows) < K:
            return None
        draws = max(FEW, min(self.draws, CHEAP // (len(rows) * K * features(FULL, self.source.D)))) if self.draws_are_cheap else FEW
        places = rows[self.scout.seeds(min(PLACES, len(rows)), 1, generator)[0]] if self.draws_are_cheap else rows[:0]
        return Partitions(self.scout, self.scout.labellings(K, draws, generator), K, places)

    @abstractmethod
    def best(self, family: Family, around: Around, least: float, tell: Tell = None) -> Found:
        """The fit from the most promising start after short runs.

        Optima that are not regular come last, with those that are not above `least` nats per row.
        """

    @abstractmethod
    def better(self, family: Family, around: Around, least: float) -> Found | None:
        """The same, if there is a start and it seems to lead above `least` nats per row of the scout."""

    def climb(self, begin: Mixture, tell: Tell = None) -> Found:
        """The fit from here. Raises Interrupted where it is interrupted on the way."""
        found = climb(self.source, begin, self.rule, tol=self.tol, max_steps=self.max_iter, on_step=tell)
        return Found(found, None)


class SweepBySweep(Climber):
    """One start after the other: second moments of many columns, or of factors, are no small thing."""

    def best(self, family: Family, around: Around, least: float, tell: Tell = None) -> Found:
        """The most promising climbs; optima that are not regular come last."""
        return self.climb(self.promising(self._starts(family, around)), tell)

    def better(self, family: Family, around: Around, least: float) -> Found | None:
        """The most promising climbs."""
        if not (starts := self._starts(family, around)):
            return None
        begin = self.promising(starts)
        return self.climb(begin) if sweep(begin, self.scout.source).mean_log_likelihood > least else None

    def promising(self, begun: list[Mixture]) -> Mixture:
        """The best after short runs."""
        rows = self.scout.source.profile.rows

        def worth(step: Step) -> tuple[bool, float]:
            promising, log_likelihood = promise(step)
            return promising and is_regular(step, rows), log_likelihood

        return short_runs(begun, self.scout.source, self.regularisation, worth)

    def _starts(self, family: Family, around: Around) -> list[Mixture]:
        scout, regularisation = self.scout, self.regularisation
        labels = [] if around.partitions is None else list(around.partitions.labels[: FEW + 2])
        starts = [partition(scout, one, around.K, family, regularisation) for one in labels]
        # with more factors found anew, for loadings of zero would stay so
        starts += [like(one, family, scout, regularisation) if family.n_factors else one.to_family(family) for one in around.nested(family)]
        starts += [like(one.mixture, family, scout, regularisation) for one in around.others(family)]
        if around.fewer is not None:
            starts += [split(twice(around.fewer, k), into=around.fewer.K, heaviest=k) for k in range(around.fewer.K)]
        if around.more is not None:
            starts += merged(around.more, regularisation, scout.reference(family.moment), MERGERS)
        return starts


class Compiled(SweepBySweep):
    """Short runs in one call, and where the scout's rows are all rows and the rule is EM, the fit as well.

    Only of the fourteen families: factors, and families under a constraint from elsewhere, go sweep by sweep.
    """

    @cached_property
    def few(self) -> Few:
        """The scout's rows."""
        source = self.scout.source
        assert isinstance(source, ArraySource) and isinstance(self.regularisation, Floor | Ridge)
        return Few(source, self.scout.reference(MATRIX), self.regularisation)

    @property
    def draws_are_cheap(self) -> bool:
        """They run in one call."""
        return True

    @property
    def whole(self) -> bool:
        """Whether fits are compiled as a whole."""
        return self.scout.source is self.source and isinstance(self.rule, Squarem) and isinstance(self.rule.rule, EM) and not self.rule.rule.fixed

    @property
    def side_by_side(self) -> int:
        """As many as there are threads: a compiled call uses one."""
        return n_threads(self.source.n_jobs) if self.whole and isinstance(self.source, ArraySource) else 1

    def best(self, family: Family, around: Around, least: float, tell: Tell = None) -> Found:
        """All together."""
        if not family.lettered:
            return super().best(family, around, least, tell)
        starts = self._together(family, around)
        assert starts is not None
        return self._top(family, starts, self._tried(family, starts, around.cuts), least, tell)

    def better(self, family: Family, around: Around, least: float) -> Found | None:
        """All together."""
        if not family.lettered:
            return super().better(family, around, least)
        if (starts := self._together(family, around)) is None:
            return None
        tried = self._tried(family, starts)
        return self._top(family, starts, tried, -np.inf, None) if (self.few.log_likelihoods(tried[0].at) > least).any() else None

    def climb(self, begin: Mixture, tell: Tell = None) -> Found:
        """Compiled, if that is the rule's way and no component collapses."""
        if self.whole and begin.family.lettered:
            start = self.few.begin(Start.of(begin))
            at = self.few.run(begin.family, Start(*(array[None] for array in start)), self.max_iter, tol=self.tol)
            if not at.collapsed[0]:
                return self._found(begin.family, at, 0, at.trace[0, : at.steps[0]], tell)
        return self._seen(super().climb(begin, tell))

    def _seen(self, found: Found) -> Found:
        if found.mixture.family.n_factors:
            return found
        return found._replace(seen=sweep(found.mixture, self.scout.source, moment=MATRIX))

    def _together(self, family: Family, around: Around) -> Start | None:
        """All starts, if there are any."""
        starts = [] if around.partitions is None else [around.partitions.start]
        starts += map(Start.of, around.nested(family))
        starts += [Start.seen(one.seen) for one in around.others(family) if one.seen is not None]
        if around.fewer is not None:
            starts += Start.grown(around.fewer)
            if around.partitions is not None:
                starts.append(Start.born(around.fewer, around.partitions.places))
        if around.more is not None:
            starts += map(Start.of, merged(around.more, self.regularisation, self.scout.reference(family.moment), MERGERS))
        return Start.together(starts) if starts else None

    def _mixture_of(self, family: Family, starts: Start, m: int) -> Mixture:
        """The M-step of start m."""
        counts, means, kept = starts.counts[m], starts.means[m], family.moment.keep(starts.scatter[m])
        second = kept.sum(axis=0) if family.pooled else kept
        rows, weight = self.scout.source.n_rows, float(counts.sum())
        statistics = Statistics(family.moment, family.pooled, rows, weight, np.nan, counts, means, np.zeros_like(means), second)
        return maximise(family, statistics, self.regularisation, self.scout.reference(family.moment))[0]

    def _tried(self, family: Family, starts: Start, seeded: int = 0) -> list[Tried]:
        """The most promising after short runs, the likeliest, regular or not, and the first `seeded`; then those before each choice."""
        now, covariances, stages, first = self.few.begin(starts), None, [], np.arange(seeded)
        tried: Tried | None = None
        for steps, kept in TRIED:
            at = self.few.run(family, now, steps, covariances)
            tried = Tried(at, [np.empty(0)] * len(at.counts) if tried is None else tried.paths).then(at)
            stages.append(tried)
            order, likeliest = self._order(at)[:kept], self._order(at, any_will_do=True)[:1]
            chosen = np.array(list(dict.fromkeys([*order, *likeliest, *first])))
            first = np.flatnonzero(np.isin(chosen, first))
            tried = tried.chosen(chosen)
            now, covariances = tried.start, tried.at.covariances
        assert tried is not None
        return [tried, *reversed(stages)]

    def _order(self, at: Standings, least: float = -np.inf, any_will_do: bool = False) -> NDArray[np.intp]:
        """The best first: above the floor before others, regular and above `least` before others; rounding changes no order."""
        profile = self.scout.source.profile
        held = (at.counts * (profile.rows / profile.weight)).min(axis=1) >= self.source.D + 1 - 1e-9
        worthy = (held | (at.counts.shape[1] == 1)) & (self.few.log_likelihoods(at) > least + ROUNDING)
        return np.lexsort((-np.round(at.log_likelihoods, 8), ~(worthy | any_will_do), at.collapsed))

    def _top(self, family: Family, starts: Start, tried: list[Tried], least: float, tell: Tell) -> Found:
        """From the best after short runs to the top; where all of these collapse, from those that were not chosen."""
        first = tried[0].at
        if not self.whole and not first.collapsed[0]:
            return self._seen(super().climb(self.few.mixture(first, 0, family), tell))
        for stage in tried if self.whole else ():
            if not (begun := stage.chosen(np.flatnonzero(~stage.at.collapsed))).paths:
                continue
            for steps in (min(NEAR, self.max_iter), self.max_iter):  # one goes on, should all creep
                climbed = begun.then(self.few.run(family, begun.start, steps, begun.at.covariances, tol=self.tol))
                best = self._order(climbed.at, least)[:1]
                if climbed.at.collapsed[best[0]] or climbed.at.converged[best[0]]:
                    break
                begun = climbed.chosen(best)
            if not climbed.at.collapsed[best[0]]:
                return self._found(family, climbed.at, int(best[0]), climbed.paths[best[0]], tell)
        # what repairs then decides
        mixtures = [self.few.mixture(first, m, family) for m in range(len(first.counts)) if first.steps[m]]
        mixtures = mixtures or [self._mixture_of(family, starts, m) for m in range(min(len(starts.counts), TRIED[0][1]))]
        return self._seen(super().climb(self.promising(mixtures), tell))

    def _found(self, family: Family, at: Standings, m: int, path: Array, tell: Tell) -> Found:
        """The fit that a compiled climb is, with the short runs that it began by, measured by a sweep."""
        mixture = self.few.mixture(at, m, family)
        seen = sweep(mixture, self.source, moment=MATRIX)
        kept = family.moment.keep(seen.second)
        statistics = replace(seen, moment=family.moment, pooled=family.pooled, second=kept.sum(axis=0) if family.pooled else kept)
        reached, steps = seen.mean_log_likelihood, len(path)
        trace = (*map(float, self.few.log_likelihoods(at, path[:-1])), reached)
        change = reached - trace[-2] if steps > 1 else np.nan
        step = Step(steps - 1, mixture, statistics, reached, reached, change, ())
        if tell is not None:
            tell(step)
        converged = bool(at.converged[m])
        left = min(remaining_gain(trace[-4:]), self.tol) if converged else remaining_gain(trace[-4:])
        return Found(Fit(step, converged, left, steps - 1, trace, trace, ()), seen)


def climber_of(scout: Scout, source: Source, rule: Rule, regularisation: Regularisation, tol: float, max_iter: int, draws: int = DRAWS) -> Climber:
    """The way that suits the rows."""
    suits = Compiled if Few.fits(scout.source) and isinstance(regularisation, Floor | Ridge) else SweepBySweep
    return suits(scout, source, rule, regularisation, tol, max_iter, draws)
