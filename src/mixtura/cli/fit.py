"""`mixtura fit`: a grid of mixtures fitted to a file, the best written as a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from mixtura.selection import Selection
    from mixtura.sources.files import Table


def fit(
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
    output: Annotated[Path, typer.Option(help="Folder for model.safetensors and summary.json, made where missing.")] = Path("mixtura-output"),
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit Gaussian mixtures to the rows of a file and keep the best.

    Every number of components is tried with every chosen family. The
    candidates are ranked by BIC in mclust's sign: 2 loglik - p log n, larger
    is better. The best is written as a model file for the other commands.
    Ctrl-C ends the search and writes the best by then.
    """
    from mixtura import storage
    from mixtura.cli import models, screen, searching

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
    models.require_writable(output)
    table, selection = searching.search(data, columns, threads, settings, shown=not quiet)
    summary = searching.summary(data, table, selection, settings)
    best = selection.ranking[0]
    assert best.mixture is not None  # select raises where nothing can be fitted
    models.save(output, best.mixture, _metadata(table, selection, settings), summary)
    if json:
        print(storage.as_json(summary))
    elif not quiet:
        screen.show_fit(table, selection, output)
    searching.end(selection)


def _metadata(table: Table, selection: Selection, settings: dict[str, Any]) -> dict[str, Any]:
    """What the model file says beside the mixture."""
    from mixtura.cli import models, searching

    best = selection.ranking[0]
    return {
        "columns": table.columns,
        "n_rows": len(table.rows),
        "criterion": selection.criterion,
        **searching.figures(best, selection),
        "history": best.history,
        "seed": settings["random_state"],
        "settings": settings,
        "versions": models.versions(),
    }
