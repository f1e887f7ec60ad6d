"""Every two columns of a mixture: rows, ellipses, and densities on the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.plots import canvas, curves
from mixtura.plots.rows import Drawn, drawn, histogram, views
from mixtura.plots.shown import Columns, Shown, chosen, shown
from mixtura.showing import outlines

MOST = 6  # columns that are drawn unasked
SIDES = {1: 4.2, 2: 2.8, 3: 2.3, 4: 1.9}  # inches of a panel, by the number of columns
SIDE = 1.65  # of more
LEFT = 0.7  # inches for names and numbers
TICKS = 4  # numbers on an axis of a panel
MARK = 6.0  # square points of a row


def pairs(
    mixture: Any,
    X: Any = None,
    *,
    columns: Columns = None,
    names: Sequence[str] | None = None,
    weight: str | ArrayLike | None = None,
    share: float = 0.9,
    points: int = 5000,
    random_state: Any = 0,
    ax: Any = None,
) -> Any:
    """Every two columns against each other: rows in the colour of the component that they are assigned to, and the ellipse of each component.

    On the diagonal, for one column, stand the density of the mixture, pi_k N(x | mu_k, sigma_k^2) of each component, and a histogram of all rows.
    An ellipse holds `share` of its component.

    `mixture` is a Mixture or a fitted estimator, X anything that `mixtura.open` takes (N, D), or None for the mixture alone; `weight` counts rows,
    and makes their marks as large. `columns` are names or numbers. Where there are more than 6 and none are given, the 6 that tell components
    apart most are drawn: those with the largest share of variance between the components' means. `names` are those of all D columns, where rows
    and estimator have none. At most `points` rows are drawn, at random by `random_state`; histograms count all rows, in one pass.

    `ax` is a figure, a subfigure or d x d axes, best with layout="constrained"; returns the array (d, d) of axes, those above the diagonal empty.

    Raises ParameterError and DataError for what does not fit, MissingLibraryError where matplotlib is not installed.

    >>> import mixtura
    >>> from matplotlib.figure import Figure
    >>> mixture = mixtura.Mixture([0.4, 0.6], [[0.0, 0.0], [3.0, 1.0]], [1.0, 0.5], "spherical")
    >>> mixtura.plots.pairs(mixture, mixture.sample(100, random_state=0)[0], ax=Figure(layout="constrained")).shape
    (2, 2)
    """
    checking.number("share", share, "a number between 0 and 1", lambda value: 0 < value < 1, 0.9)
    seen = shown(mixture, X, weight, names)
    some, told = chosen(seen, columns, 0, MOST)
    d = len(some)
    side = SIDES.get(d, SIDE)
    canvas.pyplot()
    taken = None if seen.source is None else drawn(seen, points, random_state)
    low, high = curves.reach(seen.mixture, np.sqrt(-2 * np.log1p(-share)))
    if taken is not None and seen.source is not None:
        low, high = views(seen.source, taken.rows, low, high)
    axes = canvas.panels(ax, d, d, (d * side + LEFT + (2.0 if d == 1 else 0.0), d * side * 0.9 + LEFT))
    beyond = _diagonal(axes, seen, some, low, high)
    width, height = canvas.room(axes[0, 0])
    labels = (canvas.labels(seen.names, some, 0.9 * width), canvas.labels(seen.names, some, 0.9 * height))
    for row in range(d):
        for column in range(d):
            panel = axes[row, column]
            if row < column:
                panel.set_axis_off()
            else:
                if row > column:
                    _pair(panel, seen.mixture, some[column], some[row], share, taken)
                _dress(panel, some, labels, (row, column), low, high)
    notes = [told, "" if taken is None else taken.note, beyond, f"ellipses: {canvas.percent(share)} of a component" * (d > 1)]
    _legend(axes, seen, [*notes, "component (its weight):"])
    return axes


def _pair(panel: Any, mixture: Mixture, x: int, y: int, share: float, taken: Drawn | None) -> None:
    from matplotlib.collections import LineCollection

    signs = canvas.signs(mixture.K)
    if taken is not None:
        palette = np.array([sign.colour for sign in signs])
        panel.scatter(
            taken.rows[:, x],
            taken.rows[:, y],
            MARK * taken.areas,
            palette[taken.component],
            linewidths=0,
            alpha=_alpha(len(taken.rows)),
            rasterized=True,
        )
    lines = [sign.line for sign in signs]
    panel.add_collection(LineCollection(list(outlines(mixture, x, y, share)), colors=canvas.blend(0.0), linewidths=2.6, zorder=2.9))
    panel.add_collection(
        LineCollection(list(outlines(mixture, x, y, share)), colors=[sign.colour for sign in signs], linestyles=lines, linewidths=1.3, zorder=3)
    )
    curves.means(panel, mixture, x, y)


def _alpha(n: int) -> float:
    """Points become fainter as they become more."""
    return float(np.clip(60 / np.sqrt(max(n, 1)), 0.35, 0.8))


def _diagonal(axes: Any, seen: Shown, some: list[int], low: Array, high: Array) -> str:
    """Densities and histograms; how many rows lie beyond them, in words."""
    beyond = ""
    if seen.source is not None:
        edges, heights, beyond = histogram(seen.source, some, low[some], high[some])
        for place in range(len(some)):
            axes[place, place].stairs(heights[place], edges[place], fill=True, color=canvas.blend(0.15))
    for place, j in enumerate(some):
        curves.draw(axes[place, place], seen.mixture, j, low[j], high[j])
    return beyond


def _dress(panel: Any, some: list[int], names: tuple[list[str], list[str]], place: tuple[int, int], low: Array, high: Array) -> None:
    """Limits, numbers and names: names only at the left and at the bottom."""
    row, column = place
    d = len(some)
    x, y = some[column], some[row]
    panel.set_xlim(*curves.padded(low[x], high[x]))
    canvas.numbers(panel.xaxis, TICKS if d > 1 else 6, inside=d > 1)
    if row == column:
        panel.set_ylim(bottom=0)
        if d == 1:
            canvas.numbers(panel.yaxis)
        else:
            panel.set_yticks([])
    else:
        panel.set_ylim(*curves.padded(low[y], high[y]))
        canvas.numbers(panel.yaxis, TICKS, inside=True)
    if row == d - 1:
        panel.set_xlabel(names[0][column], fontsize=canvas.SMALL)
    else:
        panel.tick_params(labelbottom=False)
    if column == 0:
        panel.set_ylabel("density" if row == 0 else names[1][row], fontsize=canvas.SMALL)
    elif row != column:
        panel.tick_params(labelleft=False)


def _legend(axes: Any, seen: Shown, notes: list[str]) -> None:
    """In the empty corner; beside the axes where there is none."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    d = len(axes)
    entries = [*canvas.keys(seen.mixture.weights), (Line2D([], [], color=canvas.blend(1.0), linewidth=1.3), "the mixture")]
    if seen.source is not None:
        entries.append((Patch(color=canvas.blend(0.15)), "all rows"))
    if d == 1:
        canvas.legend(axes[0, 0], entries, notes)
    else:
        drawn = canvas.legend(axes[0, -1], entries, notes, loc="upper right", bbox_to_anchor=(1.0, 1.0))
        drawn.set_in_layout(d == 2)
