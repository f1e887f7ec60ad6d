"""`mixtura explore`: a page in the browser on which a mixture is fitted while its user looks."""

from __future__ import annotations

import signal
import sys
import threading
import webbrowser
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixtura.cli.endings import code, say, signals
from mixtura.cli.searching import DATA, Search, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mixtura.explore import Place, Recipe
    from mixtura.selection import Candidate
    from mixtura.sources import Source

OUTPUT = "Folder for the model that is saved from the page, made where missing."


def explore(
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"Rows to look at: {DATA}", show_default=False)],
    columns: Annotated[
        str | None, typer.Option(help="Columns to choose from, as a,b,c; all numeric ones where not given.", show_default=False)
    ] = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that says how often a row counts.", show_default=False)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT)] = Path("mixtura-output"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Where chance begins.")] = 0,
) -> None:
    """Look at mixtures of these rows in the browser, and save the one you like.

    The page is served by this machine for this machine only. The address that
    is printed opens it once, in one browser. Number of components, family and
    columns can be moved, and the fit follows at once. Ctrl-C ends it.
    """
    from mixtura.cli import models, options, outputs
    from mixtura.explore import Exploration, Place
    from mixtura.explore.app import address, listening, server
    from mixtura.explore.guard import Keys, new_secret
    from mixtura.progress import passes
    from mixtura.sources import open as open_source

    outputs.require_writable(output)
    outputs.require_apart([output / name for name in (models.MODEL, models.SUMMARY)], data)
    place = Place(data, weight, str(output), None if columns is None else options.names(columns))

    def opened(names: Sequence[str] | None) -> Source:
        return open_source(data, names or place.columns, weight)

    exploration, keys = Exploration(opened, partial(_keep, place), place, seed), Keys()
    with closing(exploration), listening(port) as listener:
        serving = server(exploration, listener, new_secret(), keys)
        with passes(exploration.source):
            exploration.warm()
        print(address(listener, keys), flush=True)
        print("Ctrl-C ends it", file=sys.stderr, flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=[address(listener, keys)], daemon=True).start()
        _serve(lambda: serving.run(sockets=[listener]))


def _serve(run: Callable[[], None]) -> None:
    """Until Ctrl-C, which is how this ends; other signals have an exit code."""
    try:
        run()
    except KeyboardInterrupt:
        say("the page is closed")
        signals.told = True
        if signals.heard not in (None, signal.SIGINT):
            raise typer.Exit(code()) from None


def _keep(place: Place, recipe: Recipe, best: Candidate, source: Source) -> None:
    """Writes what `mixtura fit` would, called as the recipe says: the same bytes."""
    from mixtura.cli import fit, models
    from mixtura.selection import Selection

    assert best.mixture is not None  # or there was nothing to save
    search = _search(place, recipe)
    selection = Selection((best,), "bic", False, (), source.columns, {})
    models.save(Path(place.output), best.mixture, fit.metadata_of(search, source, selection), search.summary(source, selection))


def _search(place: Place, recipe: Recipe) -> Search:
    from mixtura.explore.recipes import listed

    columns = recipe.columns or place.columns
    told = partial(asked, place.data, None if columns is None else listed(columns), place.weight, str(recipe.components), recipe.family)
    return told(seed=recipe.seed) if recipe.subsample is None else told(seed=recipe.seed, subsample=str(recipe.subsample))
