"""What SciPy's L-BFGS-B calls: value and gradient where it asks, no for an answer where it goes too far, and an estimate of what is left to gain."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mixtura.moments import Array
from mixtura.rules.metric import Metric

LONGEST = 2.0  # along any coordinate of the chart: two deviations of the data, or a factor e^2 in the deviation of a component
SHORTER = 0.4  # of a step that is refused, at most: a parabola with its top there is lower at the end than at the beginning
FAR = 1.0  # from the metric's origin, along any coordinate, unit or chart's: information has changed there
CAUTION = 4  # of the last decrements the largest counts: on a plateau one or two may be small before the next direction is found
WINDOW = 4  # iterations over which the pace is measured, and before which nothing is known of it
ROUNDING = 8 * sys.float_info.epsilon  # of the log-likelihood: gains below it are none
FLAT = 1e-12  # nats per row and unit: a gradient below it is rounding


class Question(NamedTuple):
    """Where value and gradient are wanted, in the chart's coordinates (P,), and what is left to gain there: infinite within a line search."""

    at: Array
    remaining: float


class Answer(NamedTuple):
    """The mean log-likelihood, and its gradient by the chart's coordinates (P,)."""

    value: float
    uphill: Array


Ask = Callable[[Question], Answer | None]  # None refuses


class Top(NamedTuple):
    """Where a climb ended, in the chart's coordinates (P,), and whether it is an optimum, or only so far that another metric is due."""

    at: Array
    optimal: bool


def climb(ask: Ask, metric: Metric, lowest: Array, memory: int) -> Top:
    """From the metric's origin to an optimum, or to where it ceases to be near; asks once an evaluation. `lowest` (P,) bounds unit coordinates.

    >>> from mixtura.rules.coordinates import Coordinates
    >>> unit = Metric(Coordinates(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1))), np.ones(1), np.ones((1, 1)), np.ones((1, 1)))
    >>> top = np.array([0.3, 0.5, -0.2])
    >>> climb(lambda question: Answer(-((question.at - top) ** 2).sum(), 2 * (top - question.at)), unit, np.full(3, -np.inf), 10)
    Top(at=array([ 0.3,  0.5, -0.2]), optimal=True)
    """
    from scipy.optimize import minimize  # a fifth of a second to import

    options = {"maxcor": memory, "maxiter": sys.maxsize, "maxfun": sys.maxsize, "ftol": ROUNDING, "gtol": FLAT}
    bounds = [(low if np.isfinite(low) else None, None) for low in lowest]
    line = _Line(ask, metric)
    minimize(line.minus, np.zeros(lowest.shape), jac=True, method="L-BFGS-B", bounds=bounds, callback=line.accept, options=options)
    return Top(line.best.at, not line.ended)


class _Trial(NamedTuple):
    """A point in the metric's coordinates and the chart's, and what was answered there."""

    unit: Array
    at: Array
    answer: Answer


class _Line:
    """The line being searched: where it begins, its last trial, and the best trial of all."""

    origin: _Trial
    last: _Trial
    best: _Trial

    def __init__(self, ask: Ask, metric: Metric):
        self.ask, self.metric = ask, metric
        self.decrements: list[float] = []
        self.begins = False  # whether the next trial is the first of a line
        self.ended = False

    def accept(self, unit: Array) -> None:
        """The next line begins at this trial. Ends SciPy's run where it is one that was refused, and where it is far from the metric's origin."""
        if not np.array_equal(unit, self.last.unit) or max(np.abs(unit).max(), np.abs(self.last.at - self.metric.outward(0 * unit)).max()) > FAR:
            self.ended = True
            raise StopIteration
        self.origin, self.begins = self.last, True

    def minus(self, unit: Array) -> tuple[float, Array]:
        """Minus the mean log-likelihood and its gradient, or a parabola that says no."""
        at, remaining, fraction = self.metric.outward(unit), math.inf, 1.0
        if self.begins:
            self.begins = False
            step = at - self.origin.at
            self.decrements.append(float(self.origin.answer.uphill @ step) / 2)
            remaining = left(self.decrements)
            fraction = LONGEST / max(LONGEST, float(np.abs(step).max()))
        answer = self.ask(Question(at, remaining)) if fraction == 1 else None
        if answer is None:
            return self._refusal(at, min(fraction, SHORTER))
        self.last = _Trial(unit.copy(), at, answer)
        if not hasattr(self, "origin"):
            self.origin = self.best = self.last
        if answer.value >= self.best.answer.value:
            self.best = self.last
        return -answer.value, -self.metric.inward(answer.uphill)

    def _refusal(self, at: Array, fraction: float) -> tuple[float, Array]:
        """Minus a parabola along the line, with value and slope of its origin and the top at this fraction of the way: there the search goes next."""
        value, uphill = self.origin.answer
        way = at - self.origin.at
        slope = float(uphill @ way)
        bend = -slope / fraction
        return -(value + slope + bend / 2), -self.metric.inward(uphill + way * (bend / float(way @ way)))


def left(decrements: list[float]) -> float:
    """What is left to gain after these Newton decrements, in nats per row: the largest of the last few, and as much more as their pace promises.

    A decrement sees the directions that the memory knows; where it is short, decrements shrink by a factor an iteration, and add up.

    >>> left([2.0**-t for t in range(8)])
    0.125
    """
    if len(decrements) <= WINDOW + 1:
        return math.inf
    now, before = max(decrements[-CAUTION:]), max(decrements[-CAUTION - WINDOW : -WINDOW])
    pace = (now / before) ** (1 / WINDOW) if before > now > 0 else 1.0
    return now / (1 - pace) if pace < 1 else math.inf
