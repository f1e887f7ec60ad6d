"""What is reported: a mixture, and what is known of how it came about. What is not known stays empty and is left out of the page."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mixtura
from mixtura.errors import ParameterError
from mixtura.fitting import Fit
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture

Line = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """A mixture of K components, and what is known beside it.

    `candidates` are the lines of a selection, ranked by `criterion`; `compared` the same where all saw the same rows, in any order. `history` is the
    mean log-likelihood per row, in nats, at the start of the fit and after each step; `events` are (step, kind, message). `warnings` are
    sentences. `settings` and `versions` tell how to come by the mixture again, `command` on the command line. `gaussians` are what
    rows are weighed with, where these are not the mixture's own.
    """

    mixture: Mixture
    columns: tuple[str, ...] | None = None
    criterion: str | None = None
    candidates: Sequence[Line] = ()
    compared: Sequence[Line] = ()
    history: Sequence[float] = ()
    events: Sequence[tuple[int, str, str]] = ()
    warnings: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    gaussians: AnyGaussians | None = None


def subject(fitted: Any) -> Subject:
    """The subject that a Mixture, a Fit, a Selection or a fitted estimator is.

    Raises ParameterError for anything else, and for an estimator that is not fitted.
    """
    if isinstance(fitted, Subject):
        return fitted
    if isinstance(fitted, Mixture):
        return Subject(fitted)
    if isinstance(fitted, Fit):
        return Subject(fitted.mixture, history=fitted.log_likelihoods, events=_events(fitted.events), warnings=_of_fit(fitted), versions=versions())
    if hasattr(fitted, "ranking") and hasattr(fitted, "cells"):
        return _of_selection(fitted)
    if isinstance(getattr(fitted, "mixture_", None), Mixture):
        return _of_estimator(fitted)
    raise ParameterError(
        f"this cannot be reported: got {type(fitted).__name__}, expected a Mixture, a Fit, a Selection or a fitted estimator; try fitting it first"
    )


def versions() -> dict[str, str]:
    """What reports: the versions of mixtura, NumPy and Python."""
    return {"mixtura": mixtura.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _of_selection(selection: Any) -> Subject:
    best = selection.ranking[0]
    return Subject(
        best.mixture,
        selection.columns,
        selection.criterion,
        [selection.figures(one) for one in selection.ranking],
        [selection.figures(one) for one in selection.compared],
        best.history,
        () if best.fit is None else _events(best.fit.events),
        _warnings(selection.interrupted, selection.constant_columns),
        selection.parameters,
        versions(),
    )


def _of_estimator(estimator: Any) -> Subject:
    history, names = estimator.history_, getattr(estimator, "feature_names_in_", None)
    told = _warnings(history.interrupted, ())
    if not estimator.converged_:
        told.append(f"The fit did not converge in {estimator.n_iter_} steps.")
    return Subject(
        estimator.mixture_,
        None if names is None else tuple(str(name) for name in names),
        history=history.log_likelihoods,
        events=_events(history.events),
        warnings=told,
        settings=estimator.get_params(deep=False),
        versions=versions(),
        gaussians=estimator._gaussians,
    )


def _of_fit(fit: Fit) -> list[str]:
    told = _warnings(fit.interrupted, ())
    if not fit.converged:
        told.append(f"The fit did not converge in {fit.n_steps} steps.")
    return told


def _events(events: Sequence[tuple[int, Any]]) -> list[tuple[int, str, str]]:
    return [(number, event.kind, event.message) for number, event in events]


def _warnings(interrupted: bool, constant: Sequence[str]) -> list[str]:
    told = ["The search or fit was interrupted: this is what was done by then."] if interrupted else []
    if constant:
        told.append(f"Columns that hold one value and tell nothing apart: {', '.join(constant)}.")
    return told
