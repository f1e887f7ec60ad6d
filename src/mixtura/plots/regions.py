"""The density of a mixture in one or two columns, and the regions where it is highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.plots import canvas, curves
from mixtura.plots.rows import Drawn, drawn, histogram, views
from mixtura.plots.shown import Columns, Shown, chosen, shown
from mixtura.showing import COLOURS

DRAWS = 100_000  # rows by which a level is found: their share above it is right to 0.2 % (one standard error 0.16 % at a half)
SEED = 0
REACH = 3.5  # standard deviations from a mean that are drawn
FINE, EVEN = 120, 250  # points of a plane in each direction: near the means of all components, and at equal distances
SHADES = (0.22, 0.75)  # of colour: of the largest region and of the smallest


def density(
    mixture: Any,
    X: Any = None,
    *,
    columns: Columns = None,
    names: Sequence[str] | None = None,
    weight: str | ArrayLike | None = None,
    shares: Sequence[float] = (0.5, 0.8, 0.95),
    points: int = 2000,
    random_state: Any = 0,
    ax: Any = None,
) -> Any:
    """The density p(x) in one or two columns, and its highest-density regions: of all regions that hold so large a share, the smallest.

    The region that holds a share s is {x: p(x) >= f}, with f the (1 - s)-quantile of p(x) over rows x of the mixture (Hyndman 1996, Computing and
    graphing highest density regions, The American Statistician 50). In one column they are shaded below the density, beside the components'
    pi_k N(x | mu_k, sigma_k^2); in two they are filled contours, and marks stand at the components' means.

    `mixture` is a Mixture or a fitted estimator. `columns` (names or numbers) choose one or two of its columns, whose marginal density is drawn;
    unasked, of more than two those that tell components apart most. X, anything that `mixtura.open` takes (N, D), is drawn too: all rows as a
    histogram, or in two columns at most `points` of them, at random by `random_state`. `names` and `weight` as in `pairs`. Returns the axes.

    Raises ParameterError and DataError for what does not fit, MissingLibraryError where matplotlib is not installed.

    >>> import mixtura
    >>> from matplotlib.figure import Figure
    >>> mixture = mixtura.Mixture([0.4, 0.6], [[0.0], [3.0]], [1.0, 0.5], "spherical")
    >>> mixtura.plots.density(mixture, names=["length in mm"], ax=Figure(layout="constrained").subplots()).get_xlabel()
    'length in mm'
    """
    shares = _checked(shares)
    seen = shown(mixture, X, weight, names)
    some, told = chosen(seen, columns, 2)
    canvas.pyplot()
    taken = None if seen.source is None else drawn(seen, points, random_state)
    low, high = curves.reach(seen.mixture, REACH)
    if taken is not None and seen.source is not None:
        low, high = views(seen.source, taken.rows, low, high)
    panel = canvas.panels(ax, 1, 1, (7.4, 4.6))[0, 0]
    panel.set_xlim(low[some[0]], high[some[0]])
    one = seen.mixture.marginal(some)
    (_line if len(some) == 1 else _plane)(panel, seen, some, one, shares, levels(one, shares), taken, told, low[some], high[some])
    width, height = canvas.room(panel)
    canvas.numbers(panel.xaxis, 6)
    canvas.numbers(panel.yaxis, 6)
    panel.set_xlabel(canvas.fitted(seen.names[some[0]], 0.9 * width, 10))
    panel.set_ylabel("density, per unit of the column" if len(some) == 1 else canvas.fitted(seen.names[some[1]], 0.9 * height, 10))
    return panel


def _checked(shares: Sequence[float]) -> list[float]:
    for share in shares:
        checking.number("shares", share, "numbers between 0 and 1", lambda value: 0 < value < 1, 0.5)
    if not (ordered := sorted({float(share) for share in shares})):
        raise ParameterError("there is no region to draw: got no shares, expected numbers between 0 and 1; try shares=(0.5, 0.8, 0.95)")
    return ordered


def levels(mixture: Mixture, shares: Sequence[float], random_state: Any = SEED) -> Array:
    """For each share s the level f such that {x: p(x) >= f} holds it: the (1 - s)-quantile of p over 100,000 rows of the mixture.

    >>> import mixtura
    >>> normal = mixtura.Mixture([1.0], [[0.0]], [[[1.0]]])
    >>> levels(normal, [0.5]).round(2)  # within 0.674 standard deviations of the mean
    array([0.32])
    """
    rows = mixture.sample(DRAWS, random_state)[0]
    return np.asarray(np.exp(np.quantile(mixture.log_density(rows), 1 - np.asarray(shares))))


def _shades(count: int) -> list[tuple[float, float, float]]:
    """From the smallest region, the darkest, to the largest."""
    last, first = SHADES
    return [canvas.blend(share, COLOURS[0]) for share in np.linspace(first, last, count)]


def _patches(shares: Sequence[float]) -> list[canvas.Entry]:
    from matplotlib.patches import Patch

    return [(Patch(color=shade), f"{100 * share:.4g} %") for share, shade in zip(shares, _shades(len(shares)), strict=True)]


def _line(
    ax: Any,
    seen: Shown,
    some: list[int],
    one: Mixture,
    shares: Sequence[float],
    heights: Array,
    taken: Drawn | None,
    told: str,
    low: Array,
    high: Array,
) -> None:
    from matplotlib.lines import Line2D

    notes = [told]
    entries = [(Line2D([], [], color=canvas.blend(1.0), linewidth=1.3), "the mixture"), *(canvas.keys(one.weights) if one.K > 1 else [])]
    x, y = curves.draw(ax, one, 0, low[0], high[0])
    for height, shade in reversed(list(zip(heights, _shades(len(shares)), strict=True))):
        across, above = _crossed(x, y, height)
        ax.fill_between(across, 0, above, where=above >= height * (1 - 1e-9), color=shade, linewidth=0, zorder=2)
    if seen.source is not None and taken is not None:
        edges, densities, beyond = histogram(seen.source, some, low, high)
        ax.stairs(densities[0], edges[0], color=canvas.blend(0.55), linewidth=1.0, zorder=3.5)
        total = seen.source.profile.rows
        entries.append((Line2D([], [], color=canvas.blend(0.55), linewidth=1.0), f"all {total:,} rows"))
        notes.append(beyond)
    ax.set_ylim(bottom=0)
    canvas.legend(ax, [*_patches(shares), *entries], [*notes, "highest-density regions, and components (their weights):"], ncols=1 + (one.K > 7))


def _crossed(x: Array, y: Array, height: float) -> tuple[Array, Array]:
    """The line with points added where it crosses a height, so that what is shaded ends there."""
    above = y >= height
    at = np.flatnonzero(above[1:] != above[:-1])
    crossing = x[at] + (height - y[at]) / (y[at + 1] - y[at]) * (x[at + 1] - x[at])
    order = np.argsort(np.concatenate([x, crossing]), kind="stable")
    return np.concatenate([x, crossing])[order], np.concatenate([y, np.full(len(at), height)])[order]


def _plane(
    ax: Any,
    seen: Shown,
    some: list[int],
    one: Mixture,
    shares: Sequence[float],
    heights: Array,
    taken: Drawn | None,
    told: str,
    low: Array,
    high: Array,
) -> None:
    deviations = np.sqrt(one.variances)
    fine = max(4, FINE // (2 * one.K))
    x, y = (curves.grid(one.means[:, j], deviations[:, j], *curves.padded(low[j], high[j]), fine, EVEN) for j in (0, 1))
    values = np.exp(one.log_density(np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2))).reshape(len(y), len(x))
    top = max(values.max(), heights[0]) * 1.01
    ax.contourf(x, y, values, levels=[*_rising(heights[::-1]), top], colors=_shades(len(shares))[::-1])
    ax.set_ylim(low[1], high[1])
    notes = [told]
    if taken is not None:
        ax.scatter(*taken.rows[:, some].T, 4.0 * taken.areas, color=canvas.blend(0.9), linewidths=0, alpha=0.5, rasterized=True)
        notes.append(taken.note)
    curves.means(ax, one, 0, 1)
    entries = [*_patches(shares), *canvas.keys(one.weights, line=False)]
    canvas.legend(ax, entries, [*notes, "highest-density regions, and means of components (their weights):"])


def _rising(heights: Array) -> list[float]:
    """Levels of a contour, which must rise: equal ones are parted by a hair."""
    return [float(height * (1 + 1e-9 * place)) for place, height in enumerate(heights)]
