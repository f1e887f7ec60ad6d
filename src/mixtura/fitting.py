"""The one loop: sweep, tell, update, again. `iterate` is the generator, `fit` exhausts it until the remaining gain is small."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking, checkpoints
from mixtura.blas import one_thread, with_one_thread
from mixtura.errors import DataError, InterruptionWarning, ParameterError, RepairWarning
from mixtura.families import Family
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Moment
from mixtura.progress import OfFit, shown
from mixtura.rules import EM, Event, Rule, Squarem, Update
from mixtura.sources import Source, Swept
from mixtura.statistics import Statistics
from mixtura.stopping import TREMBLE, noise, remaining_gain, settled

FAR = 1e7  # deviations of the rows: sums of squares about a point so far away keep two digits of their variance
WIDE = 1e40  # either way: beyond it the squares of variances leave float64, whatever the rows' units


@dataclass(frozen=True, eq=False)
class Step:
    """One turn of the loop: a mixture, and the statistics and likelihood of all rows measured at it.

    `log_likelihood` is the mean per row in nats. `objective` is what the rule climbs, also per row: the same, unless there is a prior.
    `change` is its gain over the step before (NaN at the start, whose number is 0), `events` what happened when this mixture was made,
    `remaining` what the rule itself expects the objective still to gain (None where it does not say), `state` what it knows besides.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> steps = mixtura.iterate(X, start)
    >>> for step in (next(steps), next(steps)):
    ...     print(step.number, round(step.log_likelihood, 3), step.mixture.means.round(1).ravel())
    0 -3.97 [-1.  1.]
    1 -2.082 [-2.8  3. ]
    """

    number: int
    mixture: Mixture
    statistics: Statistics
    log_likelihood: float
    objective: float
    change: float
    events: tuple[Event, ...]
    remaining: float | None = None
    state: Any = None


@dataclass(frozen=True, eq=False)
class Fit:
    """What a finished loop leaves: its best step, whether it converged, and likelihood, objective and (step, event) along the way.

    `remaining` is what the objective was estimated to have left to gain at the end, in nats per row; `interrupted`, whether Ctrl-C ended it.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> fit = mixtura.fit(X, mixtura.start(X, 2, random_state=0))
    >>> fit.mixture, fit.converged, fit.remaining < 1e-6
    (Mixture(2 components, 1 columns, family='full'), True, True)
    """

    best: Step
    converged: bool
    remaining: float
    n_steps: int
    log_likelihoods: tuple[float, ...]
    objectives: tuple[float, ...]
    events: tuple[tuple[int, Event], ...]
    interrupted: bool = False

    @property
    def mixture(self) -> Mixture:
        """The mixture of greatest objective: of greatest likelihood, unless there is a prior."""
        return self.best.mixture

    @property
    def log_likelihood(self) -> float:
        """Its mean log-likelihood per row, in nats."""
        return self.best.log_likelihood


def sweep(mixture: Mixture, data: Any, sample_weight: ArrayLike | None = None, *, moment: Moment | None = None) -> Statistics:
    """One E-step over all rows: the statistics of `data` at `mixture`.

    `data` is anything `mixtura.open` takes. `moment` asks for more second moments than the mixture's family needs (MATRIX keeps all, and
    makes D x D matrices of factors).
    Nothing of size rows x components is ever held.

    Raises DataError for rows that are not finite or not as wide as the mixture.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.sweep(mixture, [[-1.0], [1.0]]).counts
    array([1., 1.])
    """
    return _sweep(mixture.gaussians, mixture.family, mixture.source(data, sample_weight), moment)


@with_one_thread
def _sweep(gaussians: AnyGaussians, family: Family, source: Source, moment: Moment | None = None) -> Statistics:
    moment_kept = moment or family.moment
    pooled = family.pooled and moment is None
    common = family.one_scale or moment_kept.axes == 0
    frame = source.frame(common)
    task = Swept(gaussians, frame, source.dtype, (moment_kept, pooled))
    plan, statistics = task.plan, task.plan.statistics(source.reduce(task))
    statistics = plan.complete(statistics, source.everything(moment_kept, common) if plan.wants_total else None)
    if not math.isfinite(statistics.log_likelihood):
        raise DataError(
            f"the rows cannot be weighed by the mixture: got a log-likelihood of {statistics.log_likelihood}, expected a number; "
            "try a mixture that is nearer to the rows, or as wide as they are"
        )
    return statistics.translate(frame.centre, frame.scale)


def _check_start(start: Mixture, source: Source) -> None:
    """Raises ParameterError where sums about the means of the start lose the digits that tell rows apart, or its widths are of no use to them."""
    frame = source.frame(start.family.one_scale or start.family.moment.axes == 0)
    with np.errstate(over="ignore", under="ignore"):
        apart, widths = np.abs(start.means - frame.centre) / frame.scale, np.sqrt(start.variances) / frame.scale
    if apart.max() > FAR or widths.max() > WIDE or widths.min() < 1 / WIDE:
        raise ParameterError(
            f"the start does not fit the rows: got means up to {apart.max():.3g} deviations of the rows away from theirs, and {widths.min():.3g} to "
            f"{widths.max():.3g} times as wide, expected at most {FAR:.0e}, and {1 / WIDE:.0e} to {WIDE:.0e}; try mixtura.start"
        )


def _check_rule(rule: Any) -> None:
    if not isinstance(rule, Rule):
        raise ParameterError(f"rule is not usable: got {checking.short(rule)}, expected a Rule; try mixtura.rules.EM()")


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
    _check_rule(rule)
    source = start.source(data, sample_weight, n_jobs)
    _check_start(start, source)
    previous, now = math.nan, Update(start, rule.initial(start))
    for number in itertools.count():
        with one_thread():
            step = _measured(source, rule, now, number, previous)
        yield step  # while its caller looks at it, BLAS has its threads
        previous = step.objective
        with one_thread():
            if rule.batch_rows is None:
                now = rule.update(step.mixture, step.statistics, now.state)
            else:
                now = _pass(rule, source.batches(rule.batch_rows, [rule.seed, number]), now)


def _measured(source: Source, rule: Rule, now: Update, number: int, previous: float) -> Step:
    """The step of this number: where an update led, swept; the objective of the step before was `previous`."""
    mixture = rule.outcome(now.mixture, now.state)
    statistics = _sweep(rule.gaussians(mixture, now.state), mixture.family, source)
    objective = rule.objective(mixture, statistics, now.state)
    remaining = 0.0 if number == rule.passes else now.remaining
    log_likelihood = statistics.log_likelihood / statistics.weight
    return Step(number, mixture, statistics, log_likelihood, objective, objective - previous, now.events, remaining, now.state)


def _pass(rule: Rule, batches: Iterable[Source], now: Update) -> Update:
    """One pass of mini-batches, an update each; what happened in all of them, once."""
    events: dict[Event, None] = {}
    for batch in batches:
        statistics = _sweep(rule.gaussians(now.mixture, now.state), now.mixture.family, batch)
        now = rule.update(now.mixture, statistics, now.state)
        events.update(dict.fromkeys(now.events))
    return now._replace(events=tuple(events))


class Interrupted(KeyboardInterrupt):
    """The loop was interrupted, and came to this `fit` by then."""

    def __init__(self, fit: Fit):
        super().__init__(fit)
        self.fit = fit


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
    progress: bool = False,
    checkpoint: checkpoints.PathLike | None = None,
    checkpoint_every: str | float = "30s",
) -> Fit:
    """Runs the loop until the estimated remaining gain is below `tol` nats per row, or `max_steps` updates (passes of mini-batches) are done.

    `rule` is EM() by default, accelerated once it proves slow (rules.Squarem). The remaining gain of the objective is the rule's own
    estimate, or Aitken's: with a the ratio of the last two changes, change * a / (1 - a) (Boehning et al. 1994). A loop that creeps is thus
    not taken for one that has arrived. A rule that ends after so many passes is done then. Warns (RepairWarning, once) where components had
    to be repaired.

    `on_step` is called with each Step. `progress` shows the same: bars on a terminal (stderr) and in a notebook, a plain line now and then elsewhere.

    `checkpoint` is a folder in which the fit is kept: killed at any moment and called again with the same arguments, it goes on and ends with the
    bits of a fit that nothing disturbed. What each pass over the rows gives is written there as soon as it is known, and is on the disk within
    `checkpoint_every` (seconds, or "30s", "5m", "1h"); so often the best mixture so far is written too, as model.safetensors.

    An interrupt (Ctrl-C) ends the fit, not what it found: the best step by then is given, with `interrupted` True and an InterruptionWarning;
    before the first step is complete it is raised.

    Raises ParameterError for numbers that make no sense and a checkpoint of another fit, DataError for rows that cannot be fitted, FileError for a
    checkpoint that cannot be written or is in use.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> fit = mixtura.fit(X, mixtura.start(X, 2, random_state=0), rule=mixtura.rules.EM(), tol=1e-8, progress=True)
    >>> fit.mixture.weights.round(2)
    array([0.5, 0.5])
    """
    checking.number("tol", tol, "a number >= 0 in nats per row", lambda tol: tol >= 0, 1e-6)
    checking.whole("max_steps", max_steps, 0, 1000)
    rule = Squarem(EM(), tol=tol) if rule is None else rule
    _check_rule(rule)
    source = start.source(data, sample_weight, n_jobs)
    call = {"function": "mixtura.fit", "start": start, "rule": rule, "tol": tol, "max_steps": max_steps}
    kept_there = checkpoints.opened(checkpoint, checkpoint_every, source, call)
    with one_thread(), shown(progress, OfFit(max_steps), source, on_step) as tell, kept_there as kept:

        def told(step: Step) -> None:
            kept.offer(step.objective, step.mixture)
            if tell is not None:
                tell(step)

        try:
            run = climb(kept.source, start, rule, tol=tol, max_steps=max_steps, on_step=told)
        except Interrupted as interrupted:
            run = interrupted.fit
        kept.finish(run.mixture)
    if repairs := [f"step {number}: {event.message}" for number, event in run.events if event.kind == "repair"]:
        more = f" (and {len(repairs) - 1} more repairs)" if len(repairs) > 1 else ""
        warnings.warn(f"a component was repaired: {repairs[0]}{more}; try fewer components or a simpler family", RepairWarning, stacklevel=2)
    if run.interrupted:
        warnings.warn(interruption(run.n_steps, kept), InterruptionWarning, stacklevel=2)
    return run


def interruption(steps: int, kept: checkpoints.Unkept, where: str = "") -> str:
    """What is said of a fit that was interrupted after so many steps."""
    return f"the fit was interrupted: got {steps} step{'s' * (steps != 1)}{where}, expected convergence; {kept.kept_where}"


@with_one_thread
def climb(source: Source, start: Mixture, rule: Rule, *, tol: float, max_steps: int, on_step: Callable[[Step], object] | None = None) -> Fit:
    """The loop of `fit`, on a source. Raises Interrupted where an interrupt comes after the first step; nothing is warned of."""
    best: Step | None = None
    steps: list[tuple[float, float]] = []
    told: list[tuple[int, Event]] = []
    remaining = math.inf
    last_events: tuple[Event, ...] = ()
    interrupted = False
    try:
        for step in itertools.islice(iterate(source, start, rule), max_steps + 1):
            if on_step is not None:
                on_step(step)
            steps.append((step.log_likelihood, step.objective))
            told += [(step.number, event) for event in step.events if event not in last_events]
            last_events = step.events
            # the later one of two that differ by rounding, or the rounding would choose
            if best is None or step.objective >= best.objective - noise(best.objective):
                best = step
            remaining = _remaining([objective for _, objective in steps[-4:]], step.remaining, TREMBLE[source.dtype.itemsize])
            if remaining <= tol:
                break
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    assert best is not None
    log_likelihoods, objectives = zip(*steps, strict=True)
    converged = remaining <= tol and not interrupted
    run = Fit(best, converged, remaining, len(steps) - 1, log_likelihoods, objectives, tuple(told), interrupted)
    if interrupted:
        raise Interrupted(run)
    return run


def _remaining(trace: Sequence[float], told: float | None, tremble: float) -> float:
    """What the objective has left to gain: what the rule says, or Aitken's estimate.

    A rule that says it may aim too far and take a step back, which is no trembling.
    """
    if told is None:
        return remaining_gain(trace, tremble)
    return 0.0 if settled(trace, tremble=0.0) else told
