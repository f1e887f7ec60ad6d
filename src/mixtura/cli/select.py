"""`mixtura select`: a grid of mixtures fitted to a file, and how they compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixtura.cli.searching import Search, end, searches
from mixtura.errors import FileError

if TYPE_CHECKING:
    from mixtura.selection import Selection

TABLES = (".csv", ".tsv", ".parquet", ".feather", ".arrow")
OUTPUT = "Where the comparison goes: the table of all candidates as CSV, Parquet or Feather, the summary as JSON, by suffix."


@searches
def select(
    search: Search,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=OUTPUT, show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress and no tables.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and no tables.")] = False,
) -> None:
    """Compare numbers of components and covariance families.

    Fits what fit does, and shows how the candidates compare: a map of the
    criterion, components down and families across, and the best in a table.
    Ctrl-C ends the search and shows what was done by then.
    """
    from mixtura import storage
    from mixtura.cli import screen

    if output is not None:
        _require_place(output, search.data)
    source, selection = search.run(shown=not quiet)
    summary = search.summary(source, selection)
    if output is not None and output.suffix.lower() == ".json":
        storage.write_json(output, summary)
    elif output is not None:
        _write(output, selection)
    if json:
        print(storage.as_json(summary))
    elif not quiet:
        screen.show_selection(source, selection, output)
    end(selection)


def _write(output: Path, selection: Selection) -> None:
    from mixtura.sources import files

    table = selection.table
    files.write(output, {name: table[name].to_native() for name in table.columns})


def _require_place(output: Path, data: str) -> None:
    """Raises FileError where the file cannot be written, or is among the data, which is better told before the search than after."""
    from mixtura.cli import outputs

    if output.suffix.lower() not in (*TABLES, ".json"):
        raise FileError(f"cannot write {output}: got suffix {output.suffix!r}, expected one of {', '.join(TABLES)} or .json; try another format")
    outputs.require_place(output)
    outputs.require_apart([output], data)
