"""The least time that an EM iteration can take on a machine whose product and exponential are as fast as they were measured.

    4 N K F / (rate of a large square matrix product, all cores) + N K (time of an exponential / cores)

with F features per row: full 1 + d + d(d+1)/2, diag 1 + 2d, spherical 2 + d, tied 1 + d. Both rates are measured in the case's dtype, in turn
with the sides, and the best of the run counts: a busy neighbour makes a product slower, never faster.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.machine import cores
from benchmarks.measuring import Turn

SIDE = 2048  # of the matrices
PAGE = 4_096
EXPONENTS = 8192  # numbers: they and their exponentials stay in L1 and L2
DTYPES = ("float64", "float32")


def features(family: str, d: int) -> int:
    """F, the numbers per row whose products with the posteriors are the family's statistics."""
    return {"full": 1 + d + d * (d + 1) // 2, "diag": 1 + 2 * d, "spherical": 2 + d, "tied": 1 + d}[family]


@dataclass
class Rates:
    """What was measured so far, by dtype: floating-point operations per second, and seconds per exponential on one core."""

    products: dict[str, list[float]] = field(default_factory=lambda: {dtype: [] for dtype in DTYPES})
    exponentials: dict[str, list[float]] = field(default_factory=lambda: {dtype: [] for dtype in DTYPES})
    _arrays: dict[str, tuple[np.ndarray, ...]] = field(default_factory=dict)

    def turn(self, dtype: str) -> Turn:
        """A turn that measures both, returns the product's seconds and keeps what it found."""

        def measure() -> float:
            A, B, C, x, y = self._held(dtype)
            begun = time.perf_counter()
            np.matmul(A, B, out=C)
            seconds = time.perf_counter() - begun
            self.products[dtype].append(2 * SIDE**3 / seconds)
            self.exponentials[dtype].append(_best_exponential(x, y))
            return seconds

        return measure

    def measure(self, dtype: str, times: int) -> None:
        """Several readings in a row, after one that warms up."""
        turn = self.turn(dtype)
        turn()
        self.products[dtype].pop()
        for _ in range(times):
            turn()

    def seconds(self, family: str, N: int, d: int, K: int, dtype: str, product: float | None = None) -> float:
        """The roofline of one iteration; `product` is another rate than the best of the run."""
        rate = max(self.products[dtype]) if product is None else product
        return 4 * N * K * features(family, d) / rate + N * K * min(self.exponentials[dtype]) / cores()

    def lines(self) -> list[str]:
        """The rates in words, the best and the median."""
        return [
            f"{dtype}: product of {SIDE} x {SIDE} at {max(rates) / 1e9:.0f} GFLOP/s at best, {np.median(rates) / 1e9:.0f} in the median of "
            f"{len(rates)} readings; exp {min(self.exponentials[dtype]) * 1e9:.2f} ns a number on one core"
            for dtype, rates in self.products.items()
            if rates
        ]

    def _held(self, dtype: str) -> tuple[np.ndarray, ...]:
        if dtype not in self._arrays:
            rng = np.random.default_rng(0)
            A, B = (rng.normal(size=(SIDE, SIDE)).astype(dtype) for _ in range(2))
            x = rng.uniform(-30, 0, EXPONENTS).astype(dtype)
            room = np.empty(2 * EXPONENTS, dtype)
            # half a page apart from x: at the same place of their pages, loads wait for stores and exp takes three times as long
            apart = (x.ctypes.data + PAGE // 2 - room.ctypes.data) % PAGE // room.itemsize
            self._arrays[dtype] = A, B, np.empty_like(A), x, room[apart : apart + EXPONENTS]
        return self._arrays[dtype]


def _best_exponential(x: np.ndarray, y: np.ndarray) -> float:
    """Seconds per number, the best of some blocks of a few passes."""
    best = np.inf
    for _ in range(10):
        begun = time.perf_counter()
        for _ in range(5):
            np.exp(x, out=y)
        best = min(best, time.perf_counter() - begun)
    return best / 5 / len(x)
