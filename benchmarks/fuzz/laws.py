"""What every answer keeps, whatever the rows were."""

from __future__ import annotations

from typing import Any

import numpy as np

import mixtura
from benchmarks.fuzz.cases import Case

ROUNDING = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
SAMPLED = 7
CLEAR, FAR = 0.6, 1e4  # a posterior that rounding does not turn, of a row not so far, in deviations of the whole, that its distances are all rounding


def _standardised(one: mixtura.Mixture, X: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray((X.astype(float) - one.frame.centre) / one.frame.scale)


def mixture(case: Case, one: mixtura.Mixture) -> None:
    """Weights are a distribution, means finite, covariances positive definite: what the class itself would take."""
    case.require(np.isfinite(one.weights).all() and (one.weights >= 0).all(), f"weights are numbers >= 0: got {one.weights}")
    case.require(abs(one.weights.sum() - 1) < 1e-9, f"weights sum to 1: got {one.weights.sum()}")
    case.require(np.isfinite(one.means).all(), f"means are finite: got {one.means}")
    case.require(np.isfinite(one.covariances).all(), f"covariances are finite: got {one.covariances}")
    try:
        mixtura.Mixture(one.weights, one.means, one.covariances, one.family)
    except mixtura.errors.ParameterError as error:
        case.require(False, f"what was learnt could be given: {error}")
    rows, component = one.sample(SAMPLED, 0)
    case.require(rows.shape == (SAMPLED, one.D) and np.isfinite(rows).all(), f"sampled rows are finite: got {rows}")
    case.require(((component >= 0) & (component < one.K)).all(), f"sampled components are there: got {component}")


def answers(case: Case, X: Any, n: int, K: int, labels: Any, posterior: Any, log_density: Any) -> None:
    """Labels are components that are there, posteriors distributions, densities numbers, and a label is the likeliest component."""
    labels, posterior, log_density = (np.asarray(one) for one in (labels, posterior, log_density))
    case.require(labels.shape == (n,) and labels.dtype.kind == "i", f"one label a row: got {labels.shape} of {labels.dtype}")
    case.require(((labels >= 0) & (labels < K)).all(), f"labels from 0 to {K - 1}: got {np.unique(labels)}")
    case.require(posterior.shape == (n, K), f"one posterior a row and component: got {posterior.shape}")
    case.require(np.isfinite(posterior).all(), f"posteriors are numbers: got {posterior[~np.isfinite(posterior).all(axis=1)][:1]}")
    case.require(((posterior >= 0) & (posterior <= 1 + 1e-6)).all(), "posteriors lie between 0 and 1")
    case.require((np.abs(posterior.sum(axis=1) - 1) < 1e-5).all(), f"posteriors sum to 1: got {posterior.sum(axis=1)}")
    case.require(log_density.shape == (n,), f"one density a row: got {log_density.shape}")
    bad = ~np.isfinite(log_density)
    case.require(not bad.any(), f"log densities are finite: got {log_density[bad][:1]}")
    least = posterior.max(axis=1) - posterior[np.arange(n), labels]
    case.require((least <= 1e-4).all(), f"a label is the likeliest component: short by {least.max()}")


def asked(case: Case, one: mixtura.Mixture, X: Any, n: int) -> None:
    """The answers of a mixture about rows."""
    labels, posterior, log_density = one.assign(X), one.posterior(X), one.log_density(X)
    answers(case, X, n, one.K, labels, posterior, log_density)
    total = one.classification(X)
    case.require(np.isfinite(total).all() and total.entropy >= 0 and total.log_certainty <= 1e-9, f"a classification is numbers: got {total}")
    together = one.answers(X, component=True, density=True, posterior=True)
    case.require(
        ((together.component >= 0) & (together.component < one.K)).all(), f"labels from 0 to {one.K - 1}: got {np.unique(together.component)}"
    )
    clear = posterior.max(axis=1) > CLEAR
    near = np.abs(_standardised(one, X)).max(axis=1) < FAR if isinstance(X, np.ndarray) and X.dtype.kind == "f" else np.zeros(n, dtype=bool)
    case.require(np.array_equal(together.component[clear & near], labels[clear & near]), "answers at once are those one by one")


def lost(one: mixtura.Mixture) -> float:
    """Nats that rounding may take from a log density where columns follow from others: a distance is a difference of as many more digits."""
    U = one.whiteners
    precisions = np.square(U).sum(axis=-2) if U.ndim == 3 else np.square(U)
    return float(1e3 * one.D**2 * np.finfo(float).eps * (precisions * one.variances).max())


def within(case: Case, one: mixtura.Mixture, X: np.ndarray, weights: np.ndarray | None, single: bool) -> None:
    """Means of rows lie among the rows, or where a step was aimed too far, not far from them."""
    X = X if weights is None else X[weights > 0]
    low, high = X.min(axis=0), X.max(axis=0)
    with np.errstate(over="ignore"):
        slack = high / 2 - low / 2 + (1e-5 if single else 1e-13) * np.maximum(np.abs(low), np.abs(high))
    outside = (one.means < low - slack) | (one.means > high + slack)
    case.require(not outside.any(), f"means lie among the rows: got {one.means[outside][:2]} outside {low} to {high}")
