"""`python -m benchmarks.mclust [--quick] [DATASET ...]`: selections over 1 to 9 components and all families beside R mclust 6.0.0's own figures.

A cell is matched where its BIC is at least mclust's less 0.05, which is what mclust's early stopping may cost either side. Only a regular
optimum beats a figure honestly, so the cells that are not regular here are counted apart. A fall is a likelihood below that of a mixture
that the cell contains: of a special family, or of one component less. `--quick` takes 1 to 4 components.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from pathlib import Path

import numpy as np

import mixtura
from mixtura.families import family_of
from mixtura.selection import Candidate, Selection

DATA = Path(__file__).parent.parent / "tests" / "data"
DATASETS = ("faithful", "iris", "diabetes", "banknote", "acidity", "cross")
ALLOWED = 0.05  # of BIC
ROUNDING = 1e-6  # nats: falls below it are none
WORST = 8  # gaps that are shown

Cell = tuple[str, int]


def theirs(name: str) -> dict[Cell, float]:
    """mclust's BIC by family and components."""
    with (DATA / "mclust_bic.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == name]
    return {(family_of(row["family"]).code, int(row["components"])): float(row["bic"]) for row in rows}


def falls(found: dict[Cell, Candidate]) -> list[str]:
    """Cells below what they contain."""
    said = []
    for (code, K), one in found.items():
        smaller = [found[code, K - 1]] if (code, K - 1) in found else []
        smaller += [other for (_, k), other in found.items() if k == K and other is not one and one.family.nests(other.family)]
        said += [
            f"{code},{K} is {other.log_likelihood - one.log_likelihood:.2g} nats below {other.family.code},{other.components}"
            for other in smaller
            if one.log_likelihood < other.log_likelihood - ROUNDING
        ]
    return said


def compare(name: str, selection: Selection, seconds: float) -> tuple[int, int, list[str]]:
    """Cells compared, cells matched or beaten, and the lines that say so."""
    found = {(one.family.code, one.components): one for one in selection.ranking}
    gaps = {cell: found[cell].bic - bic for cell, bic in theirs(name).items() if cell in found}
    good = sum(gap >= -ALLOWED for gap in gaps.values())
    regular = {cell: gap for cell, gap in gaps.items() if found[cell].regular}
    below = sorted((gap, cell) for cell, gap in regular.items() if gap < -ALLOWED)
    better = sum(gap > ALLOWED for gap in regular.values())
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(one.status for one in selection.ranking).most_common())
    best, fallen = selection.ranking[0], falls(found)
    board = (
        f"{name}: {len(gaps)} cells, {good / len(gaps):.1%} matched or beaten; among {len(regular)} regular ones {better} beaten, {len(below)} below"
    )
    lines = [f"{board}; {len(fallen)} falls; {seconds:.2f} s; best {best.family.code},{best.components} BIC {best.bic:.3f} ({statuses})"]
    lines += [f"    {code},{K} {gap:.3f}" for gap, (code, K) in below[:WORST]]
    return len(gaps), good, lines + [f"    {line}" for line in fallen]


def main() -> None:
    """Prints the board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=DATASETS, metavar="DATASET")
    parser.add_argument("--quick", action="store_true", help="1 to 4 components")
    options = parser.parse_args()
    compared, matched = 0, 0
    for name in options.datasets or DATASETS:
        X = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)
        mixtura.select(X, [1, 4], "all", random_state=1)  # compiles
        begun = time.perf_counter()
        selection = mixtura.select(X, range(1, 5 if options.quick else 10), "all", random_state=0)
        cells, good, lines = compare(name, selection, time.perf_counter() - begun)
        compared, matched = compared + cells, matched + good
        print(*lines, sep="\n", flush=True)
    print(f"all: {matched} of {compared} cells matched or beaten, {matched / compared:.2%}")


if __name__ == "__main__":
    main()
