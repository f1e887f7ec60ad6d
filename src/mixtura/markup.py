"""Tables as notebooks show them: HTML that inherits every colour, so that it is legible on light and on dark."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

import numpy as np

from mixtura.moments import Array

COLUMNS, COMPONENTS = 8, 20  # that a table shows
DIGITS = 3  # of the smallest deviation in a column
MOST = 6  # decimals, and digits before the point, up to which a number is written out
FIGURES = "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
WORDS = ' style="text-align:left"'


def table(header: Sequence[str], lines: Sequence[Sequence[str]], words: Collection[str] = ()) -> str:
    """An HTML table: figures from the right, the columns named in `words` from the left. Everything is escaped.

    >>> html = table(["a<b"], [["<1>"]])
    >>> html[html.index("<thead>"):]
    '<thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>&lt;1&gt;</td></tr></tbody></table>'
    """
    aligned = [WORDS if name in words else "" for name in header]
    head = "".join(f"<th{style}>{escape(name)}</th>" for name, style in zip(header, aligned, strict=True))
    body = ("".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(line, aligned, strict=True)) for line in lines)
    return f'<table style="{FIGURES}"><thead><tr>{head}</tr></thead><tbody>{"".join(f"<tr>{line}</tr>" for line in body)}</tbody></table>'


def paragraph(text: str) -> str:
    """One line above or below a table."""
    return f"<p>{escape(text)}</p>"


def components(weights: Array, means: Array, deviations: Array, names: Sequence[str]) -> str:
    """Weights (K,), means (K, D) and standard deviations (K, D) of components, a line each, with the first columns of many."""
    K, D = means.shape
    shown = range(min(D, COLUMNS))
    more = [f"… and {D - COLUMNS} more"] * (D > COLUMNS)
    cells = [spreads(means[:COMPONENTS, j], deviations[:COMPONENTS, j]) for j in shown]
    lines = [[str(k), f"{weights[k]:.4f}", *(column[k] for column in cells), *("…" for _ in more)] for k in range(min(K, COMPONENTS))]
    rest = paragraph(f"… and {K - COMPONENTS} more components") if K > COMPONENTS else ""
    told = paragraph("mean ± standard deviation of each column, in its own units")
    return table(["component", "weight", *(names[j] for j in shown), *more], lines) + rest + told


def spreads(means: Array, deviations: Array) -> list[str]:
    """Each mean and deviation of a column, with three digits of the smallest deviation; powers of ten where that would be long.

    >>> spreads(np.array([4.466, 2.038]), np.array([0.279, 0.3]))
    ['4.466 ± 0.279', '2.038 ± 0.300']
    """
    decimals = max(0, DIGITS - 1 - int(np.floor(np.log10(deviations.min()))))
    long = decimals > MOST or max(np.abs(means).max(), deviations.max()) >= 10**MOST
    mean_like, deviation_like = (f".{DIGITS + 3}g", f".{DIGITS}g") if long else (f".{decimals}f",) * 2
    return [f"{_minus(mean, mean_like)} ± {_minus(deviation, deviation_like)}" for mean, deviation in zip(means, deviations, strict=True)]


def _minus(value: Any, like: str) -> str:
    text = format(float(value), like)
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
