"""How a fit came about: what an estimator keeps of it beside what was learnt."""

from __future__ import annotations

from dataclasses import dataclass, field

from sklearn import exceptions

from mixtura import errors
from mixtura.rules import Event


class ConvergenceWarning(errors.ConvergenceWarning, exceptions.ConvergenceWarning):  # type: ignore[misc]
    """`max_iter` came before convergence; caught as Mixtura's warning and as scikit-learn's."""


@dataclass(frozen=True)
class History:
    """How a fit came about.

    `log_likelihoods` are the mean log-likelihoods per row, in nats, of the run that was kept: at its start, then after each of its `n_iter_`
    steps. `events` are the repairs and notes of that run, each with the number of its step. `start` is the way it began: the `init_params`,
    "labels" where these were labels or posteriors, "given" where every parameter was, or "previous" after a warm start. `runs` holds the objective
    at which each of the `n_init` runs ended, `run` which of them was kept (from 0). `objectives` are what the rule climbed: the log-likelihoods,
    unless there was a prior. `remaining` is what was left to gain of it at the end, by estimate, per row. `source` is where the rows lay,
    `engine` what worked on them; `interrupted`, whether Ctrl-C ended it.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
    >>> history = model.history_
    >>> history.start, len(history.log_likelihoods) == model.n_iter_ + 1, history.events
    ('auto', True, ())
    """

    log_likelihoods: tuple[float, ...]
    objectives: tuple[float, ...]
    remaining: float
    events: tuple[tuple[int, Event], ...]
    start: str
    run: int
    runs: tuple[float, ...]
    source: str = "array"
    engine: str = field(default="", compare=False)  # nothing that is learnt depends on it
    interrupted: bool = False
