"""What `mixtura fit` and `mixtura select` share: the search that their options ask for, and its summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mixtura.selection import Candidate, Selection
    from mixtura.sources.files import Table

INTERRUPTED = 130  # the exit code


def choices(*, components: str, family: str, subsample: str, seed: int, **others: Any) -> dict[str, Any]:
    """The arguments of `mixtura.select` that the options mean; `others` go by the same names."""
    from mixtura.cli import options

    return {
        "n_components": options.components(components),
        "families": options.families(family),
        "subsample": options.subsample(subsample),
        "random_state": seed,
        **others,
    }


def search(data: Path, columns: str | None, threads: int | None, settings: dict[str, Any], shown: bool) -> tuple[Table, Selection]:
    """The rows of the file, and what was selected for them, with progress told where it is to be `shown`."""
    from mixtura.cli import options
    from mixtura.cli.progress import progress
    from mixtura.selection import select
    from mixtura.sources import ArraySource, files

    table = files.read(data, None if columns is None else options.names(columns))
    with progress(settings["max_iter"], shown) as on_progress:
        return table, select(ArraySource(table.rows, columns=table.columns, n_jobs=threads), **settings, on_progress=on_progress)


def summary(data: Path, table: Table, selection: Selection, settings: dict[str, Any]) -> dict[str, Any]:
    """The data, the candidates ranked, settings and versions; nothing that differs from run to run."""
    from mixtura.cli import models

    candidates = [figures(one, selection) for one in selection.ranking]
    return {
        "data": {"path": str(data), "n_rows": len(table.rows), "columns": table.columns, "skipped": table.skipped},
        "criterion": selection.criterion,
        "interrupted": selection.interrupted,
        "best": candidates[0],
        "candidates": candidates,
        "settings": settings,
        "versions": models.versions(),
    }


def figures(one: Candidate, selection: Selection) -> dict[str, Any]:
    """What is written of a candidate: all but the seconds it took."""
    return {name: value for name, value in selection.figures(one).items() if name != "seconds"}


def end(selection: Selection) -> None:
    """Ends the command with the exit code of an interrupt, where the search was interrupted: the warning has said so."""
    if selection.interrupted:
        raise typer.Exit(INTERRUPTED)
