"""An estimator in a file: the model file of its mixture, with parameters, figures and the sums of a stream beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixtura import storage
from mixtura.errors import ModelFileError
from mixtura.estimators.history import History
from mixtura.estimators.parameters import as_json, from_json
from mixtura.estimators.stream import Stream
from mixtura.forms import anything, exactly, finite_or_not, flag, listed, mapped, maybe, row, text, whole
from mixtura.mixture import Mixture
from mixtura.rules import Event

if TYPE_CHECKING:
    from mixtura.estimators.gaussian_mixture import GaussianMixture

E = TypeVar("E", bound="GaussianMixture")
FIGURES = {  # what is learnt beside the mixture: attributes, and what each may be
    "converged_": flag,
    "n_iter_": whole,
    "lower_bound_": finite_or_not,
    "lower_bounds_": listed(finite_or_not),
    "n_features_in_": whole,
}
SEQUENCES = ("log_likelihoods", "objectives", "runs")  # of a history
HISTORY = exactly(
    **dict.fromkeys(SEQUENCES, listed(finite_or_not)),
    remaining=finite_or_not,
    events=listed(row(whole, row(text, text))),
    start=text,
    run=whole,
    source=text,
    engine=text,
    interrupted=flag,
)
SAVED = exactly(parameters=mapped(anything), figures=exactly(**FIGURES), history=HISTORY, stream=maybe(mapped(anything)))
NAMES = listed(text)


def save(estimator: GaussianMixture, path: str | Path) -> None:
    """Writes the estimator. See GaussianMixture.save."""
    check_is_fitted(estimator)
    stream: Stream | None = getattr(estimator, "stream_", None)
    facts = {
        "parameters": {name: as_json(name, value) for name, value in estimator.get_params(deep=False).items()},
        "figures": {name: getattr(estimator, name) for name in FIGURES},
        "history": vars(estimator.history_),
        "stream": None if stream is None else stream.numbers(),
    }
    names = getattr(estimator, "feature_names_in_", None)
    columns = {} if names is None else {"columns": [str(name) for name in names]}
    estimator.mixture_.save(path, {"estimator": facts, **columns}, {} if stream is None else stream.tensors())


def load(kind: type[E], path: str | Path) -> E:
    """The estimator of this kind in a file. See GaussianMixture.load."""
    mixture, metadata = Mixture.load_with_metadata(path)
    if "estimator" not in metadata:
        raise ModelFileError(f"{path} holds a mixture and no estimator: expected a file that GaussianMixture.save wrote; try mixtura.Mixture.load")
    facts, names = metadata["estimator"], metadata.get("columns")
    for usable, what in ((SAVED(facts), "estimator"), (names is None or (NAMES(names) and len(names) == mixture.D), "columns")):
        if not usable:
            raise ModelFileError(f"{path} is damaged: got no usable {what}, expected what GaussianMixture.save wrote; try fitting again")
    if facts["figures"]["n_features_in_"] != mixture.D:
        raise ModelFileError(f"{path} is damaged: got {facts['figures']['n_features_in_']} columns, expected {mixture.D}; try fitting again")
    try:
        estimator = kind(**{name: from_json(value) for name, value in facts["parameters"].items()})
    except TypeError as error:
        raise ModelFileError(f"{path} is not of {kind.__name__}: got parameters that it lacks ({error}), expected its own; try its class") from None
    for name in FIGURES:
        setattr(estimator, name, facts["figures"][name])
    estimator.mixture_, estimator.history_ = mixture, _history(facts["history"])
    if facts["stream"] is not None:
        estimator.stream_ = Stream.of(mixture.family, storage.read(path)[0], facts["stream"])
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return estimator


def _history(facts: dict[str, Any]) -> History:
    events = tuple((number, Event(*event)) for number, event in facts["events"])
    return History(**{**facts, **{name: tuple(facts[name]) for name in SEQUENCES}, "events": events})
