"""`mixtura fit`: a grid of mixtures fitted to a file, the best written as a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixtura.cli.resuming import note
from mixtura.cli.searching import Search, end, figures, searches

if TYPE_CHECKING:
    from mixtura.selection import Selection
    from mixtura.sources import Source


CHECKPOINT = "Folder in which the fit is kept on its way, made where missing."
REPORT = "report.html"
RESUME = "Go on with the fit that is kept in this folder, as it was called; takes no DATA, and no other option than --output."


@searches
def fit(
    search: Search,
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for model.safetensors and summary.json, made where missing.")] = Path(
        "mixtura-output"
    ),
    checkpoint: Annotated[Path | None, typer.Option(metavar="DIR", help=CHECKPOINT, show_default=False)] = None,
    checkpoint_every: Annotated[str, typer.Option(metavar="TIME", help="How much work a failing machine may cost: 30s, 5m or 1h.")] = "30s",
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help=RESUME, show_default=False)] = None,
    report: Annotated[bool, typer.Option("--report", help=f"Write {REPORT} into the folder too: a page on the model, for a browser.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress and no tables.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and no tables.")] = False,
) -> None:
    """Fit Gaussian mixtures to the rows of a file and keep the best.

    Every number of components is tried with every chosen family. The
    candidates are ranked by BIC in mclust's sign: 2 loglik - p log n, larger
    is better. The best is written as a model file for the other commands.
    Ctrl-C ends the search and writes the best by then.

    With --checkpoint a fit survives its process: --resume goes on, and ends
    with the same model to the last bit.
    """
    from mixtura import storage
    from mixtura.checkpoints import Noted
    from mixtura.cli import models, outputs, reporting, screen

    outputs.require_writable(output)
    outputs.require_apart([output / name for name in (models.MODEL, models.SUMMARY, REPORT)], search.data)
    if report:
        reporting.require()
    assert resume is None  # which would have become the words that the checkpoint knows
    kept = {} if checkpoint is None else {"checkpoint": Noted(checkpoint, note(context)), "checkpoint_every": checkpoint_every}
    source, selection = search.run(not quiet, **kept)
    summary = search.summary(source, selection)
    best = selection.ranking[0].mixture
    assert best is not None  # select raises where nothing can be fitted
    metadata = metadata_of(search, source, selection)
    models.save(output, best, metadata, summary)
    written = [models.MODEL, models.SUMMARY]
    try:
        if report:
            reporting.make(output / REPORT, best, storage.plain(metadata), storage.plain(summary), source, search.data, shown=not quiet)
            written.append(REPORT)
    finally:  # the model is there, whatever becomes of the report
        if json:
            print(storage.as_json(summary))
        elif not quiet:
            screen.show_fit(source, selection, output, written)
    end(selection)


def metadata_of(search: Search, source: Source, selection: Selection) -> dict[str, Any]:
    """What the model file says beside the mixture."""
    from mixtura.cli import models

    best = selection.ranking[0]
    return {
        "columns": source.columns,
        "n_rows": source.n_rows,
        "data": {name: fact for name, fact in search.facts(source).items() if name in ("path", "weight", "source", "engine")},
        "criterion": selection.criterion,
        **figures(best, selection),
        "history": best.history,
        "events": [] if best.fit is None else [(step, event.kind, event.message) for step, event in best.fit.events],
        "seed": search.settings["random_state"],
        "settings": search.settings,
        "versions": models.versions(),
    }
