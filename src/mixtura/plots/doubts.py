"""How surely a mixture tells rows apart, and where the doubtful ones lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.frame import Frame
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.plots import canvas, curves
from mixtura.plots.rows import Drawn, drawn, n_bins, views
from mixtura.plots.shown import Columns, Shown, chosen, shown
from mixtura.showing import outlines
from mixtura.sources import Asked, Block

STEPS = (0.01, 0.05, 0.2)  # uncertainties between the classes
CLASSES = ("uncertainty below 1 %", "1 to 5 %", "5 to 20 %", "20 % and more")
SHADES = (0.14, 0.36, 0.65, 1.0)  # of ink in each
CELLS = 64  # of the map in each direction, where there are more rows than points
SURE, DOUBTFUL = 5.0, 60.0  # square points of a row told apart surely, and of one at random
DARKEST = 0.5  # the uncertainty drawn darkest: of two components none is above
SHARE = 0.9  # of a component, within its outline
BARS = 24  # components with a bar
WIDTH, HEIGHT, BAR = 11.0, 4.6, 0.26  # inches


def uncertainty(
    mixture: Any,
    X: Any,
    *,
    columns: Columns = None,
    names: Sequence[str] | None = None,
    weight: str | ArrayLike | None = None,
    points: int = 5000,
    random_state: Any = 0,
    ax: Any = None,
) -> Any:
    """u_i = 1 - max_k r_ik of each row, with posterior r_ik: the probability that its component is another than that it is assigned to.

    The left picture says, for each component, what share of the rows assigned to it is how uncertain; the right one, where in two columns these lie:
    the larger and darker, the more uncertain. All rows are counted, in one pass. Where there are more than `points`, the right picture is the
    mean uncertainty of all rows in each of 64 x 64 cells. In one column it is the uncertainty as a function of it. The mean of u over rows is the
    share that is expected to be assigned wrongly.

    `mixture` is a Mixture or a fitted estimator, X anything that `mixtura.open` takes (N, D). `columns` (names or numbers) choose the two columns;
    unasked they are those that tell components apart most. `names`, `weight` and `random_state` as in `pairs`.

    `ax` is a figure, a subfigure or two axes, best with layout="constrained"; returns the two axes, an array (2,).

    Raises ParameterError and DataError for what does not fit, MissingLibraryError where matplotlib is not installed.

    >>> import mixtura
    >>> from matplotlib.figure import Figure
    >>> mixture = mixtura.Mixture([0.4, 0.6], [[0.0, 0.0], [3.0, 1.0]], [1.0, 0.5], "spherical")
    >>> mixtura.plots.uncertainty(mixture, mixture.sample(100, random_state=0)[0], ax=Figure(layout="constrained"))[0].get_xlabel()
    'share of rows (%)'
    """
    seen = shown(mixture, X, weight, names)
    some, told = chosen(seen, columns, 2)
    canvas.pyplot()
    taken = drawn(seen, points, random_state)
    reach = curves.reach(seen.mixture, np.sqrt(-2 * np.log1p(-SHARE)))
    assert seen.source is not None
    low, high = (limits[some] for limits in views(seen.source, taken.rows, *reach))
    sums = doubts(seen, some, low, high)
    bars, right = canvas.panels(ax, 1, 2, (WIDTH, max(HEIGHT, BAR * min(seen.mixture.K, BARS) + 1.8)), width_ratios=(3, 4))[0]
    _bars(bars, sums, seen.source.profile.weight)
    (_map if len(some) == 2 else _along)(right, seen, some, taken, sums, low, high)
    notes = [told, *_where(seen, taken, points, len(some)), "uncertainty, and components (their weights):"]
    canvas.legend(right, [*_classes(), *canvas.keys(seen.mixture.weights, line=len(some) == 2)], notes)
    width, height = canvas.room(right)
    right.set_xlabel(canvas.fitted(seen.names[some[0]], 0.9 * width, 9), fontsize=9)
    right.set_ylabel(canvas.fitted(seen.names[some[1]], 0.9 * height, 9) if len(some) == 2 else "uncertainty, 1 − max posterior", fontsize=9)
    return np.array([bars, right], dtype=object)


def _classes() -> list[canvas.Entry]:
    from matplotlib.patches import Patch

    return [(Patch(facecolor=canvas.blend(shade)), text) for shade, text in zip(SHADES, CLASSES, strict=True)]


class Doubts(NamedTuple):
    """Weights of rows, summed: by component and class of uncertainty (K, 4), times uncertainty (K,), by cell, and by cell times uncertainty."""

    classes: Array
    total: Array
    cells: Array
    doubtful: Array


def doubts(seen: Shown, columns: Sequence[int], low: Array, high: Array) -> Doubts:
    """The sums over all rows, from one pass."""
    source, mixture = seen.source, seen.mixture
    assert source is not None
    cells = CELLS if len(columns) == 2 else n_bins(source.profile.rows)
    flat = source.reduce(Doubted(seen.gaussians, mixture.frame, source.dtype, tuple(columns), low, high, cells))
    K, n = mixture.K, len(CLASSES)
    classes, total, rest = np.split(flat, [K * n, K * n + K])
    filled, doubtful = rest.reshape(2, *[cells] * len(columns))
    return Doubts(classes.reshape(K, n), total, filled, doubtful)


@dataclass(frozen=True, eq=False)
class Doubted:
    """What Doubts holds of a block, in one flat array; `cells` in each direction lie between `low` and `high` of the columns."""

    gaussians: AnyGaussians
    frame: Frame
    kind: np.dtype[Any]
    columns: tuple[int, ...]
    low: Array
    high: Array
    cells: int

    def __call__(self, block: Block) -> Array:
        """The sums of the block."""
        posterior = Asked(self.gaussians, self.frame, self.kind, "posterior")(block)
        K = posterior.shape[1]
        component = posterior.argmax(axis=1)
        doubt = np.maximum(0.0, 1 - posterior.max(axis=1))
        weights = np.ones(len(doubt)) if block.weights is None else block.weights
        kinds = component * len(CLASSES) + np.searchsorted(STEPS, doubt, side="right")
        cell, inside = self._cells(block.rows)
        size = self.cells ** len(self.columns)
        cell, doubt_inside, weights_inside = cell[inside], doubt[inside], weights[inside]
        return np.concatenate(
            [
                np.bincount(kinds, weights, K * len(CLASSES)),
                np.bincount(component, weights * doubt, K),
                np.bincount(cell, weights_inside, size),
                np.bincount(cell, weights_inside * doubt_inside, size),
            ]
        )

    def _cells(self, rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The cell of each row, and whether it lies in one."""
        places = (rows[:, self.columns] - self.low) / (self.high - self.low) * self.cells
        inside = np.all((places >= 0) & (places <= self.cells), axis=1)
        numbers = np.minimum(np.where(inside[:, None], places, 0).astype(np.intp), self.cells - 1)
        flat = np.zeros(len(rows), dtype=np.intp)
        for column in numbers.T:
            flat = flat * self.cells + column
        return flat, inside


