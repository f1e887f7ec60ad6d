"""What the metadata of a model and the summary beside it may say, before a report believes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixtura.errors import ModelFileError
from mixtura.forms import Form, anything, either, fields, flag, listed, mapped, maybe, number, row, short, text, whole
from mixtura.selection.criteria import TITLES

SETTINGS = fields(
    *("n_components", "families", "subsample"),
    n_components=listed(whole),
    families=either(text, listed(text)),
    subsample=maybe(whole),
    criterion=text,
    folds=whole,
    rule=text,
    learning_rate=maybe(number),
    tol=number,
    max_iter=whole,
    random_state=whole,
)
HISTORY = fields(log_likelihoods=listed(number), events=listed(row(whole, row(text, text))))
FACTS: dict[str, tuple[Form, str]] = {
    "data": (fields(path=text, weight=maybe(text)), "an object with path and weight as text"),
    "history": (listed(number), "a list of numbers"),
    "events": (listed(row(whole, text, text)), "a list of step, kind and message"),
    "settings": (SETTINGS, "the settings of a fit"),
    "versions": (mapped(text), "an object of text"),
    "estimator": (fields(history=HISTORY, figures=fields(converged_=flag, n_iter_=whole), parameters=mapped(anything)), "what an estimator saves"),
}
FIGURES = ("bic", "icl", "aic", "held_out", "log_likelihood", "n_parameters", "rows")
LINE = fields(*("components", "family", "status"), components=whole, family=text, code=text, status=text, **dict.fromkeys(FIGURES, maybe(number)))
SUMMARY = fields(
    *("best", "candidates", "criterion"),
    best=LINE,
    candidates=listed(LINE),
    compared=listed(LINE),
    criterion=lambda value: text(value) and value in TITLES,
    interrupted=flag,
)


def require(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raises ModelFileError where the metadata say something in another form than fits and estimators write it."""
    for name, (form, expected) in FACTS.items():
        if name in metadata and not form(metadata[name]):
            raise ModelFileError(f"{path} is damaged: got {name} {short(metadata[name])}, expected {expected}; try fitting again")
