"""A rule: how statistics become the next mixture. A few functions, as in optax; the loop in `fitting` knows nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.rules.fixed import Fixed
from mixtura.statistics import Statistics


class Event(NamedTuple):
    """Something worth telling: a "repair" of a component, or a "note" on the rule's own steps.

    >>> import mixtura
    >>> mixtura.rules.Event("note", "the step was halved").message
    'the step was halved'
    """

    kind: Literal["repair", "note"]
    message: str


class Update(NamedTuple):
    """What a rule answers: the next mixture, what the rule needs next time, and what happened that is worth telling.

    `remaining` is the rule's own estimate of what the objective has still to gain at that mixture, in nats per row; None leaves the
    estimate to the loop, which looks at the objective's last changes.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> start, rule = mixtura.start(X, 2, random_state=0), mixtura.rules.EM()
    >>> update = rule.update(start, mixtura.sweep(start, X), rule.initial(start))
    >>> update.mixture, update.events
    (Mixture(2 components, 1 columns, family='full'), ())
    """

    mixture: Mixture
    state: Any
    events: tuple[Event, ...] = ()
    remaining: float | None = None


class Rule(ABC):
    """One way to learn from statistics alone. `initial` and `update` are all that most rules say; the others have the plain answer.

    A rule whose `batch_rows` is a number learns from mini-batches of so many rows, drawn anew for every pass by `seed`: an update a batch.
    The loop then looks at all rows once a pass. After `passes` of them the rule is done; None is never.

    >>> import numpy as np, mixtura
    >>> class MeansAlone(mixtura.rules.Rule):  # EM that leaves weights and covariances as the start has them
    ...     def initial(self, mixture):
    ...         return None
    ...     def update(self, mixture, statistics, state):
    ...         moved = mixtura.Mixture(mixture.weights, statistics.means, mixture.covariances, mixture.family)
    ...         return mixtura.rules.Update(moved, state)
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.fit(X, start, MeansAlone()).mixture.means.round(1).ravel()
    array([-2.9,  3. ])
    """

    batch_rows: int | None = None
    passes: int | None = None
    seed: int = 0

    @abstractmethod
    def initial(self, mixture: Mixture) -> Any:
        """The state before the first update. Raises ParameterError where the rule does not apply to such a mixture."""

    @abstractmethod
    def update(self, mixture: Mixture, statistics: Statistics, state: Any) -> Update:
        """The next mixture from the statistics taken at this one."""

    def gaussians(self, mixture: Mixture, state: Any) -> AnyGaussians:
        """What rows are weighed with: the mixture's own Gaussians, or what the rule expects of them."""
        return mixture.gaussians

    def objective(self, mixture: Mixture, statistics: Statistics, state: Any) -> float:
        """What the rule climbs, in nats per row: the mean log-likelihood, or that with the logarithm of a prior."""
        return statistics.log_likelihood / statistics.weight

    def n_parameters(self, mixture: Mixture) -> int:
        """How many parameters of such a mixture the rule is free to choose: all but those that are fixed."""
        return Fixed.of(getattr(self, "fixed", None)).n_free(mixture.family, mixture.K, mixture.D)

    def outcome(self, mixture: Mixture, state: Any) -> Mixture:
        """What the rule has learnt when it stands at this mixture: the mixture itself, or an average over those on the way."""
        return mixture
