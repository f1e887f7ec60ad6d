"""`mixtura fit`: a grid of mixtures fitted to a file, the best written as a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mixtura.mixture import Mixture
    from mixtura.selection import Candidate, Selection
    from mixtura.sources.files import Table


def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to fit: CSV (any delimiter), Parquet, Feather or NPY.", show_default=False)],
    columns: Annotated[str | None, typer.Option(help="Columns to fit, as a,b,c; all numeric ones where not given.", show_default=False)] = None,
    components: Annotated[str, typer.Option(help="Numbers of components to try: 3, 1:9 or 2,4,6.")] = "1:9",
    family: Annotated[str, typer.Option(help="Covariance families to try, as full,diag or mclust's VVV,VVI; auto is six, all is 14.")] = "auto",
    criterion: Annotated[str, typer.Option(help="What ranks the candidates: bic or aic.")] = "bic",
    rule: Annotated[str, typer.Option(help="How each step is taken: em, map, natural, online, lbfgs or gradient.")] = "em",
    learning_rate: Annotated[float | None, typer.Option(help="Step length of the rules gradient and natural.", show_default=False)] = None,
    tol: Annotated[float, typer.Option(help="Stop a fit when it has less than this left to gain, in nats per row.")] = 1e-6,
    max_iter: Annotated[int, typer.Option(min=1, help="Stop a fit after this many epochs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Where chance begins: the same seed gives the same model.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; all of them where not given.", show_default=False)] = None,
    output: Annotated[Path, typer.Option(help="Folder for model.safetensors and summary.json, made where missing.")] = Path("mixtura-output"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress and no tables.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and no tables.")] = False,
) -> None:
    """Fit Gaussian mixtures to the rows of a file and keep the best.

    Every number of components is tried with every chosen family. The
    candidates are ranked by BIC in mclust's sign: 2 loglik - p log n, larger
    is better. The best is written as a model file for the other commands.
    """
    from mixtura.cli import models, options, screen
    from mixtura.cli.progress import progress
    from mixtura.selection import select
    from mixtura.sources import ArraySource, files

    choices: dict[str, Any] = {
        "n_components": options.components(components),
        "families": options.families(family),
        "criterion": criterion,
        "rule": rule,
        "learning_rate": learning_rate,
        "tol": tol,
        "max_iter": max_iter,
        "random_state": seed,
    }
    models.require_writable(output)
    table = files.read(data, None if columns is None else options.names(columns))
    with progress(max_iter, shown=not quiet) as on_progress:
        selection = select(ArraySource(table.rows, columns=table.columns, n_jobs=threads), **choices, on_progress=on_progress)
    summary = _summary(data, table, selection, choices)
    models.save(output, _chosen(selection), _metadata(table, selection, choices), summary)
    if json:
        print(models.as_json(summary))
    elif not quiet:
        screen.show_fit(table, selection, output)


def _chosen(selection: Selection) -> Mixture:
    assert selection.best.mixture is not None  # select raises where nothing can be fitted
    return selection.best.mixture


def _metadata(table: Table, selection: Selection, choices: dict[str, Any]) -> dict[str, Any]:
    """What the model file says beside the mixture."""
    from mixtura.cli import models

    return {
        "columns": table.columns,
        "n_rows": len(table.rows),
        "criterion": selection.criterion,
        **_figures(selection.best),
        "history": selection.best.history,
        "seed": choices["random_state"],
        "settings": choices,
        "versions": models.versions(),
    }


def _summary(data: Path, table: Table, selection: Selection, choices: dict[str, Any]) -> dict[str, Any]:
    from mixtura.cli import models

    return {
        "data": {"path": str(data), "n_rows": len(table.rows), "columns": table.columns, "skipped": table.skipped},
        "criterion": selection.criterion,
        "best": _figures(selection.best),
        "candidates": [_figures(candidate) for candidate in selection.candidates],
        "settings": choices,
        "versions": models.versions(),
    }


def _figures(candidate: Candidate) -> dict[str, Any]:
    return {
        "components": candidate.components,
        "family": candidate.family.name,
        "code": candidate.family.code,
        "bic": candidate.bic,
        "aic": candidate.aic,
        "log_likelihood": candidate.log_likelihood,
        "n_parameters": candidate.n_parameters,
        "status": candidate.status,
        "steps": candidate.steps,
    }
