"""The density of a mixture in one column, component by component, and where a mixture is to be seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.plots import canvas

FINE = 60  # points in each direction from a mean
FAR = 6.0  # standard deviations that these reach
EVEN = 400  # points at equal distances, besides
PAD = 0.04  # of the width, at both sides


def reach(mixture: Mixture, deviations: float) -> tuple[Array, Array]:
    """From where to where the components reach in each column, so many standard deviations from their means: (D,), (D,)."""
    spread = deviations * np.sqrt(mixture.variances)
    return (mixture.means - spread).min(axis=0), (mixture.means + spread).max(axis=0)


def padded(low: float, high: float) -> tuple[float, float]:
    """Limits of an axis; of no width around one value."""
    pad = PAD * (high - low) or 0.5 * abs(low) or 0.5
    return low - pad, high + pad


def grid(means: Array, deviations: Array, low: float, high: float, fine: int = FINE, even: int = EVEN) -> Array:
    """Points from low to high, close together where components are narrow, so that none falls between them."""
    near = (means[:, None] + deviations[:, None] * np.linspace(-FAR, FAR, 2 * fine + 1)).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, even), near[(near > low) & (near < high)]]))


def densities(mixture: Mixture, column: int, x: Array) -> Array:
    """pi_k N(x | mu_k, sigma_k^2) of one column, per unit of it: (K, n).

    >>> import mixtura
    >>> mixture = mixtura.Mixture([1.0], [[5.0, 0.0]], [[[4.0, 1.0], [1.0, 9.0]]])
    >>> densities(mixture, 1, np.array([0.0])).round(4)
    array([[0.133]])
    """
    mean, deviation = mixture.means[:, column, None], np.sqrt(mixture.variances[:, column, None])
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(mixture.weights[:, None] * np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi)))


def draw(ax: Any, mixture: Mixture, column: int, low: float, high: float) -> Array:
    """Lines of the components and of their sum; returns the points of the latter, (2, n)."""
    low, high = padded(low, high)
    x = grid(mixture.means[:, column], np.sqrt(mixture.variances[:, column]), low, high)
    parts = densities(mixture, column, x)
    ax.plot(x, parts.sum(axis=0), color=canvas.blend(1.0), linewidth=1.3, zorder=3)
    if mixture.K > 1:
        for part, sign in zip(parts, canvas.signs(mixture.K), strict=True):
            ax.plot(x, part, color=sign.colour, linestyle=sign.line, linewidth=1.2, zorder=4)
    return np.stack([x, parts.sum(axis=0)])


def means(ax: Any, mixture: Mixture, x: int, y: int) -> None:
    """A mark at each component's mean."""
    for mean, sign in zip(mixture.means, canvas.signs(mixture.K), strict=True):
        ax.plot(mean[x], mean[y], sign.marker, color=sign.colour, markersize=5, markeredgecolor=canvas.blend(0.0), markeredgewidth=0.8, zorder=4)
