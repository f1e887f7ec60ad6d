"""`mixtura sample`: rows drawn from a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder that fit wrote.", show_default=False)],
    rows: Annotated[int, typer.Option(help="How many rows to draw.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where they go: CSV, Parquet, Feather or NPY by suffix.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Where chance begins: the same seed gives the same rows.")] = 0,
) -> None:
    """Draw rows from a model, and the component of each."""
    from mixtura.cli import models, outputs, screen
    from mixtura.sources import files

    files.writer_of(output)
    outputs.require_apart([output], None, models.file_of(model))
    known = models.load(model)
    drawn, component = known.mixture.sample(rows, seed)
    label = "component" if "component" not in known.names else "component of mixture"
    files.write(output, {**dict(zip(known.names, drawn.T, strict=True)), label: component})
    screen.say(f"{rows:,} rows written to {output}")
