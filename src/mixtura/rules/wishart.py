"""The Wishart distribution, as far as the bound on the evidence needs it (Bishop 2006, "Pattern recognition and machine learning", appendix B)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mixtura.moments import Array
from mixtura.rules.special import digamma, log_gamma


class Wishart(NamedTuple):
    """Lambda ~ W(scale, dof), positive definite (D, D), E[Lambda] = dof * scale; any number of them: dof and log|scale| (..).

    >>> Wishart(np.array([7.0]), np.array([0.0]), D=1).expected_log_determinant.round(4)  # chi-squared, seven degrees of freedom
    array([1.7963])
    """

    dof: Array
    log_scale: Array
    D: int

    @property
    def expected_log_determinant(self) -> Array:
        """E[log|Lambda|], B.81."""
        return np.asarray(digamma(self._halves).sum(axis=0) + self.D * math.log(2) + self.log_scale)

    @property
    def log_constant(self) -> Array:
        """The logarithm of what normalises the density, B.79."""
        of_gammas = log_gamma(self._halves).sum(axis=0) + self.D * (self.D - 1) / 4 * math.log(math.pi)
        return np.asarray(-self.dof / 2 * (self.log_scale + self.D * math.log(2)) - of_gammas)

    @property
    def _halves(self) -> Array:
        """(dof + 1 - j) / 2 for j = 1 ... D."""
        return np.asarray((self.dof - np.arange(self.D).reshape(-1, *[1] * np.ndim(self.dof))) / 2)
