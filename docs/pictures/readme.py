"""Draws readme.png, the picture that README.md and the site open with: `python docs/pictures/readme.py` (needs matplotlib, the extra `plot`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

import mixtura
from mixtura.showing import colours, outlines

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "examples" / "old_faithful.csv"
SHARES = (0.5, 0.9)  # of a component, that its ellipses hold
FAMILIES = {"tied": "EEE, one covariance", "full": "VVV, each its own", "VEV": "VEV, one shape"}
LINES = ("#0072b2", "#d55e00", "#009e73")


def picture(path: Path = HERE / "readme.png") -> None:
    """Rows by component with the mixture's ellipses, and how the best was chosen."""
    rows = np.loadtxt(DATA, delimiter=",", skiprows=1)
    selection = mixtura.select(rows, range(1, 8), list(FAMILIES), random_state=0)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    _rows(left, rows, selection.ranking[0].mixture)
    _choice(right, selection)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _rows(ax: Any, rows: Any, mixture: mixtura.Mixture) -> None:
    component, surely = mixture.assign(rows), mixture.posterior(rows).max(axis=1)
    for k, colour in enumerate(colours(mixture.K)):
        mine = component == k
        ax.scatter(*rows[mine].T, s=16, color=colour, alpha=np.clip(surely[mine], 0.35, 1), linewidths=0)
    for share in SHARES:
        for line, colour in zip(outlines(mixture, 0, 1, share), colours(mixture.K), strict=True):
            ax.plot(*line.T, color=colour, linewidth=1.5)
    ax.set(xlabel="eruption, minutes", ylabel="wait for the next, minutes")
    ax.set_title("Old Faithful: 272 eruptions, 3 components", loc="left", fontsize="medium")
    ax.text(0.98, 0.03, "ellipses hold 50 and 90 % of a component", transform=ax.transAxes, ha="right", fontsize="small", color="dimgrey")


def _choice(ax: Any, selection: mixtura.Selection) -> None:
    for (name, label), colour in zip(FAMILIES.items(), LINES, strict=True):
        cells = [one for one in selection.cells if one.family is mixtura.families.family_of(name) and one.regular]
        ax.plot([one.components for one in cells], [one.bic for one in cells], "o-", color=colour, markersize=4, label=label)
    best = selection.ranking[0]
    ax.plot(best.components, best.bic, "o", markersize=13, markerfacecolor="none", markeredgecolor="black")
    ax.set(xlabel="components", ylabel="BIC (larger is better)", ylim=(-2400, -2305))
    ax.set_title(f"the best of {len(selection.cells)} by BIC: {best.components} components, {best.family.code}", loc="left", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.22, 0.02))


if __name__ == "__main__":
    mpl.use("Agg")
    picture()
