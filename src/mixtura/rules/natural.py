"""The natural gradient: a step of EM taken in part, in expectation parameters.

    s <- (1 - eta) s + eta s_hat, then the M-step

with s the moments that the mixture expects of a row and s_hat those of the data's posterior. In an exponential family this is gradient ascent
measured by the Fisher information of rows whose component is known (Sato 2001, "Online model selection based on the variational Bayes"; Amari 1998).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import maximising
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.rule import Rule, Update
from mixtura.statistics import Statistics


@dataclass(frozen=True)
class NaturalGradient(Rule):
    """A step of length `learning_rate` along the natural gradient: every step is a valid mixture and climbs; 1 is EM.

    Raises ParameterError unless 0 < learning_rate <= 1.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-3.0], [3.0]], 100, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> half = mixtura.fit(X, start, mixtura.rules.NaturalGradient(learning_rate=0.5))
    >>> bool(abs(half.log_likelihood - mixtura.fit(X, start).log_likelihood) < 1e-6)
    True
    """

    learning_rate: float = 0.5
    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def __post_init__(self) -> None:
        checking.number("learning_rate", self.learning_rate, "0 < learning_rate <= 1", lambda eta: 0 < eta <= 1, "0.5, or 1 for EM")

    def initial(self, mixture: Mixture) -> maximising.State:
        """As EM begins."""
        maximising.check_lasting(mixture.family, "NaturalGradient")
        Fixed.of(self.fixed).check(mixture)
        return maximising.State.before(mixture)

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: maximising.State) -> Update:
        """The M-step of the blend of what the mixture expects and what the rows say."""
        statistics = maximising.suited(mixture, statistics)
        if state.reference is None:
            state = state._replace(reference=statistics.data_covariance)
        blend = statistics.scale(self.learning_rate)
        if self.learning_rate < 1:
            blend = blend + expected_statistics(mixture, statistics).scale(1 - self.learning_rate)
        return maximising.step(mixture, blend, state, self.regularisation, Fixed.of(self.fixed))


def expected_statistics(mixture: Mixture, like: Statistics) -> Statistics:
    """What the mixture expects to be summed over as many rows as `like` holds: its M-step is the mixture itself."""
    family, n = mixture.family, like.weight
    counts = mixture.weights * n
    rows = np.asarray(n) if family.pooled else counts.reshape(-1, *[1] * family.moment.axes)
    second = mixture.covariances * rows * family.moment.divisor(mixture.D)
    return Statistics(like.moment, like.pooled, 0, n, like.log_likelihood, counts, mixture.means, np.zeros_like(mixture.means), np.asarray(second))
