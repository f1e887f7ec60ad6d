"""Two ways from starts to a fit: compiled as a whole where rows are few, so that cells run side by side; sweep by sweep where they are many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.exchange import promise
from mixtura.families import Family
from mixtura.few import Few, Start
from mixtura.fitting import Fit, Step, fit, sweep
from mixtura.kernels.climb import Standings
from mixtura.kernels.expanded import FULL, features
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX
from mixtura.regularisation import Floor, Regularisation, Ridge
from mixtura.rules import EM, Rule, Squarem
from mixtura.rules.maximising import maximise
from mixtura.scouting import Scout
from mixtura.selection.candidate import is_regular
from mixtura.sources import ArraySource, Source
from mixtura.starting import FEW, short_runs
from mixtura.statistics import Statistics
from mixtura.stopping import remaining_gain

TRIED = ((8, 12), (20, 4))  # steps that starts take, and how many of them go on; the last ones climb to the top
DRAWS, CHEAP = 100, 1_200_000  # of k-means++ at most, each for every family; draws by rows, components and features
NEAR = 100  # accelerated steps that tell the best of the last ones
ROUNDING = 1e-9  # nats per row: what two ways to the same top may differ by

Tell = Callable[[Step], object] | None


class Found(NamedTuple):
    """A fit, and its statistics on the scout's rows with whole second moments: what any other family needs to take over its components."""

    fit: Fit
    seen: Statistics


