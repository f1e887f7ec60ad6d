"""What the scatter draws: some rows and columns, within a budget of bytes, and the ellipses' means and covariances.

A value becomes one of 65,536 steps between the least and the greatest of its column, two bytes instead of eight: no screen shows more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.explaining import Rows
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.pages import packed

MOST_ROWS = 20_000  # above them a picture is no clearer
FEWEST_ROWS = 2_000  # rather fewer columns than fewer rows
BUDGET = 640_000  # bytes; base64 makes 853,000 characters of them
STEPS = 2**16 - 1
NUMBERED = 4 + 2  # bytes of a row's number and component


@dataclass(frozen=True)
class Room:
    """How many rows, and which columns (D'), fit into the budget."""

    rows: int
    columns: NDArray[np.intp]


def room(K: int, ranked: NDArray[np.intp]) -> Room:
    """The room for K components, with columns `ranked` from the most telling: all of them where that leaves enough rows, else the first few.

    >>> room(3, np.arange(2)).rows, room(20, np.arange(60)).rows, len(room(20, np.arange(500)).columns)
    (20000, 3803, 82)
    """
    D = next((D for D in range(len(ranked), 2, -1) if _rows(K, D) >= FEWEST_ROWS), min(2, len(ranked)))
    return Room(min(MOST_ROWS, max(FEWEST_ROWS, _rows(K, D))), np.sort(ranked[:D]))


def _rows(K: int, D: int) -> int:
    """How many fit beside the means, deviations and correlations of K components in D columns."""
    return (BUDGET - K * D * (16 + 2 * (D - 1))) // (2 * D + NUMBERED)


def points(mixture: Mixture, rows: Rows, columns: NDArray[np.intp]) -> dict[str, Any]:
    """The rows and the mixture of these columns, as report.js unpacks them."""
    seen = mixture.marginal([int(j) for j in columns])
    deviations = np.sqrt(seen.variances)
    below = np.tril_indices(len(columns), -1)
    correlations = seen.matrices[:, below[0], below[1]] / (deviations[:, below[0]] * deviations[:, below[1]])
    return {
        "columns": [_column(rows.values[:, j]) for j in range(len(columns))],
        "component": packed(rows.component, "uint16"),
        "numbers": packed(rows.numbers, "int32" if rows.numbers.max(initial=0) < 2**31 else "float64"),
        "means": packed(seen.means, "float64"),
        "deviations": packed(deviations, "float64"),
        "correlations": packed(correlations, "float32"),
    }


def _column(values: Array) -> dict[str, Any]:
    """Its values as steps from the least."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    step = (high - low) / STEPS
    return {"low": low, "step": step, "steps": packed(np.rint((values - low) / step) if step > 0 else np.zeros(len(values)), "uint16")}
