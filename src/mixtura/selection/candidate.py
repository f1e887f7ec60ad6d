"""A candidate: one cell of the grid after its fit, its figures, and whether its optimum is one to trust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.families import Family
from mixtura.fitting import Fit, Step
from mixtura.mixture import Mixture
from mixtura.regularisation import RELATIVE_FLOOR
from mixtura.sources import Source


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cell of the grid. `log_likelihood` is a sum over rows in nats; `bic` and `aic` are larger for better models.

    `status` is "converged", "not converged", "repaired" (a component was re-seeded or floored on the way), "spurious" (a component holds
    less than D + 1 rows, with q factors q + 1, or is flatter than a millionth of the data's variance in some direction), "too few rows" or
    "interrupted" (not fitted).
    """

    components: int
    family: Family
    mixture: Mixture | None
    log_likelihood: float
    n_parameters: int
    bic: float
    aic: float
    status: str
    steps: int
    seconds: float
    history: tuple[float, ...]

    @property
    def regular(self) -> bool:
        """Whether the likelihood has an ordinary maximum here, so that the criterion means what it says."""
        return self.status not in ("spurious", "too few rows", "interrupted")


def candidate_of(result: Fit, source: Source, seconds: float) -> Candidate:
    """The candidate that a fit on all rows of the source is."""
    mixture, n = result.mixture, source.profile.weight
    log_likelihood = result.log_likelihood * n
    p = mixture.n_parameters
    bic, aic = 2 * log_likelihood - p * np.log(n), 2 * log_likelihood - 2 * p
    status = _status(result, source.profile.rows)
    return Candidate(mixture.K, mixture.family, mixture, log_likelihood, p, float(bic), aic, status, result.n_steps, seconds, result.log_likelihoods)


def unfitted(K: int, family: Family, D: int, status: str) -> Candidate:
    """A cell without a fit, and why there is none."""
    nan = float("nan")
    return Candidate(K, family, None, nan, family.n_parameters(K, D), -np.inf, -np.inf, status, 0, 0.0, ())


def _status(result: Fit, rows: int) -> str:
    if not is_regular(result.best, rows):
        return "spurious"
    if any(event.kind == "repair" for _, event in result.events):
        return "repaired"
    return "converged" if result.converged else "not converged"


def is_regular(step: Step, rows: int) -> bool:
    """Whether every component holds D + 1 rows (of q factors q + 1) and no covariance is flatter than a millionth of the data's.

    `rows` counts the rows; weights are scaled to it. One component alone is always regular.
    """
    mixture, statistics = step.mixture, step.statistics
    if mixture.K == 1:
        return True
    if not (statistics.counts * (rows / statistics.weight) >= (mixture.family.n_factors or mixture.D) + 1 - 1e-9).all():
        return False
    if mixture.family.constraint is not None and any(event.kind == "repair" for event in step.events):
        return False  # held above the floor, not at it: see Family.maximise_above
    # a hair above the floor, where a clipped eigenvalue sits
    floored = mixture.family.moment.floor(mixture.covariances, statistics.data_covariance, RELATIVE_FLOOR * (1 + 1e-3))[1]
    return not floored.any()
