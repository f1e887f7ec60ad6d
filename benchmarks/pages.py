"""How soon pages are there: `python -m benchmarks.pages`. It needs `pip install '.[test]'` and Chromium.

- A report of a selection over 30,000 rows of 4 columns, of which 20,000 are drawn: from the beginning of the navigation until the scatter has been
  painted, and until all pictures have.
- `mixtura explore` on Old Faithful: from the slider's event until the picture has been painted, of fits that were not known before.
- The same on 100,000 rows of 5 columns, whose moves are fitted to 2,500 rows first: until that picture, until the first picture of the fit to all
  rows, which may be on its way, and until the picture of that fit when it has arrived.

Each round opens a page of its own. Milliseconds are those of the browser's clock, and nothing is taken off for what else the machine does; "painted"
means that a frame has begun after the one that holds the picture. `--rounds N` for more or fewer of them, `--only report,few,many` for some parts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mixtura
from benchmarks import data, machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest does: the browser and the pages there are those of the tests

from browser import opened, started, until
from serving import FAITHFUL, MOVED, exploring

ROUNDS = 5
PATIENCE = 120  # seconds for a fit to all rows
SOON, FEW, MANY = 2_000, 300, 1_000  # milliseconds: a report, a move on 272 rows, a move on 100,000 x 5
PAINTED = """new MutationObserver(() => {
    const what = document.documentElement.dataset.drawn; // the second frame begins when the first has been painted
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark(`painted:${what}`)));
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-drawn"] })"""
MARKS = "Object.fromEntries(performance.getEntriesByType('mark').map((one) => [one.name, one.startTime]))"

Move = dict[str, Any]  # what the page keeps of a picture: see Page.moves


class Moved(NamedTuple):
    """A move's first picture, the first one of all rows (None where none was drawn before the fit arrived), and the last."""

    first: Move
    underway: Move | None
    arrived: Move


def told(words: str, milliseconds: Iterable[float], limit: float) -> str:
    """A line: the median, the range, and whether the median keeps within the limit."""
    every = list(milliseconds)
    median = statistics.median(every)
    verdict = "PASS" if median < limit else "FALLS SHORT"
    return f"{words:70} {median:7.0f} ms   {min(every):6.0f} to {max(every):6.0f} of {len(every):2}   (under {limit:.0f}: {verdict})"


def parts(found: list[Move]) -> str:
    """Of what a picture's time is made, in medians."""
    fit, request, draw = (statistics.median(one[name] for one in found) for name in ("server", "request", "draw"))
    return f"    fit {fit:.0f}, on its way {request - fit:.0f}, drawing {draw:.0f} ms"


def report(browser: Any, folder: Path, rounds: int) -> list[str]:
    """The report's scatter, and all of it."""
    X, path = data.rows(30_000, 4, 3), folder / "report.html"
    mixtura.report.write(mixtura.select(X, [1, 2, 3, 4], "usual", random_state=0), X, path)
    found = []
    for _ in range(rounds):
        with opened(browser=browser) as page:
            page.add_init_script(PAINTED)
            page.goto(path.as_uri())
            until(lambda page=page: "painted:all" in page.evaluate(MARKS), "the pictures")
            found.append(page.evaluate(MARKS))
    words = f"report, 20,000 of 30,000 rows x 4, {path.stat().st_size / 1e6:.1f} MB: "
    return [
        told(words + "the scatter", (at.get("painted:scatter", at["painted:all"]) for at in found), SOON),
        told(words + "everything", (at["painted:all"] for at in found), SOON),
    ]


def few(browser: Any, folder: Path, rounds: int) -> list[str]:
    """Moves on Old Faithful."""
    found: list[Move] = []
    for _ in range(rounds):
        with exploring(browser, FAITHFUL, warm=True) as page:
            before = len(page.moves())
            for K in MOVED:
                page.slide(K)
            found += page.moves()[before:]
    assert not any(one["known"] for one in found)
    return [told("explore, 272 rows x 2: a move", (one["took"] for one in found), FEW), parts(found)]


def many(browser: Any, folder: Path, rounds: int) -> list[str]:
    """Moves on more rows than are fitted at once."""
    path = folder / "rows.npy"
    np.save(path, data.rows(100_000, 5, 6))
    found: list[Moved] = []
    for _ in range(rounds):
        with exploring(browser, path, warm=True) as page:
            for K in MOVED:
                before = len(page.moves("underway"))
                page.slide(K, "all", PATIENCE)
                underway = page.moves("underway")[before:]
                found.append(Moved(page.moves()[-1], underway[0] if underway else None, page.moves("all")[-1]))
    assert not any(one.first["known"] or one.arrived["known"] for one in found)
    soonest, arrived = [one.underway or one.arrived for one in found], [one.arrived for one in found]
    words = "explore, 100,000 rows x 5: "
    return [
        told(words + "a move, fitted to 2,500", (one.first["took"] for one in found), MANY),
        parts([one.first for one in found]),
        told(words + "the fit to all, as far as it is", (one["took"] for one in soonest), MANY),
        f"    drawing {statistics.median(one['draw'] for one in soonest):.0f} ms; {sum(one.underway is None for one in found)} had arrived by then",
        told(words + "the fit to all, arrived", (one["took"] for one in arrived), MANY),
        "    by components: "
        + ", ".join(f"{K}: {statistics.median(one['took'] for one in arrived if one['components'] == K):.0f} ms" for K in MOVED),
    ]


PARTS = {"report": report, "few": few, "many": many}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default=",".join(PARTS))
    asked = parser.parse_args()
    for line in machine.lines(machine.describe(), machine.versions()):
        print(line)
    with tempfile.TemporaryDirectory() as folder, started() as browser:
        print(f"Chromium {browser.version}", flush=True)
        for name in asked.only.split(","):
            print("\n".join(PARTS[name](browser, Path(folder), asked.rounds)), flush=True)


if __name__ == "__main__":
    main()
