"""What an estimator is given, as a source: arrays and tables by scikit-learn's own checks, all else that `mixtura.open` takes by ours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data

from mixtura.errors import DataError, ParameterError
from mixtura.sources import ArraySource, Source
from mixtura.sources import open as open_source
from mixtura.sources.arrays import as_array, as_rows, has_times, unmasked
from mixtura.sources.opening import ELSEWHERE
from mixtura.sources.tables import as_frame, to_rows


def rows_of(estimator: Any, X: Any, weight: str | ArrayLike | None, columns: Sequence[str] | None, n_jobs: int | None, *, reset: bool) -> Source:
    """X as a source; where `reset`, its width and names are what the estimator is fitted on, else they must fit that.

    Raises DataError and ParameterError, and for arrays and tables of numbers what scikit-learn raises.
    """
    if columns is None and not isinstance(weight, str) and not _is_elsewhere(X):
        return _checked_by_scikit_learn(estimator, X, weight, n_jobs, reset)
    known = None if reset else getattr(estimator, "feature_names_in_", None)
    if isinstance(X, Source):
        if columns is not None:
            raise ParameterError("the rows are open already: got columns besides a source, expected None; try mixtura.open(X, columns=...)")
        source = open_source(X, weight=weight)
    else:
        source = open_source(X, [str(name) for name in known] if columns is None and known is not None else columns, weight, n_jobs=n_jobs)
    if reset:
        _remember(estimator, source)
    elif source.D != estimator.n_features_in_ or (known is not None and source.named and list(source.columns) != list(known)):
        expected = f"{estimator.n_features_in_} columns" + ("" if known is None else f": {', '.join(map(str, known))}")
        raise DataError(f"the rows do not fit the model: got {source.D} columns: {', '.join(source.columns)}, expected {expected}; try columns=...")
    return source


def _is_elsewhere(X: Any) -> bool:
    """Whether X is nothing that scikit-learn would look at."""
    if isinstance(X, Source | str | os.PathLike) or callable(X) or type(X).__module__.partition(".")[0] in ELSEWHERE:
        return True
    if isinstance(X, list | tuple):
        return bool(X) and all(isinstance(one, str | os.PathLike) for one in X)
    return hasattr(X, "__iter__") and not hasattr(X, "__len__") and not hasattr(X, "__array__")


def _checked_by_scikit_learn(estimator: Any, X: Any, weight: ArrayLike | None, n_jobs: int | None, reset: bool) -> Source:
    """scikit-learn checks names, width and kind; the source checks the numbers, and names column and row."""
    if _has_times(X):
        _refuse_words(X)
    X = unmasked(X)
    try:
        rows = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False, ensure_min_samples=2 if reset else 1)
    except (ValueError, OverflowError, np.exceptions.DTypePromotionError):
        _refuse_words(X)
        raise
    except TypeError:
        if as_frame(X) is not None:  # one of strange objects; what is sparse scikit-learn has named
            _refuse_words(X)
        raise
    names = getattr(estimator, "feature_names_in_", None)
    source = ArraySource(rows, weight, None if names is None else [str(name) for name in names], n_jobs)
    if not isinstance(X, np.ndarray | list | tuple) and names is not None:
        source.origin = f"{type(X).__module__.partition('.')[0]} table"
    return source


def _has_times(X: Any) -> bool:
    """Whether X holds dates or times, which NumPy would count as numbers, in days or nanoseconds."""
    if isinstance(X, np.ndarray):
        return has_times(X)
    frame = None
    with suppress(DataError):  # of two columns with one name, which scikit-learn takes
        frame = as_frame(X)
    return frame is not None and any(kind.is_temporal() for kind in frame.schema.values())


def _refuse_words(X: Any) -> None:
    """Raises DataError where X holds what is no number, and of a table names the column and its first such cell."""
    frame = as_frame(X)
    if frame is not None and all(isinstance(name, str) for name in frame.columns):
        to_rows(frame, frame.columns)
    elif as_array(X).dtype.kind in "OSUmM":
        as_rows(X)


def _remember(estimator: Any, source: Source) -> None:
    estimator.n_features_in_ = source.D
    if source.named:
        estimator.feature_names_in_ = np.array(source.columns, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
