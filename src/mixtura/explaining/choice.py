"""How sure the number of components is: the best candidate beside the best with another number, on the criterion's own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNSURE = ("spurious", "too few rows", "interrupted")  # statuses whose criterion says little
# Kass & Raftery 1995, of 2 log Bayes factor, which differences of BIC approximate
KASS_RAFTERY = ((2.0, "not worth more than a bare mention"), (6.0, "positive"), (10.0, "strong"), (float("inf"), "very strong"))


@dataclass(frozen=True)
class Evidence:
    """The chosen candidate and those nearest to it; each is a mapping with components, family, code, the criterion, status and rows.

    `tried` are the numbers of components of all candidates. `rival` is the best with another number of components, `relative` the best of
    another family with the same number; None where there is none on the same rows. `difference` is what the criterion gives the chosen one
    before the rival.
    """

    criterion: str
    chosen: Mapping[str, Any]
    n_candidates: int
    tried: tuple[int, ...]
    rival: Mapping[str, Any] | None
    relative: Mapping[str, Any] | None

    @property
    def difference(self) -> float:
        """How much the criterion prefers the chosen number of components; NaN where nothing compares."""
        return self._before(self.rival)

    @property
    def family_difference(self) -> float:
        """How much it prefers the chosen family among those with the same number of components."""
        return self._before(self.relative)

    @property
    def strength(self) -> str | None:
        """Kass and Raftery's (1995) words for a difference of BIC; None for other criteria, which have no such scale."""
        if self.criterion != "bic" or not self.difference >= 0:
            return None
        return next(words for limit, words in KASS_RAFTERY if self.difference <= limit)

    def _before(self, other: Mapping[str, Any] | None) -> float:
        mine = self.chosen.get(self.criterion)
        return float("nan") if other is None or mine is None else float(mine) - float(other[self.criterion])


def evidence(candidates: Sequence[Mapping[str, Any]], criterion: str) -> Evidence:
    """What the ranked candidates of a selection say of the first: lines of `Selection.table`, or of the summary that the command writes.

    Candidates that are not regular, or that saw other rows than the first, are not compared with it.

    >>> lines = [{"components": K, "family": "full", "bic": bic, "status": "converged", "rows": 9} for K, bic in ((2, -10.0), (3, -13.5))]
    >>> found = evidence(lines, "bic")
    >>> found.difference, found.strength
    (3.5, 'positive')
    """
    chosen = candidates[0]
    comparable = [
        one for one in candidates[1:] if one["status"] not in UNSURE and one.get(criterion) is not None and one.get("rows") == chosen.get("rows")
    ]
    others = [one for one in comparable if one["components"] != chosen["components"]]
    relatives = [one for one in comparable if one["components"] == chosen["components"]]

    def best(some: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        return max(some, key=lambda one: float(one[criterion]), default=None)

    tried = tuple(sorted({int(one["components"]) for one in candidates}))
    return Evidence(criterion, chosen, len(candidates), tried, best(others), best(relatives))
