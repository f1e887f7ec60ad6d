"""The subcommands in one command, and how it is run as a process."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from mixtura.cli import explore, fit, predict, report, sample, select, show, test
from mixtura.cli.endings import NO_READER, let_go
from mixtura.cli.resuming import Resumable
from mixtura.cli.telling import plainly
from mixtura.terminal import visible

SEARCH = ("mixtura.selection", "mixtura.cli.models", "mixtura.cli.screen", "pyarrow")
WRITE = ("mixtura.mixture", "mixtura.cli.models", "mixtura.cli.screen", "mixtura.sources.writing", "pyarrow")
app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command(cls=Resumable)(plainly(fit.fit, *SEARCH))
app.command()(plainly(select.select, *SEARCH))
app.command()(plainly(explore.explore, *SEARCH, "mixtura.explore.app"))
app.command()(plainly(predict.predict, *WRITE))
app.command()(plainly(report.report, *WRITE, "mixtura.report"))
app.command()(plainly(sample.sample, *WRITE))
app.command()(plainly(show.show, "mixtura.cli.models", "mixtura.cli.screen"))
app.command()(plainly(test.test, *SEARCH, "mixtura.likelihood_ratio"))

Misuse: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")  # click's, wherever this typer has it


def _version(wanted: bool) -> None:
    if wanted:
        from mixtura import __version__

        typer.echo(f"mixtura {__version__}")
        raise typer.Exit


@app.callback()
def _about(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Gaussian mixtures from the shell: fit them to a file, compare them, apply them to another, draw from them, look at them."""


def run() -> int:
    """The command as it was typed; its exit code."""
    try:
        return app(prog_name="mixtura", standalone_mode=False) or 0
    except Misuse as error:
        told = io.StringIO()
        error.show(file=told)
        print("\n".join(map(visible, told.getvalue().splitlines())), file=sys.stderr)
        return int(error.exit_code)
    except SystemExit:  # how typer ends where the reader of a help text has gone
        let_go()
        return NO_READER
