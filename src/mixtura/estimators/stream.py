"""A fit that goes on batch by batch: all that it remembers of the rows, and how that is written beside the mixture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.checking import short
from mixtura.errors import ModelFileError, ParameterError
from mixtura.families import Family
from mixtura.forms import exactly, fields, listed, number, text, whole
from mixtura.mixture import Mixture
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import Event, Masks, Online, Rule
from mixtura.rules.maximising import State
from mixtura.rules.online import OnlineState
from mixtura.statistics import Statistics

SUMS = ("running", "averaged")  # the statistics of a state
ARRAYS = ("counts", "pivots", "first", "second")  # of statistics
NUMBERS = ("rows", "weight", "log_likelihood")
OF_SUMS = exactly(rows=whole, weight=number, log_likelihood=number)
SAVED = fields("batches", "told", batches=whole, told=listed(text), **dict.fromkeys(SUMS, OF_SUMS))


@dataclass(frozen=True, eq=False)
class Stream:
    """Where a stream stands: the mixture that the next batch is swept with, the rule's state, and the repairs that were told."""

    mixture: Mixture
    state: OnlineState
    told: frozenset[str] = frozenset()

    @classmethod
    def begin(cls, start: Mixture, rule: Online) -> Stream:
        """No batch seen."""
        return cls(start, rule.initial(start))

    def after(self, statistics: Statistics, rule: Online) -> tuple[Stream, list[Event]]:
        """The stream after a batch whose statistics were taken at its mixture, and the repairs that were not told before."""
        step = rule.update(self.mixture, statistics, self.state)
        new = [event for event in step.events if event.kind == "repair" and event.message not in self.told]
        return Stream(step.mixture, step.state, self.told | {event.message for event in new}), new

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays to be saved, under names that begin with "stream."."""
        mixture = {name: getattr(self.mixture, name) for name in ("weights", "means", "covariances")}
        sums = {f"{which}.{name}": getattr(one, name) for which, one in self._sums() for name in ARRAYS}
        return {f"stream.{name}": array for name, array in {**mixture, **sums, "reseeded": self.state.em.reseeded}.items()}

    def numbers(self) -> dict[str, Any]:
        """What goes beside the arrays, as JSON."""
        sums = {which: {name: getattr(one, name) for name in NUMBERS} for which, one in self._sums()}
        return {"batches": self.state.batches, "told": sorted(self.told), **sums}

    @classmethod
    def of(cls, family: Family, tensors: Mapping[str, NDArray[Any]], numbers: Mapping[str, Any]) -> Stream:
        """The stream that was saved as these, to the last bit. Raises ModelFileError where something is missing or does not fit."""
        try:
            if not SAVED(numbers):
                raise ValueError("other numbers than a stream has")
            weights, means, covariances = (tensors[f"stream.{name}"] for name in ("weights", "means", "covariances"))
            K, D = Mixture(weights, means, covariances, family).means.shape
            mixture = Mixture.trusted(weights, means, covariances, family)
            sums = {which: _statistics(which, family, K, D, tensors, numbers[which]) for which in SUMS if which in numbers}
            reseeded = _array(tensors["stream.reseeded"], "iu", (K,))
            return cls(mixture, OnlineState(State(reseeded), numbers["batches"], **sums), frozenset(numbers["told"]))
        except (KeyError, ValueError) as error:
            raise ModelFileError(
                f"the file holds no usable stream: got no usable {short(str(error))}, expected what save wrote; try the last file that loads"
            ) from None

    def _sums(self) -> Iterator[tuple[str, Statistics]]:
        return ((which, one) for which in SUMS if (one := getattr(self.state, which)) is not None)


def _statistics(which: str, family: Family, K: int, D: int, tensors: Mapping[str, NDArray[Any]], numbers: Mapping[str, Any]) -> Statistics:
    second = family.moment.shape(D) if family.pooled else (K, *family.moment.shape(D))
    shapes = dict(zip(ARRAYS, ((K,), (K, D), (K, D), second), strict=True))
    sums: dict[str, Any] = {name: _array(tensors[f"stream.{which}.{name}"], "f", shape) for name, shape in shapes.items()}
    return Statistics(family.moment, family.pooled, **{name: numbers[name] for name in NUMBERS}, **sums)


def _array(array: NDArray[Any], kinds: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if array.dtype.kind not in kinds or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"array: {array.dtype} of {array.shape} instead of finite numbers of {shape}")
    return array


def online_rule(rule: str | Rule, regularisation: Regularisation | None = None, fixed: Masks = None) -> Online:
    """The rule of a stream: the one given, where it is Online; for "em" and "online" its defaults, with this regularisation and what is fixed.

    Raises ParameterError for any other rule.
    """
    if isinstance(rule, Online):
        return rule
    if rule in ("em", "online"):
        return Online(regularisation=regularisation or Floor(), fixed=fixed)
    raise ParameterError(f"partial_fit cannot go by this rule: got {short(rule)}, expected 'em', 'online' or an Online; try rule='online'")
