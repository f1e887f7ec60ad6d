"""Learning-rate schedules: the rate of update t = 0, 1, 2, ... Any function of t will do; these are small, checked, and survive pickling.

Power          rate (t + offset)^-exponent                            mini-batches that are to settle (Robbins & Monro 1951)
Exponential    rate 2^(-t / half_life)                                a steady fade
Cosine         last + (rate - last) (1 + cos(pi t / updates)) / 2     a given number of updates, fast at first, fine at the end
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from mixtura import checking


class Schedule(ABC):
    """A learning rate that changes: called with the number of the update, 0 for the first, it answers the rate.

    >>> from mixtura.rules import GradientAscent, Power
    >>> isinstance(GradientAscent(learning_rate=Power(0.5)).learning_rate, Power)  # wherever a rate may change
    True
    """

    @abstractmethod
    def __call__(self, t: int) -> float:
        """The rate of update t."""


@dataclass(frozen=True)
class Power(Schedule):
    """rate (t + offset)^-exponent.

    With 0.5 < exponent <= 1 the rates sum to infinity and their squares do not, so mini-batches get anywhere and their noise dies out
    (Robbins & Monro 1951, "A stochastic approximation method", equations 26 and 27). The larger the offset, the later the fall begins.

    Raises ParameterError unless rate > 0, 0 < exponent <= 1 and offset > 0.

    >>> [Power(rate=0.5, exponent=0.5, offset=1.0)(t) for t in (0, 3, 15)]
    [0.5, 0.25, 0.125]
    """

    rate: float = 1.0
    exponent: float = 0.7
    offset: float = 2.0

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        checking.number("exponent", self.exponent, "0 < exponent <= 1", lambda a: 0 < a <= 1, 0.7)
        checking.number("offset", self.offset, "a number > 0", lambda t: 0 < t < math.inf, 2)

    def __call__(self, t: int) -> float:
        """rate (t + offset)^-exponent."""
        return float(self.rate * (t + self.offset) ** -self.exponent)


@dataclass(frozen=True)
class Exponential(Schedule):
    """rate 2^(-t / half_life): half the rate every `half_life` updates.

    All its rates sum to about rate * half_life / log 2, and what is further away than that is never reached.

    Raises ParameterError unless rate > 0 and half_life > 0.

    >>> [Exponential(rate=0.8, half_life=10)(t) for t in (0, 10, 30)]
    [0.8, 0.4, 0.1]
    """

    rate: float = 0.1
    half_life: float = 100.0

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        checking.number("half_life", self.half_life, "a number of updates > 0", lambda t: 0 < t < math.inf, 100)

    def __call__(self, t: int) -> float:
        """rate 2^(-t / half_life)."""
        return float(self.rate * 2 ** (-t / self.half_life))


@dataclass(frozen=True)
class Cosine(Schedule):
    """last + (rate - last) (1 + cos(pi t / updates)) / 2, and `last` ever after.

    After Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", equation 5, for one descent. With mini-batches
    `updates` is the number of passes times the batches in each.

    Raises ParameterError unless rate > 0, updates is an integer >= 1 and 0 <= last <= rate.

    >>> [round(Cosine(rate=0.2, updates=10)(t), 3) for t in (0, 5, 10, 11)]
    [0.2, 0.1, 0.0, 0.0]
    """

    rate: float = 0.1
    updates: int = 1_000
    last: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        checking.whole("updates", self.updates, 1, 1_000)
        checking.number("last", self.last, f"0 <= last <= rate, which is {self.rate!r}", lambda last: 0 <= last <= self.rate, 0)

    def __call__(self, t: int) -> float:
        """last + (rate - last) (1 + cos(pi t / updates)) / 2."""
        return float(self.last + (self.rate - self.last) * (1 + math.cos(math.pi * min(t / self.updates, 1.0))) / 2)


def _check_rate(rate: float) -> None:
    checking.number("rate", rate, "a number > 0", lambda rate: 0 < rate < math.inf, 0.1)
