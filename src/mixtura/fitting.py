"""The one loop: sweep, tell, update, again. `iterate` is the generator, `fit` exhausts it until the remaining gain is small."""

from __future__ import annotations

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from mixtura.errors import ParameterError, RepairWarning
from mixtura.kernels import Plan
from mixtura.mixture import Mixture
from mixtura.moments import Moment
from mixtura.rules import EM, Event, Rule
from mixtura.statistics import Statistics

NOISE = 8 * sys.float_info.epsilon  # relative changes of the likelihood below this are rounding
TREMBLE = {8: 1e-10, 4: 1e-6}  # so are those, by bytes of a number, that go up and down: covariances at the floor are ill-conditioned


@dataclass(frozen=True, eq=False)
class Step:
    """One turn of the loop: a mixture, and the statistics and likelihood measured at it.

    `log_likelihood` is the mean per row in nats, `change` its gain over the step before (NaN at the start, whose number is 0), `events`
    what happened when this mixture was made.
    """

    number: int
    mixture: Mixture
    statistics: Statistics
    log_likelihood: float
    change: float
    events: tuple[Event, ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """What a finished loop leaves: its best step, whether it converged, and the likelihood and (step, event) along the way."""

    best: Step
    converged: bool
    n_steps: int
    log_likelihoods: tuple[float, ...]
    events: tuple[tuple[int, Event], ...]

    @property
    def mixture(self) -> Mixture:
        """The mixture of greatest likelihood."""
        return self.best.mixture

    @property
    def log_likelihood(self) -> float:
        """Its mean log-likelihood per row, in nats."""
        return self.best.log_likelihood


def sweep(mixture: Mixture, data: Any, sample_weight: ArrayLike | None = None, *, moment: Moment | None = None) -> Statistics:
    """One E-step over all rows: the statistics of `data` at `mixture`.

    `data` is anything `mixtura.open` takes. `moment` asks for more second moments than the mixture's family needs (MATRIX keeps all).
    Nothing of size rows x components is ever held.

    Raises DataError for rows that are not finite or not as wide as the mixture.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.sweep(mixture, [[-1.0], [1.0]]).counts
    array([1., 1.])
    """
    source = mixture.source(data, sample_weight)
    moment_kept = moment or mixture.family.moment
    pooled = mixture.family.pooled and moment is None
    common = mixture.family.moment.axes == 0 or moment_kept.axes == 0
    frame = source.frame(common)
    plan = Plan(mixture.gaussians, frame, source.dtype, (moment_kept, pooled))
    statistics = plan.statistics(source.reduce(lambda block: plan.sweep(block.rows, block.weights)))
    statistics = plan.complete(statistics, source.everything(moment_kept, common) if plan.wants_total else None)
    return statistics.translate(frame.centre, frame.scale)


def iterate(
    data: Any, start: Mixture, rule: Rule | None = None, *, sample_weight: ArrayLike | None = None, n_jobs: int | None = None
) -> Iterator[Step]:
    """The loop, one `Step` a turn, for ever: take as many as you like.

    `rule` is EM() by default. The first step is the start itself.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> start = mixtura.start(X, 2, random_state=0)
    >>> for step in mixtura.iterate(X, start):
    ...     if step.number == 3:
    ...         break
    >>> bool(step.change > 0)
    True
    """
    rule = EM() if rule is None else rule
    source = start.source(data, sample_weight, n_jobs)
    mixture, state, previous = start, rule.initial(start), math.nan
    events: tuple[Event, ...] = ()
    for number in itertools.count():
        statistics = sweep(mixture, source)
        log_likelihood = statistics.log_likelihood / statistics.weight
        yield Step(number, mixture, statistics, log_likelihood, log_likelihood - previous, events)
        previous = log_likelihood
        mixture, state, events = rule.update(mixture, statistics, state)


def fit(
    data: Any,
    start: Mixture,
    rule: Rule | None = None,
    *,
    tol: float = 1e-6,
    max_steps: int = 1000,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    on_step: Callable[[Step], object] | None = None,
) -> Fit:
    """Runs the loop until the estimated remaining gain is below `tol` nats per row, or `max_steps` updates are done.

    The remaining gain is Aitken's: with a the ratio of the last two changes, change * a / (1 - a) (Boehning et al. 1994). A loop that
    creeps is thus not taken for one that has arrived. Warns (RepairWarning, once) where components had to be repaired.
    """
    if not tol >= 0:
        raise ParameterError(f"tol is not usable: got {tol!r}, expected a number >= 0 in nats per row; try 1e-6")
    if not max_steps >= 0:
        raise ParameterError(f"max_steps is not usable: got {max_steps!r}, expected an integer >= 0; try 1000")
    source = start.source(data, sample_weight, n_jobs)
    steps = iterate(source, start, rule)
    best, trace, told, converged = None, [], [], False
    last_events: tuple[Event, ...] = ()
    for step in itertools.islice(steps, max_steps + 1):
        if on_step is not None:
            on_step(step)
        trace.append(step.log_likelihood)
        told += [(step.number, event) for event in step.events if event not in last_events]
        last_events = step.events
        # the later one of two that differ by rounding, or the rounding would choose
        if best is None or step.log_likelihood >= best.log_likelihood - _noise(best.log_likelihood):
            best = step
        if remaining_gain(trace, TREMBLE[source.dtype.itemsize]) <= tol:
            converged = True
            break
    assert best is not None
    if repairs := [f"step {number}: {event.message}" for number, event in told if event.kind == "repair"]:
        more = f" (and {len(repairs) - 1} more repairs)" if len(repairs) > 1 else ""
        warnings.warn(f"a component was repaired: {repairs[0]}{more}; try fewer components or a simpler family", RepairWarning, stacklevel=2)
    return Fit(best, converged, len(trace) - 1, tuple(trace), tuple(told))


def remaining_gain(trace: Sequence[float], tremble: float = TREMBLE[8]) -> float:
    """How much the likelihood will still rise, estimated from its last changes; infinite while they do not tell.

    Changes of either sign, all below `tremble` (relative), are rounding: nothing is left to gain.

    >>> remaining_gain([-8.0, -4.0, -2.0, -1.0])
    1.0
    """
    if len(trace) < 3:
        return math.inf
    changes = [after - before for before, after in itertools.pairwise(trace[-4:])]
    noise = _noise(trace[-1])
    if abs(changes[-1]) <= noise and abs(changes[-2]) <= noise:
        return 0.0
    if len(changes) < 3:
        return math.inf
    if min(changes) <= 0:
        return 0.0 if max(map(abs, changes)) <= tremble * max(1.0, abs(trace[-1])) else math.inf
    ratio = max(changes[2] / changes[1], changes[1] / changes[0])
    return changes[2] * ratio / (1 - ratio) if ratio < 1 else math.inf


def _noise(log_likelihood: float) -> float:
    return NOISE * max(1.0, abs(log_likelihood))
