"""`mixtura test`: K components against K + 1, one test after the other, until K are enough."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mixtura.cli.endings import code
from mixtura.cli.searching import DATA


def test(
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"Rows to test: {DATA}", show_default=False)],
    columns: Annotated[str | None, typer.Option(help="Columns to use, as a,b,c; all numeric ones where not given.", show_default=False)] = None,
    components: Annotated[str, typer.Option(help="Successive numbers K to test against K + 1: 1:9, or 2 alone.")] = "1:9",
    family: Annotated[str, typer.Option(help="Covariance family, as full or mclust's VVV.")] = "full",
    replicates: Annotated[int, typer.Option(min=1, help="Samples drawn from each null.")] = 999,
    alpha: Annotated[float, typer.Option(help="Go on while the p-value is at most this.")] = 0.05,
    tol: Annotated[float, typer.Option(help="Stop a fit when it has less than this left to gain, in nats per row.")] = 1e-6,
    max_iter: Annotated[int, typer.Option(min=1, help="Stop a fit after this many steps.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Where chance begins: the same seed gives the same p-values.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; else OMP_NUM_THREADS, or all.", show_default=False)] = None,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Hold the rows in memory, however many they are.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress, and print the number of components alone.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, the replicates' statistics too, and no table.")] = False,
) -> None:
    """Test how many components a Gaussian mixture of these rows needs.

    K components are tested against K + 1 by the parametric bootstrap of the
    likelihood ratio, K rising until the p-value exceeds alpha. Ctrl-C shows
    what is done by then.
    """
    from mixtura import storage
    from mixtura.cli import models, options, screen
    from mixtura.likelihood_ratio import likelihood_ratio_test
    from mixtura.sources import open as open_source

    counts = options.components(components)
    source = open_source(data, None if columns is None else options.names(columns), in_memory=in_memory or None, n_jobs=threads)
    choices: dict[str, Any] = {"n_bootstrap": replicates, "alpha": alpha, "tol": tol, "max_iter": max_iter, "random_state": seed}
    tests = likelihood_ratio_test(source, counts, family, **choices, n_jobs=threads, progress=not quiet)
    if json:
        where = {"path": data, "n_rows": source.n_rows, "columns": source.columns, "skipped": source.skipped, "source": source.origin}
        settings = {"n_components": counts, "family": family, **choices}
        print(storage.as_json({"data": where, **tests.to_dict(), "settings": settings, "versions": models.versions()}))
    elif quiet:
        print(tests.components)
    else:
        screen.show_tests(source, tests)
    if tests.interrupted:
        raise typer.Exit(code())
