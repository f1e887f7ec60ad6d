"""What `mixtura fit --report` and `mixtura report` share: a report of what stands in the two files of a model."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.cli import facts
from mixtura.cli.models import SUMMARY, Model
from mixtura.storage import from_json

if TYPE_CHECKING:
    from mixtura.mixture import Mixture
    from mixtura.report.subject import Subject
    from mixtura.sources import Source

OPTIONS = {  # settings, and the options of fit that set them
    "criterion": "--criterion",
    "folds": "--folds",
    "rule": "--rule",
    "learning_rate": "--learning-rate",
    "tol": "--tol",
    "max_iter": "--max-iter",
    "random_state": "--seed",
}
COMPARED = ("family", "bic", "log_likelihood", "n_parameters")  # by which a summary is that of a model
NAMED = 30  # columns that the command line names
ESTIMATOR = "estimator"  # under which GaussianMixture.save keeps what it knows


def require() -> None:
    """Raises MissingLibraryError where a library is missing, which is better told before a fit than after."""
    from mixtura.report.page import require

    require()


def make(
    output: Path, mixture: Mixture, metadata: Mapping[str, Any], summary: Mapping[str, Any] | None, source: Source, data: str, shown: bool = True
) -> None:
    """Writes the report of a model, of which these stand in its files, on the rows of `data`; passes over them are told where `shown`."""
    from mixtura.progress import passes
    from mixtura.report.page import write

    with passes(source) if shown else nullcontext():
        write(subject(mixture, metadata, summary), source, output, name=data if "://" in data else Path(data).name)


def summary_beside(model: Model) -> dict[str, Any] | None:
    """The summary that fit wrote beside the model; None where there is none, or it is of another fit."""
    try:
        summary = from_json((model.path.parent / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = facts.SUMMARY(summary) and all(model.metadata.get(key) == summary["best"].get(key) for key in COMPARED)
    return summary if known else None


def subject(mixture: Mixture, metadata: Mapping[str, Any], summary: Mapping[str, Any] | None) -> Subject:
    """What is known of a model from its metadata and summary; both may hold nothing."""
    from mixtura.report.subject import Subject

    summary, settings = summary or {}, metadata.get("settings", {})
    columns, estimator = metadata.get("columns"), metadata.get(ESTIMATOR, {})
    history = estimator.get("history", {})
    return Subject(
        mixture,
        tuple(columns) if columns else None,
        summary.get("criterion"),
        summary.get("candidates", ()),
        summary.get("compared", ()),
        metadata.get("history") or history.get("log_likelihoods", ()),
        metadata.get("events") or [(step, *event) for step, event in history.get("events", ())],
        list(_warnings(summary, estimator)),
        settings or {name: value for name, value in estimator.get("parameters", {}).items() if isinstance(value, str | int | float)},
        metadata.get("versions", {}),
        _command(metadata) if settings else None,
    )


def _warnings(summary: Mapping[str, Any], estimator: Mapping[str, Any]) -> Iterator[str]:
    if summary.get("interrupted"):
        yield "The search was interrupted: this is the best of what was done by then."
    if estimator.get("figures", {}).get("converged_") is False:
        yield f"The fit did not converge in {estimator['figures'].get('n_iter_')} steps."


def _command(metadata: Mapping[str, Any]) -> str:
    """The command line that fits this model again."""
    settings, data, columns = metadata["settings"], metadata.get("data", {}), metadata.get("columns") or []
    words = ["mixtura", "fit", str(data.get("path", "DATA"))]
    if 0 < len(columns) <= NAMED:
        words += ["--columns", _listed(columns)]
    if data.get("weight"):
        words += ["--weight", data["weight"]]
    words += ["--components", _counted(settings["n_components"])]
    families = settings["families"]
    words += ["--family", families if isinstance(families, str) else ",".join(families)]
    words += ["--subsample", str(settings["subsample"] or "all")]
    for name, option in OPTIONS.items():
        if settings.get(name) is not None:
            words += [option, str(settings[name])]
    return shlex.join(words)


def _counted(counts: Sequence[int]) -> str:
    """Numbers of components as --components reads them.

    >>> _counted([1, 2, 3]), _counted([2, 4]), _counted([3])
    ('1:3', '2,4', '3')
    """
    if len(counts) > 1 and list(counts) == list(range(counts[0], counts[-1] + 1)):
        return f"{counts[0]}:{counts[-1]}"
    return ",".join(map(str, counts))


def _listed(names: Sequence[str]) -> str:
    """Names as --columns reads them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
