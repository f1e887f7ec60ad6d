"""Expectation-maximisation in closed form (Dempster, Laird & Rubin 1977)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixtura.blas import with_one_thread
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import maximising
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.rule import Rule, Update
from mixtura.statistics import Statistics


@dataclass(frozen=True)
class EM(Rule):
    """The maximum of the expected complete log-likelihood: never lowers the likelihood, except where it repairs a component.

    pi_k = n_k / n, mu_k = xbar_k, Sigma_k = the family's maximiser of the scatter. A covariance that collapses is floored (see
    `regularisation`); a component that loses its rows is re-seeded as half of the heaviest one, three times at most. Both are told as
    events. What is `fixed` (see Fixed) stays as the start has it.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-3.0], [3.0]], 100, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> steps = mixtura.iterate(X, start, rule=mixtura.rules.EM())
    >>> bool(next(steps).log_likelihood < next(steps).log_likelihood)
    True
    """

    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def initial(self, mixture: Mixture) -> maximising.State:
        """No component re-seeded yet, the data's covariance not known."""
        Fixed.of(self.fixed).check(mixture)
        return maximising.State.before(mixture)

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: maximising.State) -> Update:
        """The M-step. Raises nothing, whatever the data made of a component."""
        return maximising.step(mixture, statistics, state, self.regularisation, Fixed.of(self.fixed))
