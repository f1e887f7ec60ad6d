"""`mixtura report`: a page on a model and the rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixtura.cli.searching import DATA, IN_MEMORY

WEIGHT = 'Column that says how often a row counts; that of the fit where not given, "" for none.'


def report(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder that fit wrote.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"Rows to look at, with the columns it was fitted on. {DATA}", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = Path("report.html"),
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help=WEIGHT, show_default=False)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; else OMP_NUM_THREADS, or all.", show_default=False)] = None,
    in_memory: Annotated[bool | None, typer.Option("--in-memory/--streamed", help=IN_MEMORY, show_default=False)] = None,
) -> None:
    """Write a page on a model: what it says, how sure that is, pictures.

    One HTML file that needs no network: the verdict in words, a scatter of any
    two columns, the components, how they overlap, how candidates compare, the
    least likely rows, warnings, and how to come by the model again.
    """
    from mixtura.cli import facts, models, outputs, reporting, screen

    reporting.require()
    outputs.require_place(output)
    file = models.file_of(model)
    outputs.require_apart([output], data, file, file.with_name(models.SUMMARY))
    known = models.load(model)
    facts.require(known.path, known.metadata)
    summary = reporting.summary_beside(known)
    wanted = known.metadata.get("data", {}).get("weight") if weight is None else weight
    source = models.rows(known, data, wanted or None, in_memory=in_memory, threads=threads)
    reporting.make(output, known.mixture, known.metadata, summary, source, data)
    screen.say(f"written to {output}")
