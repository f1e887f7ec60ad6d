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
from mixtura.mixture import Mixture
from mixtura.rules import Event

if TYPE_CHECKING:
    from mixtura.estimators.gaussian_mixture import GaussianMixture

E = TypeVar("E", bound="GaussianMixture")
FIGURES = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")
SEQUENCES = ("log_likelihoods", "objectives", "runs")  # of a history


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
    facts = metadata["estimator"]
    try:
        estimator = kind(**{name: from_json(value) for name, value in facts["parameters"].items()})
        for name, value in {**facts["figures"], "mixture_": mixture, "history_": _history(facts["history"])}.items():
            setattr(estimator, name, value)
        if facts["stream"] is not None:
            estimator.stream_ = Stream.of(mixture.family, storage.read(path)[0], facts["stream"])
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged: got no usable {error}, expected what GaussianMixture.save wrote; try fitting again") from None
    if "columns" in metadata:
        estimator.feature_names_in_ = np.array(metadata["columns"], dtype=object)
    return estimator


def _history(facts: dict[str, Any]) -> History:
    events = tuple((number, Event(*event)) for number, event in facts["events"])
    return History(**{**facts, **{name: tuple(facts[name]) for name in SEQUENCES}, "events": events})
