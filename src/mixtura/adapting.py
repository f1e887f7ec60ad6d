"""Adaptation: a mixture learnt from much data moved towards a few rows of its own kind, as a background model is to a speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from mixtura.checking import short
from mixtura.errors import ParameterError
from mixtura.fitting import fit
from mixtura.mixture import Mixture
from mixtura.rules import MAP, Fixed


def adapt(
    mixture: Mixture,
    data: Any,
    relevance: float = 16.0,
    *,
    parameters: Sequence[str] = ("weights", "means", "covariances"),
    max_steps: int = 1,
    tol: float = 1e-6,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> Mixture:
    """The mode of the posterior after `data`, the prior being the mixture as if it were learnt from `relevance` rows a component.

    After one step, with n_k rows and alpha_k = n_k / (n_k + relevance), mean and second moment of component k are alpha_k times those of its
    rows plus 1 - alpha_k times its own: a component that meets no rows stays as it is. `parameters` are those that move; speaker recognition
    often moves "means" alone. One step is what is customary there; a greater `max_steps` goes on to the mode, until less than `tol` nats per
    row are left.

    Weights become (n_k + relevance K pi_k) / (n + relevance K), the mode under a Dirichlet prior; equation 11 of the source scales them otherwise.

    Raises ParameterError for a relevance <= 0 and for unknown parameters, DataError for rows that cannot be fitted.

    Source: Reynolds, Quatieri & Dunn (2000), "Speaker verification using adapted Gaussian mixture models", Digital Signal Processing 10, 19-41.

    >>> import mixtura
    >>> background = mixtura.Mixture([0.5, 0.5], [[-5.0], [5.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.adapt(background, [[6.0]] * 16, relevance=16).means
    array([[-5. ],
           [ 5.5]])
    """
    if isinstance(parameters, str) or not parameters or not set(parameters) <= set(Fixed._fields):
        raise ParameterError(f"parameters is not usable: got {short(parameters)}, expected some of {', '.join(Fixed._fields)}; try ('means',)")
    fixed = Fixed(**{name: (True,) * mixture.K for name in Fixed._fields if name not in parameters})
    rule = MAP(mixture, relevance, fixed=fixed)
    return fit(data, mixture, rule, max_steps=max_steps, tol=tol, sample_weight=sample_weight, n_jobs=n_jobs).mixture
