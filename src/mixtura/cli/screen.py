"""What the command prints on stdout: lines and tables that fit the terminal they meet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mixtura.cli.heat import heat_maps, legend, shades_for
from mixtura.selection.criteria import TITLES
from mixtura.selection.figures import FIGURES, WORDS, figure, wanted
from mixtura.sources import ArraySource
from mixtura.terminal import visible

if TYPE_CHECKING:
    from mixtura.cli.models import Model
    from mixtura.likelihood_ratio import LikelihoodRatioTest, SequentialTest
    from mixtura.mixture import Mixture
    from mixtura.moments import Array
    from mixtura.selection import Candidate, Selection
    from mixtura.sources import Source

WIDE = 120  # characters of a line where the output is no terminal
WIDEST = 1_000  # characters of any table
BEST = 10  # candidates that are shown
TALL = 24  # columns of data that a fit shows; `show` shows all
LONGEST = 24  # characters of a column's name
LISTED = 8  # names in one line
GAP = 3  # characters between columns
MOST = 6  # decimals, or digits before them
DIGITS = 3  # significant ones of the smallest deviation in a line

CALLED = {**TITLES, "held_out": "held-out log density per row"}
SPARED = ("sweeps", "loglik", "ICL", "parameters", "rows", "AIC", "mclust")  # left out, in this order, where the terminal is narrow
TESTED: dict[str, Callable[[LikelihoodRatioTest], str]] = {
    "K": lambda one: str(one.components),
    "LRTS": lambda one: figure(one.statistic),
    "p-value": lambda one: f"{one.p_value:.{len(str(one.n_bootstrap + 1))}f}",
    "replicates": lambda one: str(len(one.replicates)),
    "irregular": lambda one: str(one.n_irregular),
    "decision": lambda one: "rejected" if one.rejected else "not rejected",
}


def say(*lines: str) -> None:
    """Lines, however long, each on its own whatever is in it."""
    for line in lines:
        _console().print(visible(line), soft_wrap=True)


class Plain(Table):
    """A table of which no name and no cell steers the terminal."""

    def add_column(self, header: Any = "", *more: Any, **how: Any) -> None:
        """A column of this name."""
        super().add_column(_plain(header), *more, **how)

    def add_row(self, *cells: Any, **how: Any) -> None:
        """A cell for each column."""
        super().add_row(*map(_plain, cells), **how)


def show_fit(source: Source, selection: Selection, output: Path, files: Sequence[str]) -> None:
    """The data used, the ranked candidates, the chosen mixture, and the files of the folder where it is."""
    mixture = selection.ranking[0].mixture
    assert mixture is not None
    _show_data(source)
    say("", _ranking(selection), "")
    _show_candidates(selection)
    say("", _title(mixture))
    _show_mixture(mixture, source.columns, TALL)
    say("", f"written to {output}: {', '.join(files)}")


def show_selection(source: Source, selection: Selection, output: Path | None) -> None:
    """The data used, the map of the grid, the ranked candidates, and where they are written."""
    console = _console()
    _show_data(source)
    shades = shades_for(console)
    say("", *legend(selection, shades))
    for one in heat_maps(selection, console.width, shades):
        say("")
        console.print(one)
    say("", _ranking(selection), "")
    _show_candidates(selection)
    if output is not None:
        say("", f"written to {output}")


def _show_data(source: Source) -> None:
    say(f"{source.n_rows:,} rows, {_several(source.D, 'column')}: {listing(source.columns)}")
    if source.skipped:
        say(f"skipped, not numeric: {listing(source.skipped)}")
    if not isinstance(source, ArraySource):
        say(f"{source.origin} by {source.engine}")


def show_model(model: Model) -> None:
    """A model's criteria and its mixture."""
    facts = model.metadata
    rows = facts.get("n_rows")
    say(_title(model.mixture) + (f", fitted to {rows:,} rows" if isinstance(rows, int) else ""))
    say(", ".join([*_criteria(facts), _several(model.mixture.n_parameters, "parameter")]))
    _show_mixture(model.mixture, model.names, model.mixture.D)


def show_tests(source: Source, tests: SequentialTest) -> None:
    """The data used, each test in a line, and how many components they leave."""
    _show_data(source)
    lines = _table()
    for name in TESTED:
        lines.add_column(name, justify="left" if name == "decision" else "right")
    for one in tests:
        lines.add_row(*(told(one) for told in TESTED.values()))
    family = tests.mixture.family
    say("", f"K components against K + 1, family {family.name} ({family.code}), replicates drawn from K", "")
    _console().print(lines)
    say("", _outcome(tests))


