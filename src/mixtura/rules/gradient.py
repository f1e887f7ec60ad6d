"""Gradient ascent: steps along the exact gradient of the mean log-likelihood, in coordinates where every step is a valid mixture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules.coordinates import Chart, check_free
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.maximising import suited
from mixtura.rules.optimizers import OPTIMIZERS, Optimizer
from mixtura.rules.rule import Event, Rule, Update
from mixtura.rules.schedules import Schedule
from mixtura.statistics import Statistics

LONGEST = 1.0  # along any coordinate: a deviation of the data, or a factor e in the deviation of a component
ROUNDING = 1e-12  # of the log-likelihood: falls below it are none
WINDOW = 10  # steps that momentum lasts for: the climb is judged by as many together, since it ripples
CLEAN = 4 * WINDOW  # steps without a fall before a halved rate is doubled again: longer than the estimate of what is left takes


@dataclass(frozen=True)
class GradientAscent(Rule):
    """Steps along the exact gradient of the mean log-likelihood: theta <- theta + learning_rate * direction(dl/dtheta).

    theta are the logits of the weights, the means in units of the data's deviations, and the log-Cholesky factors of the standardised
    covariances, so every step is a valid mixture and no step needs a projection. `optimizer` says what becomes of the gradient: "sgd" takes it
    as it is, "momentum" (Nesterov's) gathers speed, "adam" gives every coordinate a step of its own; see OPTIMIZERS. `learning_rate` is a number
    without units, a Schedule, or any function of the number of the update; None is the optimizer's own. For "sgd" that is the textbook's
    1e-3, which is slow: 0.1 to 1 usually climbs well.

    With all rows a step, one that lowers the likelihood is taken back and told as a note. The memory of earlier steps is forgotten (function
    restart: O'Donoghue & Candes 2015, "Adaptive restart for accelerated gradient schemes", Foundations of Computational Mathematics 15); where
    the step drew on none, the rate is halved, and doubled again after a long stretch without a fall. With mini-batches of `batch_rows` rows,
    drawn anew by `seed` for each pass, nothing is taken back: the likelihood of one batch says nothing of the next. Give these a rate that
    fades, and a number of `passes`. A covariance that collapses is held at the floor.

    Raises ParameterError for an unknown optimizer, unless learning_rate > 0, unless batch_rows and passes are None or integers >= 1, and for
    families whose components share part of their covariances.

    >>> import numpy as np, mixtura
    >>> from mixtura.rules import GradientAscent, Power
    >>> X = np.random.default_rng(0).normal(size=(5_000, 1)) + np.repeat([[-3.0], [3.0]], 2_500, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> best = mixtura.fit(X, start).log_likelihood
    >>> whole = mixtura.fit(X, start, GradientAscent(optimizer="adam"))
    >>> batches = mixtura.fit(X, start, GradientAscent(Power(0.2), "adam", batch_rows=100, passes=4))
    >>> bool(abs(whole.log_likelihood - best) < 1e-5), bool(abs(batches.log_likelihood - best) < 1e-3)
    (True, True)
    """

    learning_rate: float | Schedule | Callable[[int], float] | None = None
    optimizer: str = "sgd"
    batch_rows: int | None = None
    passes: int | None = None
    seed: int = 0
    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def __post_init__(self) -> None:
        checking.word("optimizer", self.optimizer, OPTIMIZERS, "adam")
        if self.learning_rate is not None and not callable(self.learning_rate):
            checking.number("learning_rate", self.learning_rate, "a number > 0, a Schedule or None", lambda rate: 0 < rate < np.inf, 0.1)
        for name in ("batch_rows", "passes"):
            if getattr(self, name) is not None:
                checking.whole(name, getattr(self, name), 1)
        checking.whole("seed", self.seed, 0)

    def initial(self, mixture: Mixture) -> _State:
        """No mixture accepted yet, nothing remembered, the full rate."""
        check_free(mixture, "GradientAscent")
        Fixed.of(self.fixed).check(mixture)
        return _State()

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: _State) -> Update:
        """One step uphill: from the best mixture so far, or from where the mini-batch was weighed."""
        statistics = suited(mixture, statistics)
        ground = state.ground or _Ground(Chart.of(statistics, Fixed.of(self.fixed)), statistics.data_covariance)
        state = state._replace(ground=ground)
        if self.batch_rows is not None:
            return self._step(mixture, statistics, state, ground)
        events: tuple[Event, ...] = ()
        if state.accepted is not None and _fell(statistics, state.accepted.statistics):
            mixture, statistics = state.accepted
            state, told = self._taken_back(state)
            events = (Event("note", f"the likelihood fell: step taken back, {told}"),)
        else:
            climbed = (*state.climbed[-3 * WINDOW :], statistics.log_likelihood / statistics.weight)
            state = state._replace(accepted=_Accepted(mixture, statistics), climbed=climbed, clean=state.clean + 1)
            if state.share < 1 and state.clean > CLEAN:
                state = state._replace(share=min(1.0, 2 * state.share), clean=0)
        step = self._step(mixture, statistics, state, ground)
        remaining = None if step.state.memory is None else _left(state.climbed)
        return step._replace(events=events + step.events, remaining=remaining)

    def _taken_back(self, state: _State) -> tuple[_State, str]:
        """Without what the step remembered of those before; where it remembered nothing, it was too long."""
        if state.drew_on_memory:
            return state._replace(memory=None), "earlier steps forgotten"
        # shorter steps gain less: what was climbed before says nothing of what is left
        state = state._replace(memory=None, share=state.share / 2, climbed=(), clean=0)
        return state, f"learning rate halved to {self._rate(state):g}"

    def _step(self, mixture: Mixture, statistics: Statistics, state: _State, ground: _Ground) -> Update:
        """Along the optimizer's direction, no further than LONGEST in any coordinate, and not below the floor; nowhere beyond float64."""
        here, uphill = ground.chart.to_coordinates(mixture), ground.chart.gradient(mixture, statistics).flat
        optimizer = self._optimizer
        direction, memory = optimizer.update(uphill, optimizer.init(uphill) if state.memory is None else state.memory)
        there = here.like(here.flat + np.clip(self._rate(state) * direction, -LONGEST, LONGEST))
        state = state._replace(updates=state.updates + 1)
        try:
            moved, events = self._held(ground.chart.from_coordinates(there, mixture), ground)
            ground.chart.to_coordinates(moved)  # the next step begins there
        except (ParameterError, np.linalg.LinAlgError):
            state = state._replace(memory=None, share=state.share / 2)
            return Update(mixture, state, (Event("note", f"a step left float64 and was not made, learning rate halved to {self._rate(state):g}"),))
        return Update(moved, state._replace(memory=memory, drew_on_memory=state.memory is not None), events)

    def _held(self, moved: Mixture, ground: _Ground) -> tuple[Mixture, tuple[Event, ...]]:
        covariances, collapsed = self.regularisation.apply(moved.family, moved.covariances, ground.covariance)
        covariances = Fixed.of(self.fixed).keep_covariances(covariances, moved.covariances)
        if not collapsed.any() or np.array_equal(covariances, moved.covariances):
            return moved, ()
        held = Mixture(moved.weights, moved.means, covariances, moved.family)
        return held, (Event("repair", "a covariance collapsed and was held at the floor"),)

    @property
    def _optimizer(self) -> Optimizer:
        return OPTIMIZERS[self.optimizer]

    def _rate(self, state: _State) -> float:
        """The rate of this update, less what falls have cost it.

        Raises ParameterError where the caller's function answers anything but a number >= 0.
        """
        rate = self._optimizer.rate if self.learning_rate is None else self.learning_rate
        if callable(rate):
            rate = rate(state.updates)
            checking.number(f"learning_rate({state.updates})", rate, "a number >= 0", lambda rate: 0 <= rate < np.inf, "a rules.Power schedule")
        return rate * state.share


class _Ground(NamedTuple):
    """What the first statistics said of the data, kept so that coordinates mean the same at every step: the chart, and the covariance."""

    chart: Chart
    covariance: Array


class _Accepted(NamedTuple):
    """The last mixture that the likelihood accepted, and its statistics."""

    mixture: Mixture
    statistics: Statistics


class _State(NamedTuple):
    """The ground; what the likelihood accepted, and the last values it had; the optimizer's memory, and whether the last step drew on it.

    `updates` is how many there were, `share` what falls have left of the rate, `clean` the accepted steps since that last changed.
    """

    ground: _Ground | None = None
    accepted: _Accepted | None = None
    climbed: tuple[float, ...] = ()
    memory: Any = None
    drew_on_memory: bool = False
    updates: int = 0
    share: float = 1.0
    clean: int = 0


def _fell(now: Statistics, before: Statistics) -> bool:
    drop = before.log_likelihood / before.weight - now.log_likelihood / now.weight
    return not drop <= ROUNDING * max(1.0, abs(before.log_likelihood / before.weight))


def _left(climbed: tuple[float, ...]) -> float:
    """What is left to gain if further `WINDOW`s of steps shrink their gains as the last three did, by the larger of the two factors (Aitken)."""
    if len(climbed) <= 3 * WINDOW:
        return math.inf
    first, second, third = (climbed[-1 - w * WINDOW] - climbed[-1 - (w + 1) * WINDOW] for w in (2, 1, 0))
    factor = max(third / second, second / first) if min(first, second) > 0 else 1.0
    return third * factor / (1 - factor) if factor < 1 else math.inf
