"""The likeliest mixture of any rows: the climbs of a selection's cell, for one family and the data and every replicate alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.families import Family
from mixtura.fitting import Fit
from mixtura.mixture import Mixture
from mixtura.regularisation import Regularisation
from mixtura.rules import EM, Squarem
from mixtura.scouting import Scout
from mixtura.selection.candidate import is_regular
from mixtura.selection.climbing import Around, Climber, climber_of
from mixtura.sources import Source
from mixtura.starting import check_distinct

DRAWS = 25  # of k-means++ at most: a selection's serve all its families, these one


@dataclass(frozen=True, eq=False)
class Search:
    """How mixtures of one family are fitted, to the data and to every replicate alike."""

    family: Family
    regularisation: Regularisation
    tol: float
    max_iter: int

    def among(self, source: Source, generator: np.random.Generator) -> Climber:
        """What climbs on these rows."""
        rule = Squarem(EM(self.regularisation), tol=self.tol)
        return climber_of(Scout.of(source, generator), source, rule, self.regularisation, self.tol, self.max_iter, DRAWS)

    def likeliest(self, climber: Climber, K: int, fewer: Mixture | None, generator: np.random.Generator) -> Fit:
        """The likeliest regular maximum that partitions of the rows, and splits of a mixture of `fewer`, lead to; the likeliest where none is.

        Raises DataError where there are fewer distinct rows than components.
        """
        check_distinct(len(climber.scout.rows), K)
        return climber.best(self.family, Around(K, climber.partitions(K, generator), fewer=fewer), -np.inf).fit

    @staticmethod
    def climb(climber: Climber, start: Mixture) -> Fit:
        """EM from one mixture until it has arrived."""
        return climber.climb(start).fit

    @staticmethod
    def best(fits: list[Fit]) -> Fit:
        """The likeliest of those whose maximum is regular; of all, where none is."""
        return max(fits, key=lambda one: (regular(one), one.log_likelihood))


def regular(found: Fit) -> bool:
    """Whether a fit, of unweighted rows, ended at a regular maximum (see selection.candidate)."""
    return is_regular(found.best, found.best.statistics.rows)
