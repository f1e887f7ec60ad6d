"""A notebook that a real kernel runs: what is seen while its cells run, and what is read in it later, wherever it is opened.

One kernel runs all cells, once; tests look at what came of each.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.long

BEGIN = """
import signal, sys, threading
import numpy as np
import mixtura
from mixtura.progress import bars

bars.PAUSE = 0.0  # every step is drawn
X = np.random.default_rng(0).normal(size=(240, 2)) + np.repeat([[-3.0, 0.0], [3.0, 0.0]], 120, axis=0)
start = mixtura.start(X, 3, random_state=0)

def interrupt(at):
    if at.number == 5:
        signal.raise_signal(signal.SIGINT)

def blocks():
    yield from np.split(X, 4)

threads = set()
grid = {'n_components': [1, 2, 3], 'families': ['tied', 'full'], 'random_state': 0, 'n_jobs': 2}
"""
CELLS = {
    "begin": BEGIN,
    "silent": "selection = mixtura.select(X, **grid)",
    "select": "shown = mixtura.select(X, **grid, progress=True, on_progress=lambda at: threads.add(threading.current_thread().name))",
    "select by folds": "mixtura.select(X, [1, 2], 'tied', criterion='held_out', folds=2, rule='map', random_state=0, progress=True);",
    "fit": "fit = mixtura.fit(X, start, tol=0.0, max_steps=20, progress=True)",
    "fit a stream": "mixtura.fit(blocks, start, tol=0.0, max_steps=20, progress=True);",
    "test": "test = mixtura.likelihood_ratio_test(X[::4], [1, 2], 'tied', n_bootstrap=19, random_state=0, n_jobs=1, progress=True)",
    "two": "for _ in range(2):\n    mixtura.fit(X, start, tol=0.0, max_steps=3, progress=True)",
    "interrupt": "mixtura.fit(X, start, tol=0.0, progress=True, on_step=interrupt);",
    "error": "mixtura.fit(X, start, tol=0.0, progress=True, on_step=lambda step: 1 / 0);",
    "after": """
same = [one.bic for one in selection.ranking] == [one.bic for one in shown.ranking]
same, any("mixtura-cells" in name for name in threads), "ipywidgets" in sys.modules, sys.executable
""",
    "a mixture": "fit.mixture",
    "a selection": "selection",
    "an estimator": "selection.best",
}
ONE_LINE = {  # what is left to read
    "select": r"6 fits in \d+\.\d s",
    "select by folds": r"6 fits in \d+\.\d s",
    "fit": r"20 steps in \d+\.\d s, loglik -\d+\.\d{6} per row",
    "fit a stream": r"20 steps in \d+\.\d s, loglik -\d+\.\d{6} per row",
    "test": r"1 against 2: 19/19 replicates; 2 against 3: 19/19 replicates; \d+\.\d s in all",
    "interrupt": r"5 steps in \d+\.\d s, loglik -\d+\.\d{6} per row",
    "error": r"0 steps in \d+\.\d s, loglik -\d+\.\d{6} per row",
}
WORDS = {  # what was seen
    "select": ("grid", "epochs", "/6", "loglik"),
    "select by folds": ("grid", "6/6", "2 components, tied"),
    "fit": ("steps", "20/20", "per row"),
    "fit a stream": ("steps", "rows", "240/240"),
    "test": ("1 against 2", "19/19", "2 against 3"),
}


class Ran(NamedTuple):
    """What came of a cell: its outputs as the notebook keeps them, and all that it displayed on the way."""

    outputs: list[Any]
    seen: list[Any]


class _Client(NotebookClient):  # type: ignore[misc]
    """Keeps what a page would have shown on the way."""

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        self.seen = getattr(self, "seen", [])
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.seen.append((cell_index, msg["content"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    client = _Client(
        notebook, kernel_name="python3", timeout=300, allow_errors=True, resources={"metadata": {"path": tmp_path_factory.mktemp("cells")}}
    )
    client.execute()
    nbformat.validate(notebook)
    yield {
        name: Ran(cell.outputs, [content for index, content in client.seen if index == number])
        for number, (name, cell) in enumerate(zip(CELLS, notebook.cells, strict=True))
    }


def test_the_kernel_is_this_python(ran: dict[str, Ran]) -> None:
    (output,) = ran["after"].outputs
    assert output["data"]["text/plain"] == repr((True, True, False, sys.executable))  # the same figures, found by threads, and no widgets


def test_nothing_is_shown_unless_asked(ran: dict[str, Ran]) -> None:
    assert ran["silent"] == ran["begin"] == ([], [])


@pytest.mark.parametrize("name", ONE_LINE)
def test_one_line_is_left_to_read(ran: dict[str, Ran], name: str) -> None:
    """In a saved notebook too, on pages that run nothing; errors and warnings come after it, as ever."""
    first, *others = ran[name].outputs
    assert first["output_type"] == "display_data" and list(first["data"]) == ["text/plain"]
    assert re.fullmatch(ONE_LINE[name], first["data"]["text/plain"])
    assert [one["output_type"] for one in others] == {"interrupt": ["stream"], "error": ["error"]}.get(name, [])


def test_an_interrupt_is_told_of_as_ever(ran: dict[str, Ran]) -> None:
    assert "InterruptionWarning: the fit was interrupted: got 4 steps" in ran["interrupt"].outputs[1]["text"]
    assert ran["error"].outputs[1]["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize("name", WORDS)
def test_bars_are_seen_on_the_way(ran: dict[str, Ran], name: str) -> None:
    """Each replaces the one before, also where threads tell of it: all are of one display, of this cell."""
    *drawn, last = ran[name].seen
    assert len({content["transient"]["display_id"] for content in ran[name].seen}) == 1
    assert len(drawn) > 5 and "text/html" not in last["data"]
    for kind in ("text/html", "text/plain"):
        assert all(word in drawn[-1]["data"][kind] for word in WORDS[name])
        assert "\x1b" not in drawn[-1]["data"][kind]
    assert all(_Balanced.of(content["data"]["text/html"]) for content in drawn)


def test_each_call_has_a_display_of_its_own(ran: dict[str, Ran]) -> None:
    assert [output["data"]["text/plain"][:7] for output in ran["two"].outputs] == ["3 steps"] * 2


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "a mixture": ("<table", "component", "weight", "<th"),
        "a selection": ("<table", "BIC", "tied", "EEE"),
        "an estimator": ("GaussianMixture", "<table", "weight"),
    }.items(),
)
def test_results_show_themselves_as_tables(ran: dict[str, Ran], name: str, words: tuple[str, ...]) -> None:
    (output,) = ran[name].outputs
    assert output["output_type"] == "execute_result"
    assert all(word in output["data"]["text/html"] for word in words) and output["data"]["text/plain"]
    assert _Balanced.of(output["data"]["text/html"])


class _Balanced(HTMLParser):
    """Whether every element that begins ends, in order."""

    VOID = ("br", "hr", "img", "input", "link", "meta")

    @classmethod
    def of(cls, html: str) -> bool:
        parser = cls()
        parser.open, parser.good = list[str](), True
        parser.feed(html)
        parser.close()
        return parser.good and not parser.open

    open: list[str]
    good: bool

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self.good &= bool(self.open) and self.open.pop() == tag
