"""The tables that the laws go through; and which tests run, on what, and what is said of it at the end.

`pytest` runs the quick part: what takes long is marked so by hand, and of crosses `covering` chooses. `pytest -m ''`, and MIXTURA_TESTS=all, run all.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import covering
import needs
import numpy as np
import pytest

from mixtura.families import ALL, Family

QUICK = "quick or not (long or crossed)"  # as pyproject.toml has it
WORKER = "PYTEST_XDIST_WORKER" in os.environ  # this is one of several processes, or was started by one
WORKERS = 4  # at most: each takes a gigabyte of memory
LEFT_OUT = pytest.StashKey[int]()  # how many tests the quick run leaves out


@pytest.fixture(params=ALL, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Every family in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> type:
    """Both dtypes of rows in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    """matplotlib keeps every figure until it is closed, and warns of the twenty-first."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


# which tests run


def pytest_configure(config: pytest.Config) -> None:
    """Those named one by one run whatever they are marked with; so do all where all are wanted."""
    setting = os.environ.get(needs.SETTING, "")
    if setting not in ("", "all"):
        raise pytest.UsageError(f"{needs.SETTING} is not usable: got {setting!r}, expected 'all' or nothing")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so it is for what a shell runs in the background; tests interrupt themselves
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.markexpr == QUICK and (needs.everything() or any("::" in argument for argument in config.args)):
        config.option.markexpr = ""


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Iterator[None]:
    """Of a cross, leaves out the cases that there are not; refuses names that are others in every process, which then could not share the work."""
    made = yield
    if not isinstance(made, list):
        return made
    for one in made:
        if " at 0x" in one.name:
            raise pytest.Collector.CollectError(
                f"a test's name holds an address: got {one.name!r}, expected the same name in every process; try ids="
            )
    return [one for one in made if not _left_out(one)]


def _left_out(item: Any) -> bool:
    """Whether a cross holds no such case; a test without parameters is no cross."""
    return hasattr(item, "callspec") and any(mark.kwargs["where"](**item.callspec.params) for mark in item.iter_markers("without"))


@pytest.hookimpl(tryfirst=True)  # before what is marked is deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what the quick run leaves out of a cross."""
    laws = defaultdict(list)
    for item in items:
        laws[item.nodeid.partition("[")[0]].append(item)
    for name, crossed in laws.items():
        cases = _cases(crossed)
        if len(cases[0]) > 1:
            taken = covering.cover(cases, name)
            for number, item in enumerate(crossed):
                if number not in taken:
                    item.add_marker("crossed")


def _cases(items: list[pytest.Item]) -> list[tuple[str, ...]]:
    """What of each list that is crossed is in a law's items; parameters that are given together have one list."""
    return [tuple(item.callspec._idlist) if hasattr(item, "callspec") else () for item in items]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """A file of tests that begins by importing a library which the machine lacks is skipped."""
    report = yield
    call = getattr(report, "call", None)
    missing = needs.missing_for(call.excinfo.value) if call and call.excinfo else None
    if missing and not needs.everything():
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: {missing.how}")
    return report


# on how many processors


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Whole folders are shared among processes, by pytest-xdist; `pytest -n 0` keeps them in one."""
    asked = getattr(config.option, "numprocesses", 0) is not None or WORKER
    if not asked and all(Path(argument).is_dir() for argument in config.args):
        config.option.numprocesses = "auto"
        config.option.dist = "worksteal"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Each takes a gigabyte of memory."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, WORKERS)


# what is said at the end


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts those that the quick run leaves out; each of several processes leaves out the same ones, and one tells."""
    for item in items:
        if item.config.option.markexpr == QUICK and (item.get_closest_marker("long") or item.get_closest_marker("crossed")):
            item.config.stash[LEFT_OUT] = item.config.stash.get(LEFT_OUT, 0) + 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the count from a process to the one that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receives it."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What was not run and why, and what the files cost."""
    say = terminalreporter.write_line
    skipped = [(report, report.longrepr[2].removeprefix("Skipped: ")) for report in terminalreporter.stats.get("skipped", ())]
    for reason, count in Counter(reason for report, reason in skipped if isinstance(report, pytest.TestReport)).items():
        if reason.startswith(needs.TESTS):
            say(f"{count} test{'s' * (count > 1)} of {reason.removeprefix(needs.TESTS)}")
    for line in sorted({f"all of {report.nodeid} skipped: {reason}" for report, reason in skipped if isinstance(report, pytest.CollectReport)}):
        say(line)
    if left_out := config.stash.get(LEFT_OUT, 0):
        say(f"{left_out} tests left out, which take long or are more of a cross: `pytest -m ''` runs all")
    seconds = Counter[str]()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            seconds[Path(report.location[0]).stem.removeprefix("test_")] += report.duration
    if len(seconds) > 1:
        say("seconds: " + ", ".join(f"{name} {cost:.0f}" for name, cost in seconds.most_common() if cost >= 0.5))
