"""The facts as one HTML page that loads nothing: style, scripts and rows are inside it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from mixtura import storage
from mixtura.errors import MissingLibraryError
from mixtura.pages import asset, embedded, plotly_js
from mixtura.report.facts import Facts, facts
from mixtura.report.subject import subject
from mixtura.sources import open as open_source

LIBRARIES = ("jinja2", "plotly")


def write(
    fitted: Any,
    data: Any,
    path: str | Path = "report.html",
    *,
    columns: Sequence[str] | None = None,
    weight: str | ArrayLike | None = None,
    name: str | None = None,
) -> None:
    """Writes the report of a fitted model on these rows: one HTML file of less than 6 MB, which needs no network.

    `fitted` is a Selection, a fitted estimator, a Fit or a Mixture; what it does not know (how candidates compare, how the fit went) is left out.
    `data`, `columns` and `weight` are as for `mixtura.open`; rows are read in two passes and not held. `name` is what the page calls them.

    Raises MissingLibraryError without the extra `report` (jinja2 and plotly), DataError for rows that do not fit the mixture, ParameterError for
    something that cannot be reported, and FileError where the file cannot be written; then nothing half written is left.

    >>> import mixtura
    >>> X, _ = mixtura.Mixture([0.5, 0.5], [[0.0], [4.0]], [[[1.0]], [[1.0]]]).sample(200, random_state=0)
    >>> mixtura.report.write(mixtura.select(X, [1, 2, 3], random_state=0), X, "report.html")  # doctest: +SKIP
    """
    require()
    known = subject(fitted)
    source = open_source(data, columns if columns is not None else _chosen(data, known.columns), weight)
    page = render(facts(known, source, name))
    storage.replace_file(path, lambda place: place.write_text(page, encoding="utf-8"))


def _chosen(data: Any, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The columns of the model, where the data are a file or a table, in which they can be found by name."""
    named = isinstance(data, str | os.PathLike) or hasattr(data, "columns") or hasattr(data, "column_names")
    from mixtura.sources import Source

    return columns if named and not isinstance(data, Source) else None


def require() -> None:
    """Raises MissingLibraryError where a library that makes the page is not installed."""
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingLibraryError(
                f"a report needs {library}, which is not installed: got none, expected it beside mixtura; try pip install mixtura[report]"
            )


def render(shown: Facts) -> str:
    """The page. Whatever is text in the facts is escaped: a name cannot become markup or script."""
    data = {"scatter": shown.scatter, "curve": shown.curve, "history": shown.history}
    page: str = _template().render(
        facts=shown,
        data=_safe(embedded(data)),
        style=_safe(asset("page.css")),
        scripts=[_safe(one) for one in (asset("theme.js"), plotly_js(), asset("scatter.js"), _own("report.js"))],
    )
    return page


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_own("page.html"))


def _own(name: str) -> str:
    return (files("mixtura.report") / name).read_text(encoding="utf-8")


def _safe(text: str) -> Any:
    """Text of ours, or that `embedded` made, which is not to be escaped again."""
    from markupsafe import Markup

    return Markup(text)
