"""`mixtura show`: what stands in a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mixtura.cli.models import Model


def show(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder that fit wrote.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON: full covariances, history and settings too.")] = False,
) -> None:
    """Show a model: weights, means and deviations, criteria."""
    from mixtura import storage
    from mixtura.cli import models, screen

    known = models.load(model)
    if json:
        print(storage.as_json(_everything(known)))
    else:
        screen.show_model(known)


def _everything(model: Model) -> dict[str, Any]:
    """The metadata and the mixture; covariances in the family's shape."""
    mixture = model.mixture
    arrays = {"weights": mixture.weights, "means": mixture.means, "covariances": mixture.covariances}
    return {"components": mixture.K, "columns": model.names, **model.metadata, **{name: array.tolist() for name, array in arrays.items()}}
