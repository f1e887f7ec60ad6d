"""The criteria, in one place. All are larger for better models: BIC, ICL and AIC have mclust's sign.

    BIC = 2 loglik - p log n                         Schwarz 1978
    ICL = BIC + 2 sum_i w_i log max_k r_ik           Biernacki, Celeux & Govaert 2000; Scrucca et al. 2016
    AIC = 2 loglik - 2 p                             Akaike 1974
    held out: sum_i w_i log p(x_i) / sum_i w_i       each row under a mixture fitted without it

with p free parameters, n = sum_i w_i and posteriors r_ik.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from mixtura.fitting import sweep
from mixtura.mixture import Mixture
from mixtura.sources import Source

TITLES = {"bic": "BIC", "icl": "ICL", "aic": "AIC", "held_out": "held-out"}
CRITERIA = tuple(TITLES)

Cell = tuple[int, str]  # components and the family's name


class Criteria(NamedTuple):
    """BIC, ICL, AIC and the entropy of the classification (see mixtura.mixture.Classification), all in nats."""

    bic: float
    icl: float
    aic: float
    entropy: float


NONE = Criteria(-np.inf, -np.inf, -np.inf, np.nan)  # of a cell that was not fitted


def criteria_of(mixture: Mixture, log_likelihood: float, source: Source, classified: bool = True) -> Criteria:
    """The criteria of a mixture whose rows have this log-likelihood (a sum, in nats); one pass over them, for the posteriors.

    Where they are not to be `classified` there is no pass: ICL and entropy are NaN.
    """
    p, n = mixture.n_parameters, source.profile.weight
    bic = float(2 * log_likelihood - p * np.log(n))
    entropy, log_certainty = mixture.classification(source) if classified else (np.nan, np.nan)
    return Criteria(bic, bic + 2 * log_certainty, 2 * log_likelihood - 2 * p, entropy)


def price_of(criterion: str, n: float) -> float:
    """What one more parameter must gain, in nats of log-likelihood, for a criterion to want it: at least AIC's, where rows are held out."""
    return float(np.log(n)) / 2 if criterion in ("bic", "icl") else 1.0


def held_out(source: Source, folds: int, seed: int, learn: Callable[[int, Source], Mapping[Cell, Mixture]]) -> Iterator[dict[Cell, float]]:
    """After each fold, the mean held-out log density per row so far, in nats, of the cells that every fold so far could fit.

    `learn(fold, rows)` gives mixtures for the rows of the other folds.
    """
    totals: dict[Cell, float] = {}
    weight = 0.0
    for fold, (training, held) in enumerate(source.folds(folds, [seed])):
        mixtures = learn(fold, training)
        weight += held.profile.weight
        densities = {cell: sweep(mixture, held).log_likelihood for cell, mixture in mixtures.items()}
        totals = {cell: totals.get(cell, 0.0) + density for cell, density in densities.items() if fold == 0 or cell in totals}
        yield {cell: total / weight for cell, total in totals.items()}
