"""Candidates as text: what each column is called, how a figure is written, and a few lines of them. Shared by Python and the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixtura import markup
from mixtura.selection.criteria import TITLES

if TYPE_CHECKING:
    from mixtura.selection.candidate import Candidate

FIGURES: dict[str, Callable[[Candidate], str]] = {
    "components": lambda one: str(one.components),
    "family": lambda one: one.family.name,
    "mclust": lambda one: one.family.code,
    "BIC": lambda one: figure(one.bic),
    "ICL": lambda one: figure(one.icl),
    "AIC": lambda one: figure(one.aic),
    "held-out": lambda one: figure(one.held_out, 4),
    "loglik": lambda one: figure(one.log_likelihood),
    "parameters": lambda one: str(one.n_parameters),
    "rows": lambda one: f"{one.rows:,}",
    "sweeps": lambda one: str(one.sweeps),
    "status": lambda one: one.status,
}
WORDS = ("family", "mclust", "status")  # set from the left; figures from the right
GAP = "   "  # between columns


def figure(value: float, decimals: int = 2) -> str:
    """A number as the tables write it; a dash where there is none.

    >>> figure(-2314.2957), figure(float("-inf"))
    ('-2314.30', '-')
    """
    return f"{value:.{decimals}f}" if np.isfinite(value) else "-"


def wanted(candidates: Sequence[Candidate], criterion: str) -> list[str]:
    """The columns that say something of these: held-out densities where they rank, rows where some saw only a subsample."""
    alike = len({one.rows for one in candidates if one.fit is not None}) < 2
    return [name for name in FIGURES if not (name == "held-out" and name != TITLES[criterion]) and not (name == "rows" and alike)]


def text_table(candidates: Sequence[Candidate], names: Sequence[str]) -> str:
    """These columns as lines of text."""
    columns = [[name, *(FIGURES[name](one) for one in candidates)] for name in names]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    aligned = (
        (cell.ljust(width) if name in WORDS else cell.rjust(width) for name, cell, width in zip(names, line, widths, strict=True)) for line in lines
    )
    return "\n".join(GAP.join(cells).rstrip() for cells in aligned)


def html_table(candidates: Sequence[Candidate], names: Sequence[str]) -> str:
    """These columns as an HTML table."""
    return markup.table(names, [[FIGURES[name](one) for name in names] for one in candidates], words=WORDS)
