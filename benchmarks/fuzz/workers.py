"""Processes that run cases and can be killed: a case that hangs or crashes ends its process, is named, and the others go on."""

from __future__ import annotations

import faulthandler
import importlib
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fuzz.cases import Outcome, run

SECOND = 3  # times the limit: what a case has the second time, with the kernels compiled that the first compiled
ASKED = signal.SIGUSR1  # the process writes down where it is
LAST = 2.0  # seconds that it has for that
TICK = 0.5  # seconds between looks at the clock


BEGUN = "begun"  # what a process says when it begins a case: its time runs from then, and not from when the process was started


class _At(NamedTuple):
    """The case that a process is at, the seconds that it has, and when they are over."""

    number: int
    allowed: float
    until: float = math.inf


def _work(connection: Connection, seed: int, folder: str, table: str) -> None:
    """Runs the cases whose numbers come in, until there are no more."""
    kinds = importlib.import_module(table)
    stack = Path(folder, "stack").open("w")  # noqa: SIM115 - where the process says where it was, when it crashes or is asked
    faulthandler.enable(stack)
    faulthandler.register(ASKED, stack)
    while (number := connection.recv()) is not None:
        connection.send(BEGUN)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            outcome = run(kinds.KINDS, kinds.SHARES, seed, number, Path(place))
        connection.send(outcome)


class _Worker:
    """A process, and the case that it is at."""

    def __init__(self, seed: int, folder: Path, table: str):
        self.seed, self.folder, self.table = seed, folder, table
        self.at: _At | None = None
        self._begin()

    def _begin(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self.stack = folder / "stack"
        self.connection, theirs = multiprocessing.get_context("spawn").Pipe()
        arguments = theirs, self.seed, str(folder), self.table
        self.process = multiprocessing.get_context("spawn").Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def give(self, number: int | None, limit: float) -> None:
        """A case to run; None where there are no more."""
        self.at = None if number is None else _At(number, limit)
        if number is not None:
            self.connection.send(number)

    def heard(self, at: _At, kind: str) -> Outcome | None:
        """What became of the case, as far as the process has said; None where it has only begun."""
        try:
            said = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code, where = self.process.exitcode, self.replace()
            return Outcome(at.number, kind, "found", f"the process ended with {code}", where)
        if isinstance(said, Outcome):
            return said
        self.at = at._replace(until=time.monotonic() + at.allowed)
        return None

    def replace(self) -> str:
        """Kills the process and begins another; returns where it was."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, ASKED)
            self.process.join(LAST)
        self.process.kill()
        self.process.join()
        where = self.stack.read_text() if self.stack.exists() else ""
        self._begin()
        return where

    def end(self) -> None:
        """Kills the process: a case that it is at goes with it."""
        self.process.kill()
        self.process.join()


def outcomes(numbers: Iterator[int], seed: int, jobs: int, limit: float, table: str = "benchmarks.fuzz.kinds") -> Iterator[Outcome]:
    """What becomes of these cases, in the order in which they end. `table` is the module of kinds and shares."""
    shares = importlib.import_module(table).SHARES
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # whose threads would take the cores from the other processes
    with tempfile.TemporaryDirectory(prefix="mixtura-fuzz-") as folder:
        workers = [_Worker(seed, Path(folder), table) for _ in range(jobs)]
        try:
            for worker in workers:
                worker.give(next(numbers, None), limit)
            while busy := [(worker, worker.at) for worker in workers if worker.at is not None]:
                ready: list[Any] = wait([worker.connection for worker, _ in busy], TICK)
                for worker, at in busy:
                    kind = shares[at.number % len(shares)]
                    outcome = None
                    if worker.connection in ready:
                        outcome = worker.heard(at, kind)
                    elif time.monotonic() > at.until:
                        where = worker.replace()
                        if at.allowed == limit:
                            worker.give(at.number, SECOND * limit)
                        else:
                            outcome = Outcome(at.number, kind, "found", f"no end within {at.allowed:.0f} s", where)
                    if outcome is not None:
                        yield outcome
                        worker.give(next(numbers, None), limit)
        finally:
            for worker in workers:
                worker.end()
