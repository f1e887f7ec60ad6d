"""Rows of chosen columns, ready to be fitted at once: what `mixtura.select` does first with them is done, and kept for every fit to come."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mixtura.families import Family
from mixtura.fitting import Fit, Step, climb
from mixtura.regularisation import regularisation_of
from mixtura.rules import rule_of
from mixtura.scouting import SCOUTED, Scout
from mixtura.selection import Candidate
from mixtura.selection.candidate import candidate_of
from mixtura.selection.choosing import check_rows
from mixtura.selection.search import How
from mixtura.sources import Source
from mixtura.starting import check_components, check_distinct

TOL, MAX_ITER = 1e-6, 1000  # those of mixtura.select
REGULARISATION = regularisation_of("auto")
HOW = How(rule_of("em", REGULARISATION, tol=TOL), REGULARISATION, TOL, MAX_ITER, "bic")


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows, the part of them that is fitted at once (all of them, where they are few), and where fits to these begin.

    `generator` is as it is before the first draw of a fit: each takes a copy, so that no fit depends on those before it.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows = Rows.of(mixtura.open(X), at_once=200, seed=0)
    >>> family = mixtura.families.family_of("full")
    >>> one = rows.to_all(rows.at_once(2, family))
    >>> one.rows, one.bic == mixtura.select(X, 2, "full", subsample=200, random_state=0).ranking[0].bic
    (300, True)
    """

    source: Source
    part: Source
    scout: Scout
    generator: np.random.Generator

    @classmethod
    def of(cls, source: Source, at_once: int, seed: int) -> Rows:
        """At most `at_once` of the rows, drawn by the seed. Raises DataError where a value is not finite."""
        _ = source.profile
        generator = np.random.default_rng(seed)
        part = source.sample(at_once, generator)
        return cls(source, part, Scout.of(part, generator), generator)

    def seeded(self, at_once: int, seed: int) -> Rows:
        """The same rows with another seed. Where nothing was drawn, what is known of them stays."""
        drawn = self.source.n_rows > min(at_once, SCOUTED)
        return Rows.of(self.source, at_once, seed) if drawn else replace(self, generator=np.random.default_rng(seed))

    @property
    def are_all(self) -> bool:
        """Whether the part is all of the rows."""
        return self.part is self.source

    def at_once(self, K: int, family: Family) -> Candidate:
        """The first stage of `mixtura.select(source, K, family, subsample=at_once, random_state=seed)`, and all of it where the part is all rows.

        Raises DataError where there are too few rows, ParameterError for a family that does not fit the columns.
        """
        check_components(self.source, K)
        check_rows(self.scout)
        check_distinct(len(self.scout.rows), K)
        family.shape(K, self.source.D)
        grid = HOW.grid(self.scout, self.part, copy.deepcopy(self.generator))
        return grid.fit([K], [family]).candidates[0]

    def to_all(self, one: Candidate, on_step: Callable[[Step], object] | None = None) -> Candidate:
        """The second stage: the candidate goes on to all rows."""
        if self.are_all or one.mixture is None:
            return one
        begun = time.perf_counter()
        result = climb(self.source, one.mixture, HOW.rule, tol=HOW.tol, max_steps=HOW.max_iter, on_step=on_step)
        return replace(candidate_of(result, self.source, one.seconds + time.perf_counter() - begun), before=one)

    def so_far(self, step: Step) -> Candidate:
        """What `to_all` has come to with this step. It has no ICL, which takes one more pass over the rows."""
        reached = Fit(step, False, math.nan, step.number, (step.log_likelihood,), (step.objective,), ())
        return candidate_of(reached, self.source, 0.0, classified=False)
