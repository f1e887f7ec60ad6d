"""SQUAREM: longer steps where EM creeps, at the price of EM's own passes (Varadhan & Roland 2008, Scandinavian Journal of Statistics 35, 335-353).

    p1 = F(p), p2 = F(p1)        r = p1 - p, v = (p2 - p1) - r        a = |r| / |v|        p' = p + 2a r + a^2 v, then F once more

in the coordinates of `coordinates.Chart`. Near an optimum EM shrinks the error by a factor along each direction; with a = 1 / (1 - factor) the
extrapolation removes the slowest. It is taken back where the objective falls below that of p1, or the step F(p') - p' is more than twice r:
then the error there is not what was aimed at, and the climb would end on another top.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.rules.coordinates import Chart
from mixtura.rules.em import EM
from mixtura.rules.fixed import Fixed
from mixtura.rules.maximising import suited
from mixtura.rules.posterior_mode import MAP
from mixtura.rules.rule import Event, Rule, Update
from mixtura.statistics import Statistics
from mixtura.stopping import remaining_gain

ROUNDING = 1e-13  # of the objective: falls below it are none
REST, LONGEST_REST = 6, 60  # plain steps that make sure: the fast directions need some to die down
STEADY = 0.9  # of one less the ratio of two gains: what it keeps from step to step once one direction is left
FLAT = 0.9999  # the ratio of gains that counts where they do not fall: a saddle point is being left
LEAST = 1e-15  # nats per row: what float64 can tell
WANDERING = 2.0  # times the rule's own steps: what its next one may be after an extrapolation
PATIENCE = 10  # steps before anything is called slow: the first ones find the components
SLOW = 0.5  # of its last gain: EM whose steps gain more than that creeps
LONGEST, GROWTH = 4.0, 4.0  # a is cut there at first; the bound grows when it was met and good, and shrinks when it was met and bad


@dataclass(frozen=True)
class Squarem(Rule):
    """`rule`, EM or MAP, accelerated once it proves slow: about a third of the sweeps where components overlap, and the same optimum.

    The same in all but rare cases: of 1,100 small problems (the recipe of tests/test_rules.py with the six usual families, half of them from bad
    starts) four ended on a lower top than EM's and one on a higher, the four all from bad starts.

    The rule runs as it is for `patience` steps, and on until a step gains more than half of what the last one gained. From then on two of its
    steps aim a third, which is kept only where the objective does not fall and the rule's next step is not much longer than its last: near an
    optimum they shorten. A step aimed too far is told as a note.

    Acceleration reaches saddle points too, more exactly than plain steps would, which leave them in the end. So where less than `tol` nats per row
    seem to be left, some plain steps make sure before the loop may stop; what they find, and not what was aimed, is what counts.

    Raises ParameterError for a rule that is neither EM nor MAP, and unless patience is an integer >= 0 and tol >= 0.

    >>> import mixtura
    >>> mixtura.rules.Squarem(mixtura.rules.MAP()).rule.prior
    'weak'
    """

    rule: EM | MAP = field(default_factory=EM)
    patience: int = PATIENCE
    tol: float = 1e-6

    def __post_init__(self) -> None:
        if not isinstance(self.rule, EM | MAP):
            raise ParameterError(f"this rule cannot be accelerated: got {self.rule!r}, expected EM or MAP; try the rule itself")
        checking.whole("patience", self.patience, 0, PATIENCE)
        checking.number("tol", self.tol, "a number >= 0 in nats per row", lambda tol: tol >= 0, 1e-6)

    def initial(self, mixture: Mixture) -> _State:
        """The rule's own state; nothing known to be slow."""
        return _State(self.rule.initial(mixture), doubted=max(self.tol, LEAST))

    def n_parameters(self, mixture: Mixture) -> int:
        """Those that the rule is free to choose."""
        return self.rule.n_parameters(mixture)

    def objective(self, mixture: Mixture, statistics: Statistics, state: _State) -> float:
        """The rule's."""
        return self.rule.objective(mixture, statistics, state.inner)

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: _State) -> Update:
        """A step of the rule, or one aimed by the last two."""
        statistics = suited(mixture, statistics)
        reached = self.objective(mixture, statistics, state)
        if state.aim is not None and not reached >= state.aim.least - ROUNDING * max(1.0, abs(reached)):
            return _taken_back(state, state.aim)
        step = self.rule.update(mixture, statistics, state.inner)
        state = state._replace(inner=step.state)
        if state.aim is not None:  # this was the pass that stabilises
            if _distance(mixture, step.mixture, self._chart(statistics)) > WANDERING * state.aim.residual:
                return _taken_back(state, state.aim)
            longest = state.longest * (GROWTH if state.aim.length >= state.longest else 1)
            return step._replace(state=state._replace(aim=None, longest=longest), remaining=math.inf)
        if step.events:  # a component was repaired: what was learnt of the pace is void
            return step._replace(state=_State(step.state, doubted=state.doubted))
        if not state.slow:
            state = state._replace(climbed=(*state.climbed, reached))
            if len(state.climbed) <= max(self.patience, 2) or not _creeps(state.climbed):
                return step._replace(state=state)
        if state.resting:
            return _rested(step, state, reached)
        if state.base is None:
            return step._replace(state=state._replace(slow=True, base=_Base(mixture, reached)), remaining=math.inf)
        return self._aimed(mixture, reached, statistics, step, state, state.base)

    def _aimed(self, mixture: Mixture, reached: float, statistics: Statistics, step: Update, state: _State, base: _Base) -> Update:
        """Extrapolates from the base, this mixture and the step from here; the step itself where that leads nowhere."""
        chart = self._chart(statistics)
        p, p1, p2 = (chart.to_coordinates(one).flat for one in (base.mixture, mixture, step.mixture))
        r, v = p1 - p, (p2 - p1) - (p1 - p)
        pace = float(np.linalg.norm(r) / max(np.linalg.norm(v), np.finfo(float).tiny))
        state = state._replace(base=None, cycles=state.cycles + 1, slowest=max(state.slowest, pace))
        if state.cycles > 1 and _left(reached - base.reached, state.slowest) <= state.doubted:
            return step._replace(state=state._replace(resting=(reached,)), remaining=math.inf)
        length = min(pace, state.longest)
        if length <= 1:
            return step._replace(state=state._replace(longest=max(state.longest, LONGEST)), remaining=math.inf)
        there = self._at(p + 2 * length * r + length**2 * v, chart, mixture, statistics)
        if there is None:
            return step._replace(state=state, remaining=math.inf)
        return Update(there, state._replace(aim=_Aim(step.mixture, reached, length, float(np.linalg.norm(r)))), (), math.inf)

    def _chart(self, statistics: Statistics) -> Chart:
        return Chart.of(statistics, Fixed.of(self.rule.fixed))

    def _at(self, coordinates: Array, chart: Chart, mixture: Mixture, statistics: Statistics) -> Mixture | None:
        """The mixture at these coordinates; None where that is none, or has a covariance that collapsed."""
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                there = chart.from_coordinates(chart.to_coordinates(mixture).like(coordinates), mixture)
            except ParameterError:
                return None
        low = self.rule.regularisation.apply(there.family, there.covariances, statistics.data_covariance)[1]
        return None if low.any() else there


