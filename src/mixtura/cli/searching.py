"""What `mixtura fit` and `mixtura select` share: their options, the search that these ask for, and its summary."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixtura.cli import options
from mixtura.cli.endings import code

if TYPE_CHECKING:
    from mixtura.selection import Candidate, Selection
    from mixtura.sources import Source

DATA = "CSV (any delimiter), Parquet, Feather or NPY: a file, a folder, a pattern or a URL."
IN_MEMORY = "Read rows once and hold them, or read them anew in every pass; where not given, up to 128 MB are held."


@dataclass(frozen=True)
class Search:
    """The search that was asked for: the data, their columns (None takes the numeric ones), the column of weights, whether rows are to be held in
    memory (None decides by size), threads, and the other arguments of `mixtura.select`.
    """

    data: str
    columns: str | None
    weight: str | None
    in_memory: bool | None
    threads: int | None
    settings: dict[str, Any]

    def run(self, shown: bool, **kept: Any) -> tuple[Source, Selection]:
        """The rows, and what was selected for them, with progress told where it is to be `shown`; `kept` says where to keep it."""
        from mixtura.selection import select
        from mixtura.sources import open as open_source

        columns = None if self.columns is None else options.names(self.columns)
        source = open_source(self.data, columns, self.weight, in_memory=self.in_memory, n_jobs=self.threads)
        return source, select(source, **self.settings, progress=shown, **kept)

    def facts(self, source: Source) -> dict[str, Any]:
        """What is written of the data."""
        return {
            "path": self.data,
            "n_rows": source.n_rows,
            "columns": source.columns,
            "skipped": source.skipped,
            "weight": self.weight,
            "source": source.origin,
            "engine": engine(source),
        }

    def summary(self, source: Source, selection: Selection) -> dict[str, Any]:
        """The data, the candidates ranked, settings and versions; nothing that differs from run to run.

        Where candidates went on from a subsample to all rows, `compared` are all of them as they were on the subsample.
        """
        from mixtura.cli import models

        candidates = [figures(one, selection) for one in selection.ranking]
        return {
            "data": self.facts(source),
            "criterion": selection.criterion,
            "interrupted": selection.interrupted,
            "best": candidates[0],
            "candidates": candidates,
            **({"compared": [figures(one, selection) for one in selection.compared]} if any(one.before for one in selection.cells) else {}),
            "settings": self.settings,
            "versions": models.versions(),
        }


def asked(
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"Rows to fit: {DATA}", show_default=False)],
    columns: Annotated[str | None, typer.Option(help="Columns to fit, as a,b,c; all numeric ones where not given.", show_default=False)] = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that says how often a row counts.", show_default=False)] = None,
    components: Annotated[str, typer.Option(help="Numbers of components to try: 3, 1:9 or 2,4,6.")] = "1:9",
    family: Annotated[
        str,
        typer.Option(
            help="Covariance families to try, as full,diag or mclust's VVV,VVI; all is 14, usual six; auto is all up to 32 columns, usual beyond."
        ),
    ] = "auto",
    criterion: Annotated[str, typer.Option(help="What ranks the candidates: bic, icl, aic or held_out.")] = "bic",
    folds: Annotated[int, typer.Option(min=2, help="Parts that the rows are dealt into for the criterion held_out.")] = 5,
    subsample: Annotated[str, typer.Option(help="Rows that the grid is fitted to before the best go on to all rows; or all.")] = "50000",
    rule: Annotated[str, typer.Option(help="How each step is taken: em, map, natural, online, lbfgs or gradient.")] = "em",
    learning_rate: Annotated[float | None, typer.Option(help="Step length of the rules gradient and natural.", show_default=False)] = None,
    tol: Annotated[float, typer.Option(help="Stop a fit when it has less than this left to gain, in nats per row.")] = 1e-6,
    max_iter: Annotated[int, typer.Option(min=1, help="Stop a fit after this many epochs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Where chance begins: the same seed gives the same model.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; else OMP_NUM_THREADS, or all.", show_default=False)] = None,
    in_memory: Annotated[bool | None, typer.Option("--in-memory/--streamed", help=IN_MEMORY, show_default=False)] = None,
) -> Search:
    """The search that the shared options ask for. Raises ParameterError for one that makes no sense."""
    settings = {
        "n_components": options.components(components),
        "families": options.families(family),
        "criterion": criterion,
        "folds": folds,
        "subsample": options.subsample(subsample),
        "rule": rule,
        "learning_rate": learning_rate,
        "tol": tol,
        "max_iter": max_iter,
        "random_state": seed,
    }
    return Search(data, columns, weight, in_memory, threads, settings)


def searches(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which takes a `Search` first, with the shared options in its place: typer reads them off the signature."""
    shared = inspect.signature(asked, eval_str=True).parameters
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        search = asked(**{name: given.pop(name) for name in shared})
        command(search, **given)

    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in (*shared.values(), *own)]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


def engine(source: Source) -> str:
    """What works on the rows, but for how many threads, which changes no bit of the result and is not written."""
    return re.sub(r"^\d+ threads?", "threads", source.engine)


def figures(one: Candidate, selection: Selection) -> dict[str, Any]:
    """What is written of a candidate: all but the seconds it took."""
    return {name: value for name, value in selection.figures(one).items() if name != "seconds"}


def end(selection: Selection) -> None:
    """Ends the command with the exit code of an interrupt, where the search was interrupted: the warning has said so."""
    if selection.interrupted:
        raise typer.Exit(code())
