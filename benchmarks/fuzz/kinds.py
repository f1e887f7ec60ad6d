"""All kinds of cases, and the share that each has."""

from __future__ import annotations

from benchmarks.fuzz import fits, models, parameters, tables
from benchmarks.fuzz.cases import Kind

KINDS: dict[str, Kind] = {
    "estimator": fits.estimator,
    "loop": fits.loop,
    "stream": fits.stream,
    "selection": fits.selection,
    "mixture": parameters.mixture,
    "argument": parameters.argument,
    "table": tables.table,
    "model": models.model,
    "checkpoint": models.checkpoint,
}
SHARES = (
    "estimator", "mixture", "table", "estimator", "loop", "estimator", "model", "estimator", "argument", "mixture",
    "estimator", "table", "estimator", "stream", "loop", "estimator", "checkpoint", "mixture", "estimator", "selection",
)  # fmt: skip
"""The kind of case n is SHARES[n modulo its length]."""
