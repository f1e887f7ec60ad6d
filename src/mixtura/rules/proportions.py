"""What is believed of the weights of K components: a Dirichlet distribution, or sticks broken off one after the other.

    Dirichlet        pi ~ Dir(a_1 ... a_K)
    StickBreaking    pi_k = v_k (1 - v_1) ... (1 - v_{k-1}),  v_k ~ Beta(a_k, b_k)

Rows add to either: it stays of its kind. Sticks are a Dirichlet process of which the first K are looked at (Blei & Jordan 2006, "Variational
inference for Dirichlet process mixtures", Bayesian Analysis 1, 121-144); what is left of the stick after them is believed to hold no row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np

from mixtura.moments import Array
from mixtura.rules.special import digamma, log_beta, log_gamma


class Proportions(ABC):
    """A distribution of the weights of K components."""

    @classmethod
    @abstractmethod
    def prior(cls, concentration: float, K: int) -> Self:
        """What is believed before any row: the smaller the concentration > 0, the fewer components are expected to matter."""

    @abstractmethod
    def after(self, counts: Array) -> Self:
        """What is believed once components hold so many rows (K,)."""

    @property
    @abstractmethod
    def parameters(self) -> Array | tuple[Array, Array]:
        """What the density is written with, (K,) each."""

    @property
    @abstractmethod
    def expected_logs(self) -> Array:
        """E[log pi_k] (K,)."""

    @property
    @abstractmethod
    def expected(self) -> Array:
        """E[pi_k] (K,), scaled to sum 1."""

    @property
    @abstractmethod
    def log_constant(self) -> float:
        """The logarithm of what normalises the density."""

    @abstractmethod
    def divergence(self, other: Self) -> float:
        """The Kullback-Leibler divergence of `other` from this, in nats."""


@dataclass(frozen=True, eq=False)
class Dirichlet(Proportions):
    """pi ~ Dir(a), a (K,) > 0.

    >>> Dirichlet.prior(0.5, K=2).after(np.array([3.0, 0.0])).expected
    array([0.875, 0.125])
    """

    a: Array

    @classmethod
    def prior(cls, concentration: float, K: int) -> Self:
        """The same concentration for each."""
        return cls(np.full(K, float(concentration)))

    def after(self, counts: Array) -> Self:
        """a + n."""
        return type(self)(self.a + counts)

    @property
    def parameters(self) -> Array:
        """a."""
        return self.a

    @property
    def expected_logs(self) -> Array:
        """psi(a_k) - psi(sum a)."""
        return digamma(self.a) - digamma(self.a.sum())

    @property
    def expected(self) -> Array:
        """a_k / sum a."""
        return np.asarray(self.a / self.a.sum())

    @property
    def log_constant(self) -> float:
        """log Gamma(sum a) - sum log Gamma(a_k)."""
        return float(log_gamma(self.a.sum()) - log_gamma(self.a).sum())

    def divergence(self, other: Self) -> float:
        """The difference of the constants, and of the exponents times E[log pi]."""
        return self.log_constant - other.log_constant + float((self.a - other.a) @ self.expected_logs)


@dataclass(frozen=True, eq=False)
class StickBreaking(Proportions):
    """v_k ~ Beta(a_k, b_k), a and b (K,) > 0: the part that component k breaks off what those before it have left.

    >>> StickBreaking.prior(1.0, K=2).after(np.array([3.0, 1.0])).expected
    array([0.75, 0.25])
    """

    a: Array
    b: Array

    @classmethod
    def prior(cls, concentration: float, K: int) -> Self:
        """v_k ~ Beta(1, concentration)."""
        return cls(np.ones(K), np.full(K, float(concentration)))

    def after(self, counts: Array) -> Self:
        """a + n_k, and b + the rows of all later components."""
        later = np.append(np.cumsum(counts[:0:-1])[::-1], 0.0)
        return type(self)(self.a + counts, self.b + later)

    @property
    def parameters(self) -> tuple[Array, Array]:
        """a and b."""
        return self.a, self.b

    @property
    def expected_logs(self) -> Array:
        """E[log v_k] + sum_{j<k} E[log(1 - v_j)]."""
        whole = digamma(self.a + self.b)
        left = np.cumsum(digamma(self.b) - whole)
        return np.asarray(digamma(self.a) - whole + np.append(0.0, left[:-1]))

    @property
    def expected(self) -> Array:
        """E[v_k] prod_{j<k} E[1 - v_j]; what is left of the stick is shared out."""
        whole = self.a + self.b
        left = np.cumprod(self.b / whole)
        lengths = self.a / whole * np.append(1.0, left[:-1])
        return np.asarray(lengths / lengths.sum())

    @property
    def log_constant(self) -> float:
        """- sum log B(a_k, b_k)."""
        return -float(log_beta(self.a, self.b).sum())

    def divergence(self, other: Self) -> float:
        """That of the sticks, which are independent."""
        whole = digamma(self.a + self.b)
        by_own = (self.a - other.a) @ (digamma(self.a) - whole)
        by_rest = (self.b - other.b) @ (digamma(self.b) - whole)
        return self.log_constant - other.log_constant + float(by_own + by_rest)


PROPORTIONS: dict[str, type[Proportions]] = {"dirichlet_process": StickBreaking, "dirichlet_distribution": Dirichlet}