def _outcome(tests: SequentialTest) -> str:
    last, level = tests[-1], f"at level {tests[-1].alpha:g}"
    if tests.interrupted:
        return f"interrupted: no number of components is settled {level}"
    if tests.settled:
        return f"{_several(tests.components, 'component')} {level}"
    return f"at least {_several(tests.components, 'component')} {level}: K = {last.components} is rejected, and no more was tested"


def _show_candidates(selection: Selection) -> None:
    """The best candidates, with as many figures as the terminal is wide."""
    console, shown = _console(), selection.ranking[:BEST]
    names = wanted(shown, selection.criterion)
    for name in (None, *(name for name in SPARED if name != TITLES[selection.criterion])):
        names = [one for one in names if one != name]
        table = _candidates(shown, names)
        if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum <= console.width:
            break
    console.print(table)


def _candidates(shown: Sequence[Candidate], figures: Sequence[str]) -> Table:
    table = _table()
    for name in figures:
        table.add_column(name, justify="left" if name in WORDS else "right")
    for rank, one in enumerate(shown):
        table.add_row(*(FIGURES[name](one) for name in figures), style=_style(rank, one))
    return table


def _show_mixture(mixture: Mixture, names: Sequence[str], most: int) -> None:
    """Columns of data downwards, components across, as many side by side as the terminal is wide."""
    console = _console()
    sign = "+-" if console.options.ascii_only else "±"
    lines = [("weight", [f"{weight:.4f}" for weight in mixture.weights]), *_spreads(mixture, names[:most], sign)]
    widest = max(len(cell) for _, cells in lines for cell in cells)
    room = console.width - max(len("component"), *(min(LONGEST, len(name)) for name, _ in lines))
    side = max(1, room // (widest + GAP))
    say(f"mean {sign} standard deviation of each column")
    for first in range(0, mixture.K, side):
        say("")
        console.print(_components(lines, range(first, min(first + side, mixture.K))))
    if mixture.D > most:
        say(f"and {_several(mixture.D - most, 'more column')}, in mixtura show")


def _components(lines: Sequence[tuple[str, Sequence[str]]], some: range) -> Table:
    table = _table()
    table.add_column("component", max_width=LONGEST, no_wrap=True, overflow="ellipsis")
    for k in some:
        table.add_column(str(k), justify="right")
    for name, cells in lines:
        table.add_row(name, *(cells[k] for k in some))
    return table


def _spreads(mixture: Mixture, names: Sequence[str], sign: str) -> Iterator[tuple[str, list[str]]]:
    """For each column of data its name, and mean and standard deviation in each component."""
    deviations = np.sqrt(mixture.variances)
    for name, means, spreads in zip(names, mixture.means.T, deviations.T, strict=False):
        like_mean, like_spread = _formats(means, spreads)
        yield visible(name), [f"{mean:{like_mean}} {sign} {spread:{like_spread}}" for mean, spread in zip(means, spreads, strict=True)]


def _formats(means: Array, deviations: Array) -> tuple[str, str]:
    """How to write means and deviations: three digits of the smallest deviation; powers of ten where that would be long.

    >>> _formats(np.array([4.46, 2.04]), np.array([0.279, 10.5]))
    ('.3f', '6.3f')
    """
    decimals = max(0, DIGITS - 1 - int(np.floor(np.log10(deviations.min()))))
    if decimals > MOST or max(np.abs(means).max(), deviations.max()) >= 10**MOST:
        return ".4g", ".2e"
    return f".{decimals}f", f"{len(f'{deviations.max():.{decimals}f}')}.{decimals}f"


def _ranking(selection: Selection) -> str:
    total = len(selection.cells)
    what = f"the best {BEST} of {total} candidates" if total > BEST else _several(total, "candidate")
    sign = "" if selection.criterion == "held_out" else ", as in mclust"
    return f"{what}, ranked by {CALLED[selection.criterion]}: larger is better{sign}"


def _title(mixture: Mixture) -> str:
    return f"{_several(mixture.K, 'component')}, family {mixture.family.name} ({mixture.family.code})"


def _criteria(facts: dict[str, Any]) -> Iterator[str]:
    for key, label in {**TITLES, "log_likelihood": "loglik"}.items():
        if isinstance(facts.get(key), float):
            yield f"{label} {figure(facts[key], 4 if key == 'held_out' else 2)}"


def _style(rank: int, one: Candidate) -> str:
    if rank == 0:
        return "bold"
    return "" if one.regular else "dim"


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def listing(names: Sequence[str]) -> str:
    """Names in one line, the first few of many."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(name or "(no name)" for name in names[:LISTED]) + more


def _table() -> Table:
    return Plain(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim", show_edge=False)


def _plain(cell: Any) -> Any:
    return visible(cell) if isinstance(cell, str) else cell


def _console() -> Console:
    """As wide as the terminal, or as COLUMNS says; wide where there is neither."""
    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fits else WIDE, highlight=False, markup=False, emoji=False)
