"""L-BFGS: quasi-Newton steps along the exact gradient (Liu & Nocedal 1989, Mathematical Programming 45, 503-528), driven by SciPy.

    theta <- theta + step * H g        H approximates the inverse of minus the Hessian, from the last few changes of theta and of g

Where components overlap, EM's steps are as short as the least certain direction makes them; these learn how curved each direction is. SciPy's
routine calls back for values and gradients, while a rule is asked by the loop, so it runs in a Conversation.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mixtura import checking
from mixtura.blas import one_thread, with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import maximising
from mixtura.rules.conversation import Conversation
from mixtura.rules.coordinates import check_free
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.lifted import LiftedChart
from mixtura.rules.line_search import Answer, Ask, Question, Top, climb
from mixtura.rules.metric import Metric
from mixtura.rules.rule import Event, Rule, Update
from mixtura.statistics import Statistics

PATIENCE = 3  # steps of EM: the first ones find the components, far from any optimum where curvature says little
ROUNDING = 8 * sys.float_info.epsilon  # of the log-likelihood: falls below it are none


@dataclass(frozen=True)
class LBFGS(Rule):
    """Quasi-Newton ascent that remembers the last `memory` steps: one sweep a step, and few of them where EM creeps.

    It begins with `patience` steps of EM, and then climbs in the coordinates of GradientAscent, scaled by the information where it begins and anew
    where it has come far (Metric), with the floor of the covariances built in to a part in ten thousand (LiftedChart). A trial of the line search
    may lower the likelihood; the step after it says so in a note. A covariance that collapses is held at the floor; a component that loses its rows
    is re-seeded in the first steps only. What remains to gain is estimated by the Newton decrement g'H g / 2 and its pace.

    The state carries a running SciPy: each is used once, and only the rule itself can be pickled.

    Raises ParameterError unless memory is an integer >= 1 and patience one >= 0, and for families whose components share part of their covariances.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(400, 1)) + np.repeat([[-1.0], [1.0]], 200, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-0.5], [0.5]], [[[1.0]], [[1.0]]])
    >>> newton, em = (mixtura.fit(X, start, rule, tol=1e-7, max_steps=5_000) for rule in (mixtura.rules.LBFGS(), mixtura.rules.EM()))
    >>> bool(abs(newton.log_likelihood - em.log_likelihood) < 1e-6), newton.n_steps < em.n_steps / 5
    (True, True)
    """

    memory: int = 10
    patience: int = PATIENCE
    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def __post_init__(self) -> None:
        checking.whole("memory", self.memory, 1, 10)
        checking.whole("patience", self.patience, 0, PATIENCE)

    def initial(self, mixture: Mixture) -> _State:
        """As EM begins."""
        check_free(mixture, "LBFGS")
        Fixed.of(self.fixed).check(mixture)
        return _State(maximising.State.before(mixture))

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: _State) -> Update:
        """EM's step; later the answer to SciPy's question after value and gradient at this mixture, and the mixture where it asks next."""
        fixed, statistics = Fixed.of(self.fixed), maximising.suited(mixture, statistics)
        if state.steps < self.patience:
            step = maximising.step(mixture, statistics, state.em, self.regularisation, fixed)
            return step._replace(state=state._replace(em=step.state, steps=state.steps + 1), remaining=math.inf)
        value = statistics.log_likelihood / statistics.weight
        events: tuple[Event, ...] = ()
        if value < state.value - ROUNDING * max(1.0, abs(value)):
            events = (Event("note", "a trial lowered the likelihood: the line search goes on"),)
        if state.done:
            return Update(mixture, state, events, 0.0)
        chart = state.chart or LiftedChart.of(mixture.family, statistics, self.regularisation, fixed)
        if state.chart is None and (raised := chart.raised(mixture)) is not mixture:
            return Update(raised, state._replace(chart=chart, value=value), events + _held(chart, mixture), math.inf)
        state = state._replace(chart=chart, value=value)
        import scipy.optimize  # noqa: F401  its BLAS must be there to be found

        with one_thread():
            answer = Answer(value, chart.gradient(mixture, statistics).flat) if math.isfinite(value) else None
            there, state, remaining = self._next(mixture, answer, state, chart)
        return Update(there, state, events + _held(chart, there), remaining)

    def _next(self, mixture: Mixture, answer: Answer | None, state: _State, chart: LiftedChart) -> tuple[Mixture, _State, float]:
        """The mixture that SciPy asks for and what is left to gain, or the best one where it asks for no more. Refuses what leaves float64."""
        talk = state.talk or _begun(chart, mixture, self.memory)
        shape = chart.to_coordinates(mixture)
        asked, question = talk.question, talk.answer(answer)
        while question is not None:
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    return chart.from_coordinates(shape.like(question.at), mixture), state._replace(talk=talk), question.remaining
            except ParameterError:
                question = talk.answer(None)
        top: Top = talk.result
        state = state._replace(talk=None, done=top.optimal)
        if not top.optimal and asked is not None and np.array_equal(top.at, asked.at):
            return self._next(mixture, answer, state, chart)  # in another metric
        return chart.from_coordinates(shape.like(top.at), mixture), state, 0.0 if top.optimal else math.inf


Talk = Conversation[Question, "Answer | None"]


class _State(NamedTuple):
    """How EM stands, and how many steps it made; the chart and SciPy, once they are needed; the mean log-likelihood of the step before.

    `done` is whether SciPy has nothing more to ask.
    """

    em: maximising.State
    steps: int = 0
    chart: LiftedChart | None = None
    talk: Talk | None = None
    value: float = -math.inf
    done: bool = False


def _begun(chart: LiftedChart, mixture: Mixture, memory: int) -> Talk:
    """SciPy about this mixture; its first question is the mixture itself."""
    metric = Metric.of(mixture, chart.to_coordinates(mixture), chart.chart.scale)
    lowest = metric.bounds(chart.lowest(mixture.family))

    def program(ask: Ask) -> Top:
        return climb(ask, metric, lowest, memory)

    return Conversation(program)


def _held(chart: LiftedChart, mixture: Mixture) -> tuple[Event, ...]:
    low = chart.collapsed(mixture)
    if not low.any():
        return ()
    who = "the shared covariance" if mixture.family.pooled else f"the covariance of component {', '.join(map(str, np.flatnonzero(low)))}"
    return (Event("repair", f"{who} collapsed and was held at the floor"),)
