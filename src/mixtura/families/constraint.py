"""A constraint: what covariances of their own still have in common, and the maximiser of the likelihood under it.

    maximise    sum_k n_k (-log|Sigma_k| - tr(Sigma_k^-1 W_k / n_k)) / 2        Sigma_k = lambda_k D_k A_k D_k'

with W_k the scatter of component k, lambda_k its volume, A_k its shape (diagonal, |A_k| = 1) and D_k its orientation, of which some are
equal. A scatter that is a diagonal (.., K, D) stands for a diagonal matrix. Celeux & Govaert (1995), Pattern Recognition 28, 781-793.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import ParameterError
from mixtura.moments import Array

Number = TypeVar("Number", bound=np.generic)


class Constraint(ABC):
    """One way for covariances to be alike. There is one of each, in the file that is named after it.

    A constraint that no three letters describe makes a family of its own (docs/how-to-extend.md). Then it says how many numbers are free, and
    whether all columns keep `one_scale`: whether a column in other units would leave the family. A scale common to all columns is always free.

    >>> import numpy as np
    >>> from mixtura.families.constraint import EQUAL
    >>> scatter, counts = np.array([[4.0, 2.0], [2.0, 4.0]]), np.array([2.0, 4.0])  # diagonals of two components
    >>> EQUAL.maximise(scatter, counts, None)  # one for all
    array([[1., 1.],
           [1., 1.]])
    """

    one_scale: bool = False

    @abstractmethod
    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """The covariances of greatest likelihood, in the shape of scatter, (.., K, D) or (.., K, D, D), for counts (.., K).

        Where they are found step by step, the steps begin at those of `previous`, and never end below them. Where a scatter is singular they
        may be so as well, or NaN: `Family.maximise_above` looks.
        """

    def again(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """The same, where `previous` was found for a scatter much like this one: what takes long to find may stay as it was."""
        return self.maximise(scatter, counts, previous)

    def n_parameters(self, K: int, D: int) -> int:
        """Free numbers in K covariances of D columns. Of the fourteen families the letters tell."""
        raise ParameterError(f"the number of free parameters is not known: got {type(self).__name__} without n_parameters(K, D); try defining it")


class Free(Constraint):
    """Nothing in common: W_k / n_k."""

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """In closed form."""
        return scatter / across(counts, scatter)


class Equal(Constraint):
    """One for all: sum_k W_k / n, once for each component."""

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """In closed form."""
        axis = counts.ndim - 1
        shared = scatter.sum(axis=axis, keepdims=True) / across(counts.sum(axis=-1, keepdims=True), scatter)
        return np.asarray(np.broadcast_to(shared, scatter.shape))


def across(of_components: NDArray[Number], scatter: Array) -> NDArray[Number]:
    """Numbers (.., K) with the further axes of scatter (.., K, ...)."""
    return of_components.reshape(of_components.shape + (1,) * (scatter.ndim - of_components.ndim))


FREE, EQUAL = Free(), Equal()
