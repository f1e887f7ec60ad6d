"""What a picture is of: a mixture, its columns, and rows beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixtura.errors import ParameterError
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.showing import standardised
from mixtura.sources import Source

Columns = int | str | Sequence[int | str] | None
TOLD = "the {} of {} columns that tell components apart most"


class Shown(NamedTuple):
    """A mixture, the Gaussians by which its rows are weighed, the names of its columns, and rows, where there are any."""

    mixture: Mixture
    gaussians: AnyGaussians
    names: tuple[str, ...]
    source: Source | None


def shown(model: Any, X: Any = None, weight: str | ArrayLike | None = None, names: Sequence[str] | None = None) -> Shown:
    """A mixture or a fitted estimator with its rows. Names are those given, else those of the rows, else those the estimator was fitted on.

    Raises ParameterError where it is neither or names do not fit, and for rows what `mixtura.open` raises.
    """
    mixture = model if isinstance(model, Mixture) else getattr(model, "mixture_", None)
    if not isinstance(mixture, Mixture):
        fault = "an estimator that is not fitted" if hasattr(model, "fit") else repr(type(model).__name__)
        raise ParameterError(f"a plot needs a mixture: got {fault}, expected a mixtura.Mixture or a fitted estimator; try estimator.fit(X)")
    source = None if X is None else _source(model, X, weight)
    known = getattr(model, "feature_names_in_", None)
    if names is None and source is not None and source.named:
        names = source.columns
    if names is None:
        names = [f"x{j}" for j in range(mixture.D)] if known is None else known
    if len(names) != mixture.D:
        raise ParameterError(f"names do not fit the mixture: got {len(names)}, expected {mixture.D}; try one for each column")
    gaussians = mixture.gaussians if model is mixture else model._gaussians
    return Shown(mixture, gaussians, tuple(str(name) for name in names), source)


def _source(model: Any, X: Any, weight: str | ArrayLike | None) -> Source:
    if isinstance(model, Mixture):
        return model.source(X, weight)
    from mixtura.estimators.rows import rows_of

    return rows_of(model, X, weight, None, model.n_jobs, reset=False)


def separation(mixture: Mixture) -> Array:
    """How much each column tells components apart: the share of its variance that lies between their means, from 0 to 1, (D,).

    sum_k pi_k (mu_k - m)^2 / s^2, with mean m and variance s^2 of the mixture: eta squared of the analysis of variance.

    >>> import mixtura
    >>> separation(mixtura.Mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [[3.0, 1.0], [3.0, 1.0]], "diag")).tolist()
    [0.25, 0.0]
    """
    return np.asarray(mixture.weights @ standardised(mixture).means ** 2)


def telling(mixture: Mixture, count: int) -> list[int]:
    """So many columns that tell components apart most, in their own order; of equals the first."""
    return sorted(np.argsort(-separation(mixture), kind="stable")[:count].tolist())


def chosen(seen: Shown, columns: Columns, most: int, unasked: int | None = None) -> tuple[list[int], str]:
    """The numbers of the columns to draw, and what is said of the choice.

    Those asked for by name or number, at most `most` of them where that is not 0; else all, or of more than `unasked` (by default `most`) the most
    telling. Raises ParameterError for columns that are not there.
    """
    D, unasked = seen.mixture.D, unasked or most
    if columns is None:
        return (list(range(D)), "") if unasked >= D else (telling(seen.mixture, unasked), TOLD.format(unasked, D))
    wanted = [columns] if isinstance(columns, int | str | np.integer) else list(columns)
    if not wanted or (most and len(wanted) > most):
        raise ParameterError(f"columns are not usable: got {len(wanted)}, expected 1 to {most or D}; try columns={list(seen.names[: most or D])}")
    found = [_place(seen, one) for one in wanted]
    if len(set(found)) < len(found):
        raise ParameterError(f"a column stands twice in columns: got {wanted}, expected each once; try columns={sorted(set(found))}")
    return found, ""


def _place(seen: Shown, one: int | str) -> int:
    D = seen.mixture.D
    if isinstance(one, int | np.integer) and -D <= one < D:
        return int(one) % D
    if isinstance(one, str) and one in seen.names:
        return seen.names.index(one)
    raise ParameterError(
        f"there is no such column: got {one!r}, expected a name or a number below {D}; try one of {', '.join(map(repr, seen.names[:8]))}"
    )
