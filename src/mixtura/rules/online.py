"""Online (stepwise) EM: mini-batches, each blended into running statistics, then the M-step.

    s <- (1 - eta_t) s + eta_t s_hat        eta_t = (t + offset)^-exponent, or `forgetting` where that is more

After Cappe & Moulines (2009), "On-line expectation-maximization algorithm for latent data models", JRSS B 71, 593-613; 0.5 < exponent <= 1 makes
it converge. What is learnt is the M-step of an average of s over the way (Polyak), which weighs the later ones more (Shamir & Zhang 2013, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import maximising
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.rule import Rule, Update
from mixtura.statistics import Statistics

RECENT = 3.0  # the eta of Shamir & Zhang: how much an average leans to what came last; 0 would be the plain mean


@dataclass(frozen=True)
class Online(Rule):
    """Stepwise EM: learns from mini-batches of `batch_rows` rows, in `passes` passes over them, each shuffled by `seed`.

    Batch t of 0, 1, ... counts eta_t = (t + offset)^-exponent against all before. With exponent 1 and offset 1 each batch counts the same; a
    smaller exponent forgets the first guesses sooner. `forgetting` is the least that a batch counts: with 0.05, the last twenty or so are
    what is remembered, and the mixture follows rows that drift. Without it the result is an average over the way (`average`).

    Raises ParameterError unless batch_rows and passes are integers >= 1, 0.5 < exponent <= 1, offset >= 1 and 0 <= forgetting < 1.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(20_000, 1)) + np.repeat([[-3.0], [3.0]], 10_000, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> online = mixtura.fit(X, start, mixtura.rules.Online(batch_rows=500, passes=2))
    >>> bool(abs(online.log_likelihood - mixtura.fit(X, start).log_likelihood) < 1e-3)
    True
    """

    batch_rows: int = 1_000
    exponent: float = 0.7
    offset: float = 2.0
    passes: int = 10
    forgetting: float = 0.0
    average: bool = True
    seed: int = 0
    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def __post_init__(self) -> None:
        for name, least in (("batch_rows", 1), ("passes", 1), ("seed", 0)):
            checking.whole(name, getattr(self, name), least)
        checking.number("exponent", self.exponent, "0.5 < exponent <= 1", lambda a: 0.5 < a <= 1, 0.7)
        checking.number("offset", self.offset, "a number >= 1", lambda t: 1 <= t < np.inf, 2)
        checking.number("forgetting", self.forgetting, "0 <= forgetting < 1", lambda f: 0 <= f < 1, 0)

    def initial(self, mixture: Mixture) -> OnlineState:
        """No batch seen."""
        maximising.check_lasting(mixture.family, "Online")
        Fixed.of(self.fixed).check(mixture)
        return OnlineState(maximising.State.before(mixture))

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: OnlineState) -> Update:
        """The M-step of the running statistics with this batch blended in."""
        running = statistics = maximising.suited(mixture, statistics)
        if state.running is not None:
            share = max((state.batches + self.offset) ** -self.exponent, self.forgetting)
            running = _blend(statistics, state.running, share)
        averaged = running if self.average and not self.forgetting else None
        if averaged is not None and state.averaged is not None:
            averaged = replace(_blend(running, state.averaged, (RECENT + 1) / (state.batches + 1 + RECENT)), rows=running.rows)
        # rows that drift have no covariance to be known once and for all
        step = maximising.step(mixture, running, state.em._replace(reference=None), self.regularisation, Fixed.of(self.fixed))
        return step._replace(state=OnlineState(step.state, state.batches + 1, running, averaged))

    def outcome(self, mixture: Mixture, state: OnlineState) -> Mixture:
        """The M-step of the averaged statistics."""
        if state.averaged is None:
            return mixture
        fixed = Fixed.of(self.fixed)
        return maximising.maximise(mixture.family, state.averaged, self.regularisation, previous=mixture, fixed=fixed)[0]


class OnlineState(NamedTuple):
    """How EM stands, how many batches were seen, their running statistics, and the average of these over the way where one is wanted."""

    em: maximising.State
    batches: int = 0
    running: Statistics | None = None
    averaged: Statistics | None = None


def _blend(new: Statistics, old: Statistics, share: float) -> Statistics:
    """(1 - share) old + share new, about the pivots of the new: those of rows that drift are near them."""
    return new.scale(share) + old.scale(1 - share)
