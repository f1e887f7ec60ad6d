"""`mixtura select`: a grid of mixtures fitted to a file, and how they compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixtura.cli.options import (
    Columns,
    Components,
    Criterion,
    Data,
    Families,
    Folds,
    Json,
    LearningRate,
    MaxIter,
    Quiet,
    RuleName,
    Seed,
    Subsample,
    Threads,
    Tol,
)
from mixtura.errors import FileError

if TYPE_CHECKING:
    from mixtura.selection import Selection

TABLES = (".csv", ".tsv", ".parquet", ".feather", ".arrow")
OUTPUT = "Where the comparison goes: the table of all candidates as CSV, Parquet or Feather, the summary as JSON, by suffix."


def select(
    data: Data,
    columns: Columns = None,
    components: Components = "1:9",
    family: Families = "auto",
    criterion: Criterion = "bic",
    folds: Folds = 5,
    subsample: Subsample = "50000",
    rule: RuleName = "em",
    learning_rate: LearningRate = None,
    tol: Tol = 1e-6,
    max_iter: MaxIter = 1000,
    seed: Seed = 0,
    threads: Threads = None,
    output: Annotated[Path | None, typer.Option(help=OUTPUT, show_default=False)] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare numbers of components and covariance families.

    Fits what fit does, and shows how the candidates compare: a map of the
    criterion, components down and families across, and the best in a table.
    Ctrl-C ends the search and shows what was done by then.
    """
    from mixtura import storage
    from mixtura.cli import screen, searching

    settings = searching.choices(
        components=components,
        family=family,
        subsample=subsample,
        seed=seed,
        criterion=criterion,
        folds=folds,
        rule=rule,
        learning_rate=learning_rate,
        tol=tol,
        max_iter=max_iter,
    )
    if output is not None:
        _require_place(output)
    table, selection = searching.search(data, columns, threads, settings, shown=not quiet)
    summary = searching.summary(data, table, selection, settings)
    if output is not None and output.suffix.lower() == ".json":
        storage.write_json(output, summary)
    elif output is not None:
        _write(output, selection)
    if json:
        print(storage.as_json(summary))
    elif not quiet:
        screen.show_selection(table, selection, output)
    searching.end(selection)


def _write(output: Path, selection: Selection) -> None:
    from mixtura.sources import files

    table = selection.table
    files.write(output, {name: table[name].to_native() for name in table.columns})


def _require_place(output: Path) -> None:
    """Raises FileError where the file cannot be written, which is better told before the search than after."""
    from mixtura.cli import models

    if output.suffix.lower() not in (*TABLES, ".json"):
        raise FileError(f"cannot write {output}: got suffix {output.suffix!r}, expected one of {', '.join(TABLES)} or .json; try another format")
    if output.is_dir() or not output.absolute().parent.is_dir():
        what = "a directory" if output.is_dir() else "a folder that does not exist"
        raise FileError(f"cannot write {output}: got {what}, expected a file in one that does; try another --output")
    models.require_writable(output.absolute().parent)
