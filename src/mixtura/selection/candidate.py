"""A candidate: one cell of the grid after its fit, its figures, and whether its optimum is one to trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.families import Family
from mixtura.fitting import Fit, Step
from mixtura.mixture import Mixture
from mixtura.regularisation import RELATIVE_FLOOR
from mixtura.selection.criteria import NONE, Cell, criteria_of
from mixtura.sources import Source


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cell of the grid. `log_likelihood` is a sum over rows in nats; `bic`, `icl`, `aic` and `held_out` are larger for better models.

    `entropy` is -sum_i w_i sum_k r_ik log r_ik, 0 where every row surely belongs to one component. `held_out` is -inf where it was not
    measured. `rows` of positive weight were fitted, `fit` is how (None where there is no fit), and took `seconds`. `before` is the candidate as
    it was on a subsample, where it went on from there to all rows.

    `status` is "converged", "not converged", "repaired" (a component was re-seeded or floored on the way), "spurious" (a component holds
    less than D + 1 rows, with q factors q + 1, or is flatter than a millionth of the data's variance in some direction), "too few rows" or
    "interrupted" (not fitted).

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> one = mixtura.select(X, 2, "full", random_state=0).ranking[0]
    >>> one.mixture, one.n_parameters, one.status, bool(abs(one.bic - (2 * one.log_likelihood - 5 * np.log(100))) < 1e-9)
    (Mixture(2 components, 1 columns, family='full'), 5, 'converged', True)
    """

    components: int
    family: Family
    fit: Fit | None
    log_likelihood: float
    n_parameters: int
    bic: float
    icl: float
    aic: float
    entropy: float
    status: str
    rows: int
    seconds: float
    held_out: float = -np.inf
    before: Candidate | None = None

    @property
    def mixture(self) -> Mixture | None:
        """The mixture that was fitted, if any."""
        return None if self.fit is None else self.fit.mixture

    @property
    def sweeps(self) -> int:
        """The sweeps over all `rows` that the fit took, with the short runs that it began by where rows are few."""
        return 0 if self.fit is None else self.fit.n_steps

    @property
    def history(self) -> tuple[float, ...]:
        """The mean log-likelihood per row after each of these, from the start on."""
        return () if self.fit is None else self.fit.log_likelihoods

    @property
    def regular(self) -> bool:
        """Whether the likelihood has an ordinary maximum here, so that the criterion means what it says."""
        return self.status not in ("spurious", "too few rows", "interrupted")

    @property
    def cell(self) -> Cell:
        """Components and the family's name: what tells candidates apart."""
        return self.components, self.family.name

    def figures(self) -> dict[str, Any]:
        """A line of `Selection.table`."""
        return {
            "components": self.components,
            "family": self.family.name,
            "code": self.family.code,
            "log_likelihood": self.log_likelihood,
            "n_parameters": self.n_parameters,
            "bic": self.bic,
            "icl": self.icl,
            "aic": self.aic,
            "held_out": self.held_out,
            "entropy": self.entropy,
            "status": self.status,
            "rows": self.rows,
            "sweeps": self.sweeps,
            "seconds": self.seconds,
        }


def candidate_of(result: Fit, source: Source, seconds: float, classified: bool = True) -> Candidate:
    """The candidate that a fit on all rows of the source is; see criteria_of for `classified`."""
    mixture, rows = result.mixture, source.profile.rows
    log_likelihood = result.log_likelihood * source.profile.weight
    bic, icl, aic, entropy = criteria_of(mixture, log_likelihood, source, classified)
    status = _status(result, rows)
    p = mixture.n_parameters
    return Candidate(mixture.K, mixture.family, result, log_likelihood, p, bic, icl, aic, entropy, status, rows, seconds)


def unfitted(K: int, family: Family, D: int, status: str) -> Candidate:
    """A cell without a fit, and why there is none."""
    bic, icl, aic, entropy = NONE
    return Candidate(K, family, None, np.nan, family.n_parameters(K, D), bic, icl, aic, entropy, status, 0, 0.0)


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
