"""The likeliest mixture of any rows: many beginnings, EM on all of them together, and the best climb to the end.

A test compares maxima, so a beginning that stops at a lower one costs more here than elsewhere: where rows are few, the candidates go far
together before the best are told apart.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from mixtura.errors import RepairWarning
from mixtura.exchange import improve, promise
from mixtura.families import Family
from mixtura.fitting import Fit, Step, fit
from mixtura.lockstep import Lockstep
from mixtura.mixture import Mixture
from mixtura.regularisation import Regularisation
from mixtura.rules import EM, Squarem
from mixtura.scouting import Labels, Scout, one_hot
from mixtura.selection.candidate import is_regular
from mixtura.sources import Source
from mixtura.starting import FEW, candidates, check_distinct, from_responsibilities, labellings, short_runs

TOGETHER = ((10, 12), (10, 6), (30, 6))  # steps that all candidates run together, and how many of them go on


@dataclass(frozen=True, eq=False)
class Search:
    """How mixtures of one family are fitted, to the data and to every replicate alike."""

    family: Family
    regularisation: Regularisation
    tol: float
    max_iter: int

    def likeliest(self, scout: Scout, source: Source, K: int, more: list[Mixture], generator: np.random.Generator) -> Fit:
        """The first regular maximum that the ordinary beginnings and `more` of them lead to, the most promising first; the best where none is.

        Raises DataError where there are fewer distinct rows than components.
        """
        check_distinct(len(scout.rows), K)
        labels = labellings(scout, K, generator)
        finalists = self._far(scout, labels, K, more) if len(labels) > FEW + 1 else [self._short(scout, labels, K, more)]
        fits: list[Fit] = []
        for one in finalists:
            fits.append(self.climb(source, one))
            if regular(fits[-1]):
                break
        return self.best(fits)

    def climb(self, source: Source, start: Mixture) -> Fit:
        """EM from one beginning until it has arrived."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)  # is_regular tells what of it matters
            return fit(source, start, Squarem(EM(self.regularisation), tol=self.tol), tol=self.tol, max_steps=self.max_iter)

    @staticmethod
    def best(fits: list[Fit]) -> Fit:
        """The likeliest of those whose maximum is regular; of all, where none is."""
        return max(fits, key=lambda one: (regular(one), one.log_likelihood))

    def _far(self, scout: Scout, labels: Labels, K: int, more: list[Mixture]) -> list[Mixture]:
        """The best after many steps together; components of too few rows rank last, however likely."""
        together = Lockstep(scout.rows, scout.weights, self.family, self.regularisation, scout.reference(self.family.moment))
        responsibilities = np.concatenate([one_hot(labels, K), *(one.posterior(scout.rows).T[None] for one in more)])
        for steps, kept in TOGETHER:
            standing = together.run(responsibilities, steps).best(kept)
            responsibilities = standing.responsibilities
        scarce = ((responsibilities @ scout.weights) < scout.rows.shape[1] + 1).any(axis=1)
        order = np.argsort(scarce | standing.collapsed, kind="stable")
        weighted = (responsibilities[order] * scout.weights).swapaxes(1, 2)
        return [from_responsibilities(scout.rows, one, self.family, self.regularisation, together.reference) for one in weighted]

    def _short(self, scout: Scout, labels: Labels, K: int, more: list[Mixture]) -> Mixture:
        """The most promising after short runs and exchanges, on the scout's rows."""

        def worth(step: Step) -> tuple[bool, float]:
            promising, log_likelihood = promise(step)
            return promising and is_regular(step, scout.source.profile.rows), log_likelihood

        begun = candidates(scout, labels, K, self.family, self.regularisation) + more
        best = begun[0] if len(begun) == 1 else short_runs(begun, scout.source, self.regularisation, worth)
        return improve(best, scout, self.regularisation)


def regular(found: Fit) -> bool:
    """Whether a fit, of unweighted rows, ended at a regular maximum (see selection.candidate)."""
    return is_regular(found.best, found.best.statistics.rows)
