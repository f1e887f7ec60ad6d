"""`mixtura predict`: what a model says of each row of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixtura.errors import DataError, ModelFileError

if TYPE_CHECKING:
    from mixtura.cli.models import Model
    from mixtura.sources.files import Table


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder that fit wrote.", show_default=False)],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to apply it to, with the columns it was fitted on.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Where the answers go: CSV, Parquet, Feather or NPY by suffix.", show_default=False)],
) -> None:
    """Tell each row's component, its probability and the log density.

    Components are numbered from 0, as in the tables of fit and show. The log
    density is in nats; low ones are rows unlike those the model was fitted on.
    """
    from mixtura.cli import models, screen
    from mixtura.sources import ArraySource, files

    files.writer_of(output)
    known = models.load(model)
    table = _rows(known, data)
    answers = known.mixture.answers(ArraySource(table.rows, columns=table.columns), component=True, density=True)
    files.write(output, {"component": answers.component, "probability": answers.probability, "log_density": answers.log_density})
    screen.say(f"{len(answers.component):,} rows written to {output}: component, probability, log_density")


def _rows(model: Model, data: Path) -> Table:
    """The columns of the model, taken by name. Raises ModelFileError where the data lack them or they do not hold numbers."""
    from mixtura.sources import files

    try:
        return files.read(data, model.columns)
    except DataError as error:
        raise ModelFileError(f"{model.path} does not fit {data}: {error}") from None
