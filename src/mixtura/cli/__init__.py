"""The command `mixtura`, one file a subcommand, which `commands` puts together.

fit      rows -> the best mixture of a grid, as a model file     screen    what it looks like; `heat` is the map of a grid
select   rows -> how the mixtures of a grid compare              telling   errors and warnings, a line each
predict  model, rows -> component and density of each row        options   what is typed, as values
sample   model -> rows                                           searching the grid that fit and select ask for
show     model -> its figures                                    models    the model file and its folder; `facts` what it may say
test     rows -> how many components they need                   resuming  the command line that a checkpoint was begun with
report   model, rows -> a page for a browser                     reporting what fit and report share
explore  rows -> a page on which mixtures are fitted at once     outputs   what may be written where
                                                                 endings   signals, exit codes, streams that are closed

Nothing is imported here that takes time: `main` listens to signals first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixtura.cli.commands import app


def main() -> None:
    """The entry point of `mixtura` and `python -m mixtura`."""
    from mixtura.cli.endings import ended

    ended(_begin)


def _begin() -> Callable[[], int | None]:
    from mixtura.cli.commands import run

    return run


def __getattr__(name: str) -> Any:
    if name == "app":
        from mixtura.cli.commands import app

        return app
    raise AttributeError(f"module 'mixtura.cli' has no attribute {name!r}")


__all__ = ["app", "main"]
