"""The command `mixtura`, one file a subcommand.

fit      rows -> the best mixture of a grid, as a model file     screen    what it looks like; `heat` is the map of a grid
select   rows -> how the mixtures of a grid compare              telling   errors and warnings, a line each
predict  model, rows -> component and density of each row        options   what is typed, as values
sample   model -> rows                                           searching the grid that fit and select ask for
show     model -> its figures                                    models    the model file and its folder
test     rows -> how many components they need           resuming  the command line that a checkpoint was begun with
report   model, rows -> a page for a browser             reporting what fit and report share
explore  rows -> a page on which mixtures are fitted at once
"""

from __future__ import annotations

from typing import Annotated

import typer

from mixtura.cli import explore, fit, predict, report, sample, select, show, test
from mixtura.cli.resuming import Resumable
from mixtura.cli.telling import plainly

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command(cls=Resumable)(plainly(fit.fit))
for command in (select.select, explore.explore, predict.predict, report.report, sample.sample, show.show, test.test):
    app.command()(plainly(command))


def _version(wanted: bool) -> None:
    if wanted:
        from mixtura import __version__

        typer.echo(f"mixtura {__version__}")
        raise typer.Exit


@app.callback()
def _about(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Gaussian mixtures from the shell: fit them to a file, compare them, apply them to another, draw from them, look at them."""


def main() -> None:
    """The entry point of `mixtura` and `python -m mixtura`."""
    app(prog_name="mixtura")


__all__ = ["app", "main"]