def _bars(ax: Any, sums: Doubts, weight: float) -> None:
    """A bar for all rows, then one for each component, of the classes of uncertainty."""
    K = len(sums.classes)
    bars = min(K, BARS)
    held = sums.classes.sum(axis=1)
    lines = np.vstack([sums.classes.sum(axis=0), sums.classes[:bars]])
    lines = 100 * lines / np.maximum(lines.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    left = np.zeros(len(lines))
    for shares, shade in zip(lines.T, SHADES, strict=True):
        ax.barh(np.arange(len(lines)), shares, 0.72, left, color=canvas.blend(shade), edgecolor=canvas.blend(0.0), linewidth=0.4)
        left += shares
    labels = ["all rows", *(f"{k} ({canvas.percent(held[k] / weight)})" for k in range(bars))]
    ax.set_yticks(range(len(lines)), labels, fontsize=canvas.SMALL)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    canvas.numbers(ax.xaxis, 5)
    ax.set_xlabel("share of rows (%)", fontsize=9)
    ax.set_ylabel("assigned to component (share of rows)" + f", the first {BARS}" * (bars < K), fontsize=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(f"expected to be assigned wrongly: {canvas.percent(sums.total.sum() / weight)} of rows", fontsize=9, loc="left")


def _map(ax: Any, seen: Shown, some: list[int], taken: Drawn, sums: Doubts, low: Array, high: Array) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import BoundaryNorm, ListedColormap

    mixture = seen.mixture
    shades = {"cmap": ListedColormap([canvas.blend(shade) for shade in SHADES]), "norm": BoundaryNorm([0, *STEPS, 1], len(SHADES))}
    darkest = min(DARKEST, 1 - 1 / max(mixture.K, 2))
    if _are_points(seen, taken):
        doubt = _doubt(mixture, seen, taken.rows)
        order = np.argsort(doubt)
        x, y = taken.rows[order][:, some].T
        sizes = (SURE + (DOUBTFUL - SURE) * np.minimum(doubt / darkest, 1.0)) * taken.areas
        ax.scatter(x, y, sizes[order], doubt[order], linewidths=0, rasterized=True, **shades)
    else:
        with np.errstate(invalid="ignore"):
            mean = np.ma.masked_invalid(sums.doubtful / sums.cells)
        edges = [np.linspace(low[j], high[j], CELLS + 1) for j in (0, 1)]
        ax.pcolormesh(*edges, mean.T, rasterized=True, **shades)
    signs = canvas.signs(mixture.K)
    lines, colours = [sign.line for sign in signs], [sign.colour for sign in signs]
    ax.add_collection(LineCollection(list(outlines(mixture, some[0], some[1], SHARE)), colors=colours, linestyles=lines, linewidths=1.3, zorder=3))
    curves.means(ax, mixture, some[0], some[1])
    ax.set_xlim(*curves.padded(low[0], high[0]))
    ax.set_ylim(*curves.padded(low[1], high[1]))
    canvas.numbers(ax.xaxis, 6)
    canvas.numbers(ax.yaxis, 6)


def _along(ax: Any, seen: Shown, some: list[int], taken: Drawn, sums: Doubts, low: Array, high: Array) -> None:
    """One column: the uncertainty is a function of it; behind it, where rows lie."""
    mixture = seen.mixture
    heights = sums.cells / max(sums.cells.max(), np.finfo(float).tiny)
    x = curves.grid(mixture.means[:, 0], np.sqrt(mixture.variances[:, 0]), *curves.padded(low[0], high[0]))
    doubt = _doubt(mixture, seen, x[:, None])
    top = max(1.05 * float(doubt.max()), 0.05)
    ax.stairs(0.95 * top * heights, np.linspace(low[0], high[0], len(heights) + 1), color=canvas.blend(0.55), linewidth=1.0)
    ax.plot(x, doubt, color=canvas.blend(1.0), linewidth=1.4)
    for mean, sign in zip(mixture.means[:, 0], canvas.signs(mixture.K), strict=True):
        ax.plot(mean, 0, sign.marker, color=sign.colour, markersize=7, clip_on=False, zorder=4)
    ax.set_xlim(*curves.padded(low[0], high[0]))
    ax.set_ylim(0, top)
    canvas.numbers(ax.xaxis, 6)
    canvas.numbers(ax.yaxis, 5)


def _doubt(mixture: Mixture, seen: Shown, rows: Array) -> Array:
    return np.asarray(np.maximum(0.0, 1 - mixture.ask(rows, "posterior", seen.gaussians).max(axis=1)))


def _are_points(seen: Shown, taken: Drawn) -> bool:
    assert seen.source is not None
    return len(taken.rows) >= seen.source.profile.rows


def _where(seen: Shown, taken: Drawn, points: int, d: int) -> list[str]:
    """What the right picture shows, in words."""
    assert seen.source is not None
    total = seen.source.profile.rows
    if d == 1:
        return [f"black: uncertainty; grey: where the {total:,} rows lie, to a scale of its own"]
    outline = f"ellipses: {canvas.percent(SHARE)} of a component"
    if _are_points(seen, taken):
        return [f"{total:,} row{'s' * (total != 1)}: the larger and darker, the more uncertain", outline]
    return [f"{total:,} rows, more than {points:,} points: the mean uncertainty in {CELLS} x {CELLS} cells", outline]
