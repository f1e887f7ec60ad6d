"""`mixtura predict`: what a model says of each row of a file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixtura.cli import options
from mixtura.cli.searching import DATA, IN_MEMORY
from mixtura.errors import ParameterError

if TYPE_CHECKING:
    from mixtura.sources.carried import Carried

ANSWERS = ("component", "probability", "log_density")


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder that fit wrote.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"Rows to apply it to, with the columns it was fitted on. {DATA}", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the answers go: CSV, Parquet, Feather or NPY by suffix.", show_default=False)],
    keep: Annotated[str | None, typer.Option(metavar="a,b", help="Columns of DATA that go beside the answers; or all.", show_default=False)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processors to use; else OMP_NUM_THREADS, or all.", show_default=False)] = None,
    in_memory: Annotated[bool | None, typer.Option("--in-memory/--streamed", help=IN_MEMORY, show_default=False)] = None,
) -> None:
    """Tell each row's component, its probability and the log density.

    Components are numbered from 0, as in the tables of fit and show. The log
    density is in nats; low ones are rows unlike those the model was fitted on.
    """
    from mixtura.cli import models, outputs, screen
    from mixtura.progress import passes
    from mixtura.sources import Passed, writing

    writing.writer_of(output)
    outputs.require_apart([output], data, models.file_of(model))
    known = models.load(model)
    source = models.rows(known, data, in_memory=in_memory, threads=threads)
    kept = None if keep is None else _kept(data, keep)
    n_rows = 0
    blocks: Any = known.mixture.records(source, *ANSWERS)
    with passes(source) as tell, writing.writing(output) as add, closing(blocks):
        for records in blocks:
            beside = {} if kept is None else kept.take(len(records))
            add({**beside, **{name: records[name] for name in ANSWERS}})
            n_rows += len(records)
            if source.watch is None:
                tell(Passed(n_rows, source.n_rows, None, None))
    beside_them = f", beside {screen.listing(kept.columns)}" if kept else ""
    screen.say(f"{n_rows:,} rows written to {output}: {', '.join(ANSWERS)}{beside_them}")


def _kept(data: str, keep: str) -> Carried:
    """The columns to keep. Raises ParameterError where one has the name of an answer."""
    from mixtura.sources.carried import Carried

    kept = Carried(data, None if keep == "all" else options.names(keep))
    if taken := [name for name in kept.columns if name in ANSWERS]:
        raise ParameterError(
            f"column {taken[0]!r} would be there twice: got it among those to keep, expected other names than {', '.join(ANSWERS)}; "
            "try naming the columns to keep"
        )
    return kept
