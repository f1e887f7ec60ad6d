"""The files that a page is made of, as text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from mixtura.errors import MissingLibraryError


@cache
def asset(name: str) -> str:
    """A file of this package: page.css, theme.js or scatter.js.

    >>> "Mixtura.scatter" in asset("scatter.js")
    True
    """
    return (files("mixtura.pages") / name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    """The script plotly.js, of about 5 MB, as the Python package plotly carries it: pages load nothing from elsewhere.

    Raises MissingLibraryError where plotly is not installed.
    """
    try:
        return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError:
        raise MissingLibraryError(
            "a page with pictures needs plotly, which is not installed: got none, expected it beside mixtura; try pip install mixtura[report]"
        ) from None
