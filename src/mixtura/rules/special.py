"""Digamma, log gamma and log beta: SciPy's, which take a sixth of a second to import and come when they are asked for."""

from __future__ import annotations

from typing import cast

from mixtura.moments import Array


def digamma(x: Array) -> Array:
    """The derivative of log gamma, entry by entry."""
    from scipy.special import psi

    return cast(Array, psi(x))


def log_gamma(x: Array) -> Array:
    """log Gamma(x) for x > 0, entry by entry."""
    from scipy.special import gammaln

    return cast(Array, gammaln(x))


def log_beta(a: Array, b: Array) -> Array:
    """log B(a, b) = log Gamma(a) + log Gamma(b) - log Gamma(a + b) for a, b > 0, entry by entry."""
    from scipy.special import betaln

    return cast(Array, betaln(a, b))
