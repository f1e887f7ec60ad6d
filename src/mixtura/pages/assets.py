"""The files that a page is made of, as text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from mixtura.errors import MissingLibraryError

CALL, FUNCTION, CLOSES = '(typeof self !== "undefined" ? self : this, ', "() => {\n", "\n}));"  # plotly.js is one function, an argument of this call


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
        return _at_once((files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8"))
    except ModuleNotFoundError:
        raise MissingLibraryError(
            "a page with pictures needs plotly, which is not installed: got none, expected it beside mixtura; try pip install mixtura[report]"
        ) from None


def _at_once(script: str) -> str:
    """The script with parentheses around the function that is all of it, which change nothing but when it is compiled.

    A browser skims a bare function and compiles it when it is called, so that 5 MB would be read twice: a fifth of the time that the script takes.
    plotly.js has had this form since 3.0.0, which plotly 6.0.0 carries; a script of another form stays as it is.
    """
    head, call, body = script.partition(CALL + FUNCTION)
    end = body.rstrip()
    if not call or not end.endswith(CLOSES) or CALL in body:
        return script
    return f"{head}{CALL}({FUNCTION}{end.removesuffix(CLOSES)}\n}})));\n"