class _Base(NamedTuple):
    """Where a cycle begins, and the objective there."""

    mixture: Mixture
    reached: float


class _Aim(NamedTuple):
    """What an extrapolation must not fall below, the step to go on with where it does, how far it went, and how long the rule's own steps were."""

    instead: Mixture
    least: float
    length: float
    residual: float


class _State(NamedTuple):
    """The rule's state; the objectives of its plain steps, and whether they creep; where this cycle stands; how long the next aim may be.

    `slowest` is the greatest pace of these cycles; `doubted` the estimate of what is left below which plain steps make sure; `resting` the
    objectives of those, and `sure` that they told what is left.
    """

    inner: Any
    climbed: tuple[float, ...] = ()
    slow: bool = False
    base: _Base | None = None
    aim: _Aim | None = None
    longest: float = LONGEST
    cycles: int = 0
    slowest: float = 1.0
    doubted: float = math.inf
    resting: tuple[float, ...] = ()
    sure: bool = False


def _distance(one: Mixture, other: Mixture, chart: Chart) -> float:
    return float(np.linalg.norm(chart.to_coordinates(other).flat - chart.to_coordinates(one).flat))


def _taken_back(state: _State, aim: _Aim) -> Update:
    shorter = state._replace(aim=None, longest=max(1.0, aim.length / GROWTH))
    return Update(aim.instead, shorter, (Event("note", f"a step of {aim.length:.3g} aimed too far and was taken back"),), math.inf)


def _rested(step: Update, state: _State, reached: float) -> Update:
    """A plain step to make sure. Once gains shrink steadily the loop may judge by them (`remaining` None); if it goes on, so does acceleration."""
    resting = (*state.resting, reached)
    if state.sure or len(resting) > LONGEST_REST:
        return step._replace(state=_awake(state, resting), remaining=math.inf)
    sure = len(resting) >= REST and _steady(resting)
    return step._replace(state=state._replace(resting=resting, sure=sure), remaining=None if sure else math.inf)


def _awake(state: _State, resting: tuple[float, ...]) -> _State:
    """Accelerating again: either the loop wants less than is left here, or the plain steps found a slower direction than any before."""
    state = state._replace(resting=(), sure=False)
    left = remaining_gain(resting)
    if left <= state.doubted:
        return state._replace(doubted=max(left / 10, LEAST))
    factor = min(max(_ratios(resting)[1], 0.0), FLAT)
    return state._replace(slowest=max(state.slowest, 1 / (1 - factor**0.5)))


def _ratios(objectives: tuple[float, ...]) -> tuple[float, float]:
    """The last two ratios of a gain to the one before; FLAT where there was none."""
    gains = [after - before for before, after in itertools.pairwise(objectives[-4:])]
    return tuple(now / before if before > 0 else FLAT for before, now in itertools.pairwise(gains))  # type: ignore[return-value]


def _steady(objectives: tuple[float, ...]) -> bool:
    """Whether the gains shrink by one ratio, so that the slowest direction is what is left; while it rises, a slower one is still to show."""
    before, now = _ratios(objectives)
    return 1 - now > STEADY * (1 - before)


def _creeps(climbed: tuple[float, ...]) -> bool:
    before, then, now = climbed[-3:]
    return now - then > SLOW * (then - before) > 0


def _left(gain: float, slowest: float) -> float:
    """What EM has left to gain at most after a step that gained so much, if no direction is slower than this pace.

    Where EM shrinks the error by 1 - 1 / pace a step, the gain shrinks by its square. The slowest pace so far counts, since an extrapolation may
    just have removed most of that direction's error, so that the next step shows little of it.
    """
    factor = (1 - 1 / slowest) ** 2
    return max(gain, 0.0) * factor / (1 - factor)
