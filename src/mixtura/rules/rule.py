"""A rule: how statistics become the next mixture. A pair of functions, as in optax; the loop in `fitting` knows nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

from mixtura.mixture import Mixture
from mixtura.statistics import Statistics


class Event(NamedTuple):
    """Something worth telling: a "repair" of a component, or a "note" on the rule's own steps."""

    kind: Literal["repair", "note"]
    message: str


class Update(NamedTuple):
    """What a rule answers: the next mixture, what the rule needs next time, and what happened that is worth telling."""

    mixture: Mixture
    state: Any
    events: tuple[Event, ...] = ()


class Rule(ABC):
    """One way to learn from statistics alone."""

    @abstractmethod
    def initial(self, mixture: Mixture) -> Any:
        """The state before the first update."""

    @abstractmethod
    def update(self, mixture: Mixture, statistics: Statistics, state: Any) -> Update:
        """The next mixture from the statistics taken at this one."""
