"""Processes that run cases and can be killed: a case that hangs or crashes ends its process, is named, and the others go on."""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.fuzz.cases import Outcome, run

SECOND = 3  # times the limit: what a case has the second time, with the kernels compiled that the first compiled
ASKED = signal.SIGUSR1  # the process writes down where it is
LAST = 2.0  # seconds that it has for that
TICK = 0.5  # seconds between looks at the clock


def _work(connection: Connection, seed: int, folder: str, table: str) -> None:
    """Runs the cases whose numbers come in, until there are no more."""
    kinds = importlib.import_module(table)
    stack = Path(folder, "stack").open("w")  # noqa: SIM115 - where the process says where it was, when it crashes or is asked
    faulthandler.enable(stack)
    faulthandler.register(ASKED, stack)
    while (number := connection.recv()) is not None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            outcome = run(kinds.KINDS, kinds.SHARES, seed, number, Path(place))
        connection.send(outcome)


class _Worker:
    """A process, and the case that it is at."""

    def __init__(self, seed: int, folder: Path, table: str):
        self.seed, self.folder, self.table = seed, folder, table
        self.at: tuple[int, float, float] | None = None
        self._begin()

    def _begin(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self.stack = folder / "stack"
        self.connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, self.seed, str(folder), self.table), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, number: int, limit: float) -> None:
        self.at = number, time.monotonic() + limit, limit
        self.connection.send(number)

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
        if self.process.is_alive():
            self.connection.send(None)
            self.process.join(10)
            self.process.kill()


def outcomes(numbers: Iterator[int], seed: int, jobs: int, limit: float, table: str = "benchmarks.fuzz.kinds") -> Iterator[Outcome]:
    """What becomes of these cases, in the order in which they end. `table` is the module of kinds and shares."""
    shares = importlib.import_module(table).SHARES
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="mixtura-fuzz-") as folder:
        workers = [_Worker(seed, Path(folder), table) for _ in range(jobs)]
        try:
            for worker in workers:
                _next(worker, numbers, limit)
            while busy := [worker for worker in workers if worker.at is not None]:
                ready: list[Any] = wait([worker.connection for worker in busy], TICK)
                for worker in busy:
                    assert worker.at is not None
                    number, until, allowed = worker.at
                    kind = shares[number % len(shares)]
                    if worker.connection in ready:
                        try:
                            yield worker.connection.recv()
                        except (EOFError, ConnectionError):
                            worker.process.join()
                            code, where = worker.process.exitcode, worker.replace()
                            yield Outcome(number, kind, "found", f"the process ended with {code}", where)
                    elif time.monotonic() > until:
                        where = worker.replace()
                        if allowed == limit:
                            worker.give(number, SECOND * limit)
                            continue
                        yield Outcome(number, kind, "found", f"no end within {allowed:.0f} s", where)
                    else:
                        continue
                    _next(worker, numbers, limit)
        finally:
            for worker in workers:
                worker.end()


def _next(worker: _Worker, numbers: Iterator[int], limit: float) -> None:
    number = next(numbers, None)
    worker.at = None
    if number is not None:
        worker.give(number, limit)
