"""Timing side by side and measuring memory: what every case of `benchmarks.speed` is made of.

Sides take turns, round by round, so that a busy moment of a shared machine hits all of them; a figure is the median of its rounds, a ratio
the median of the ratios within rounds. Between two turns the process rests, because the worker threads of OpenBLAS and OpenMP spin for some
30 ms after their last task and would take a core from whoever comes next.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Turn = Callable[[], float]  # runs one side once and returns the seconds that count

REST, LONG_REST = 0.02, 0.1  # seconds between two turns, and after a side that works through BLAS
SPINNING = ("scikit-learn", "product")  # these do; one after the other needs no long rest
MB = 1e6
FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)  # what a side may raise without ending the run
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Timing:
    """One side's seconds, round by round; its extra memory at the peak, in MB; what it raised instead."""

    seconds: list[float] = field(default_factory=list)
    extra_mb: float | None = None
    error: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Result:
    """What a kind of case found: plain numbers for JSON and for the targets, and the lines that say them."""

    figures: dict[str, Any]
    lines: list[str]


def alternate(turns: Mapping[str, Turn], rounds: Mapping[str, int]) -> dict[str, Timing]:
    """Every side's timing. A first turn each is not timed: it warms up and measures memory. `rounds` may be fewer for slow sides."""
    timings = {name: Timing() for name in turns}
    rest = _Rests()
    for name, turn in turns.items():
        rest(name)
        try:
            _, timings[name].extra_mb = peak_of(turn)
        except FAILURES as error:
            timings[name].error = _line(error)
    for number in range(max(rounds.values())):
        for name, turn in turns.items():
            timing = timings[name]
            if number >= rounds[name] or timing.error:
                continue
            rest(name)
            try:
                timing.seconds.append(turn())
            except FAILURES as error:
                timing.error, timing.seconds = _line(error), []
    return timings


class _Rests:
    """Sleeps before a turn, longer after a side whose threads spin."""

    def __init__(self) -> None:
        self._spun = False

    def __call__(self, name: str) -> None:
        spins = name.startswith(SPINNING)
        time.sleep(LONG_REST if self._spun and not spins else REST)
        self._spun = spins


def ratio(slow: Timing, fast: Timing) -> float | None:
    """How many times faster `fast` is: the median over the rounds that both ran."""
    pairs = list(zip(slow.seconds, fast.seconds, strict=False))
    return statistics.median(a / b for a, b in pairs) if pairs else None


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds that one call takes, and what it returns."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def seconds_of(call: Callable[[], object]) -> Turn:
    """A turn whose every second counts."""
    return lambda: timed(call)[0]


def tell(line: str) -> None:
    """What is going on, to stderr."""
    print(line, file=sys.stderr, flush=True)


def peak_of(call: Callable[[], T]) -> tuple[T, float | None]:
    """What the call returns, and by how many MB the resident memory exceeded, at its peak, what it was before; None where none can say."""
    gc.collect()
    _give_back_freed()
    if MEMORY == "unknown":
        return call(), None
    if MEMORY == "sampled":
        with _Sampler() as sampler:
            result = call()
        return result, (sampler.peak - sampler.before) / MB
    RESET.write_text("5")
    before = _status("VmRSS")
    result = call()
    return result, (_status("VmHWM") - before) / MB


def memory_line() -> str:
    """How memory was measured, in words."""
    return {
        "kernel": "Linux's peak resident memory (VmHWM, reset before each reading)",
        "sampled": "resident memory sampled every millisecond (VmHWM cannot be reset here)",
        "unknown": "nothing: this system tells no resident memory",
    }[MEMORY]


class _Sampler:
    """Reads VmRSS in a thread until it is left."""

    def __enter__(self) -> _Sampler:
        self.before = self.peak = _status("VmRSS")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.001):
            self.peak = max(self.peak, _status("VmRSS"))


def _status(name: str) -> float:
    """A field of /proc/self/status, in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} has no {name}")


def _way_to_measure() -> str:
    try:
        RESET.write_text("5")
        return "kernel"
    except OSError:
        return "sampled" if STATUS.exists() else "unknown"


def _give_back_freed() -> None:
    """Returns what malloc keeps of freed memory, which would otherwise be used again and hide what a call needs."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


MEMORY = _way_to_measure()
