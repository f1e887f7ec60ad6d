"""EM with a prior: the mode of the posterior instead of the maximum of the likelihood."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import maximising
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.prior import Prior, check_relevance
from mixtura.rules.rule import Rule, Update
from mixtura.statistics import Statistics


@dataclass(frozen=True)
class MAP(Rule):
    """The most probable mixture, prior and rows together: climbs log-likelihood + log prior, and never falls.

    The prior is conjugate (Dirichlet on the weights, normal-inverse-Wishart on means and covariances), so it is rows added to the statistics
    before the M-step. `prior` is "weak", Fraley and Raftery's default for the rows at hand, which keeps covariances off their singularities
    and says little else; a `Prior`; or a `Mixture`, which then counts as if it had been learnt from `relevance` rows a component.

    Raises ParameterError for another prior, a prior that does not fit the start's family and shape, and relevance <= 0.

    >>> import mixtura
    >>> X = [[0.0], [0.1], [5.0], [5.0], [5.0]]  # three rows alike: the likelihood has no maximum with two components
    >>> start = mixtura.Mixture([0.4, 0.6], [[0.0], [5.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.fit(X, start, mixtura.rules.MAP()).mixture.covariances.round(2).ravel()
    array([0.2 , 0.17])
    """

    prior: str | Prior | Mixture = "weak"
    relevance: float = 16.0
    regularisation: Regularisation = field(default_factory=Floor)
    fixed: Masks = None

    def __post_init__(self) -> None:
        if not (isinstance(self.prior, Prior | Mixture) or (isinstance(self.prior, str) and self.prior == "weak")):
            raise ParameterError(f"prior is not usable: got {checking.short(self.prior)}, expected 'weak', a Prior or a Mixture; try 'weak'")
        check_relevance(self.relevance)

    def initial(self, mixture: Mixture) -> maximising.State:
        """The prior, unless it waits for the rows."""
        maximising.check_lasting(mixture.family, "MAP")
        Fixed.of(self.fixed).check(mixture)
        state = maximising.State.before(mixture)
        if isinstance(self.prior, str):
            return state
        prior = Prior.of_mixture(self.prior, self.relevance) if isinstance(self.prior, Mixture) else self.prior
        prior.check(mixture)
        return state._replace(prior=prior)

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: maximising.State) -> Update:
        """The M-step with the prior's rows added. Raises nothing, whatever the data made of a component."""
        statistics = maximising.suited(mixture, statistics)
        state = state._replace(prior=self._prior(mixture, statistics, state))
        return maximising.step(mixture, statistics, state, self.regularisation, Fixed.of(self.fixed))

    def objective(self, mixture: Mixture, statistics: Statistics, state: maximising.State) -> float:
        """(log-likelihood + log prior) / n, the prior's density less its constants."""
        return (statistics.log_likelihood + self._prior(mixture, statistics, state).log_density(mixture)) / statistics.weight

    def _prior(self, mixture: Mixture, statistics: Statistics, state: maximising.State) -> Prior:
        return Prior.weak(mixture.family, statistics) if state.prior is None else state.prior