@dataclass(frozen=True, eq=False)
class Climber(ABC):
    """Fits by `rule` to all rows of the source, from starts that are compared on the scout's rows."""

    scout: Scout
    source: Source
    rule: Rule
    regularisation: Regularisation
    tol: float
    max_iter: int

    @property
    def together(self) -> bool:
        """Whether many starts cost next to nothing."""
        return False

    @property
    def side_by_side(self) -> int:
        """How many fits are best done at the same time: a sweep of many rows uses all processors itself."""
        return 1

    @abstractmethod
    def best(self, family: Family, starts: Start, least: float, tell: Tell = None) -> Found:
        """The fit from the most promising of starts (M, ..) after short runs.

        Optima that are not regular come last, with those that are not above `least` nats per row.
        """

    @abstractmethod
    def better(self, family: Family, starts: Start, least: float) -> Found | None:
        """The same, if it seems to lead above `least` nats per row of the scout."""

    def climb(self, begin: Mixture, tell: Tell = None) -> Found:
        """The fit from here."""
        found = fit(self.source, begin, self.rule, tol=self.tol, max_steps=self.max_iter, on_step=tell)
        return Found(found, sweep(found.mixture, self.scout.source, moment=MATRIX))

    def partitions(self, K: int, generator: np.random.Generator) -> Start | None:
        """Hard partitions of the scout's rows as starts; None where there are fewer rows than components."""
        rows = self.scout.rows
        if len(rows) < K:
            return None
        draws = max(FEW, min(DRAWS, CHEAP // (len(rows) * K * features(FULL, self.source.D)))) if self.together else FEW
        return Start.of_partitions(rows, self.scout.weights, self.scout.labellings(K, draws, generator), K)

    def mixture_of(self, family: Family, starts: Start, m: int) -> Mixture:
        """The M-step of start m."""
        counts, means, kept = starts.counts[m], starts.means[m], family.moment.keep(starts.scatter[m])
        rows, weight = self.scout.source.n_rows, float(counts.sum())
        second = kept.sum(axis=0) if family.pooled else kept
        statistics = Statistics(family.moment, family.pooled, rows, weight, np.nan, counts, means, np.zeros_like(means), second)
        return maximise(family, statistics, self.regularisation, self.scout.reference(family.moment))[0]


class SweepBySweep(Climber):
    """Many columns, whose second moments are no small thing."""

    def best(self, family: Family, starts: Start, least: float, tell: Tell = None) -> Found:
        """One by one; optima that are not regular come last."""
        return self.climb(self._promising([self.mixture_of(family, starts, m) for m in range(len(starts.counts))]), tell)

    def better(self, family: Family, starts: Start, least: float) -> Found | None:
        """One by one."""
        begin = self._promising([self.mixture_of(family, starts, m) for m in range(len(starts.counts))])
        return self.climb(begin) if sweep(begin, self.scout.source).mean_log_likelihood > least else None

    def _promising(self, begun: list[Mixture]) -> Mixture:
        rows = self.scout.source.profile.rows

        def worth(step: Step) -> tuple[bool, float]:
            promising, log_likelihood = promise(step)
            return promising and is_regular(step, rows), log_likelihood

        return short_runs(begun, self.scout.source, self.regularisation, worth)


class Compiled(SweepBySweep):
    """Rows and columns so few that short runs are one compiled call; where the scout's rows are all rows, and the rule is EM, the fit as well."""

    @cached_property
    def few(self) -> Few:
        """The scout's rows."""
        source = self.scout.source
        assert isinstance(source, ArraySource) and isinstance(self.regularisation, Floor | Ridge)
        return Few(source, self.scout.reference(MATRIX), self.regularisation)

    @property
    def together(self) -> bool:
        """They run in one call."""
        return True

    @property
    def whole(self) -> bool:
        """Whether fits are compiled as a whole."""
        return self.scout.source is self.source and isinstance(self.rule, Squarem) and isinstance(self.rule.rule, EM) and not self.rule.rule.fixed

    @property
    def side_by_side(self) -> int:
        """As many as there are processors: a compiled call uses one."""
        return self.source.n_jobs if self.whole and isinstance(self.source, ArraySource) else 1

    def best(self, family: Family, starts: Start, least: float, tell: Tell = None) -> Found:
        """All together."""
        return self._top(family, starts, self._tried(family, starts), least, tell)

    def better(self, family: Family, starts: Start, least: float) -> Found | None:
        """All together."""
        at = self._tried(family, starts)
        return self._top(family, starts, at, -np.inf, None) if (self.few.log_likelihoods(at) > least).any() else None

    def climb(self, begin: Mixture, tell: Tell = None) -> Found:
        """Compiled, if that is the rule's way and no component collapses."""
        if self.whole:
            start = self.few.begin(Start.of(begin))
            at = self.few.run(begin.family, Start(*(array[None] for array in start)), self.max_iter, tol=self.tol)
            if not at.collapsed[0]:
                return self._found(begin.family, at, 0, tell)
        return super().climb(begin, tell)

    def _tried(self, family: Family, starts: Start) -> Standings:
        """The most promising after short runs, in order, and the likeliest, regular or not."""
        now, covariances = self.few.begin(starts), None
        for steps, kept in TRIED:
            at = self.few.run(family, now, steps, covariances)
            order, likeliest = self._order(at)[:kept], self._order(at, any_will_do=True)[:1]
            at = at.chosen(order if likeliest in order else np.append(order, likeliest))
            now, covariances = Start(at.counts, at.means, at.scatter), at.covariances
        return at

    def _order(self, at: Standings, least: float = -np.inf, any_will_do: bool = False) -> NDArray[np.intp]:
        """The best first: above the floor before others, regular and above `least` before others; rounding changes no order."""
        profile = self.scout.source.profile
        held = (at.counts * (profile.rows / profile.weight)).min(axis=1) >= self.source.D + 1 - 1e-9
        worthy = (held | (at.counts.shape[1] == 1)) & (self.few.log_likelihoods(at) > least + ROUNDING)
        return np.lexsort((-np.round(at.log_likelihoods, 8), ~(worthy | any_will_do), at.collapsed))

    def _top(self, family: Family, starts: Start, at: Standings, least: float, tell: Tell) -> Found:
        """From the best after short runs to the top."""
        if at.collapsed.all():  # what repairs then decides
            begun = [self.few.mixture(at, m, family) for m in range(len(at.counts)) if at.steps[m]]
            begun = begun or [self.mixture_of(family, starts, m) for m in range(min(len(starts.counts), TRIED[0][1]))]
            return super().climb(self._promising(begun), tell)
        if not self.whole:
            return super().climb(self.few.mixture(at, 0, family), tell)
        for steps in (min(NEAR, self.max_iter), self.max_iter):  # one goes on, should all creep
            climbed = self.few.run(family, Start(at.counts, at.means, at.scatter), steps, at.covariances, tol=self.tol)
            best = self._order(climbed, least)[:1]
            if climbed.collapsed[best[0]]:
                return super().climb(self.few.mixture(at, 0, family), tell)
            if climbed.converged[best[0]]:
                break
            at = climbed.chosen(best)
        return self._found(family, climbed, int(best[0]), tell)

    def _found(self, family: Family, at: Standings, m: int, tell: Tell) -> Found:
        """The fit that a compiled climb is, measured by a sweep."""
        mixture = self.few.mixture(at, m, family)
        seen = sweep(mixture, self.source, moment=MATRIX)
        kept = family.moment.keep(seen.second)
        statistics = replace(seen, moment=family.moment, pooled=family.pooled, second=kept.sum(axis=0) if family.pooled else kept)
        reached, steps = seen.mean_log_likelihood, int(at.steps[m])
        trace = (*map(float, self.few.log_likelihoods(at, at.trace[m, : steps - 1])), reached)
        change = reached - trace[-2] if steps > 1 else np.nan
        step = Step(steps - 1, mixture, statistics, reached, reached, change, ())
        if tell is not None:
            tell(step)
        converged = bool(at.converged[m])
        left = min(remaining_gain(trace[-4:]), self.tol) if converged else remaining_gain(trace[-4:])
        return Found(Fit(step, converged, left, steps - 1, trace, trace, ()), seen)


def climber_of(scout: Scout, source: Source, rule: Rule, regularisation: Regularisation, tol: float, max_iter: int) -> Climber:
    """The way that suits the rows."""
    suits = Compiled if Few.fits(scout.source) and isinstance(regularisation, Floor | Ridge) else SweepBySweep
    return suits(scout, source, rule, regularisation, tol, max_iter)
