"""`select`: what is asked for, checked; what the search finds, as a selection."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking, checkpoints
from mixtura.blas import one_thread
from mixtura.errors import ConstantColumnWarning, DataError, InterruptionWarning, ParameterError
from mixtura.families import ALL, USUAL, Family, family_of, in_order
from mixtura.moments import NORM
from mixtura.progress import OfSearch, shown
from mixtura.randomness import generator_of
from mixtura.regularisation import regularisation_of
from mixtura.rules import Rule, rule_of
from mixtura.scouting import SUBSAMPLE, Scout
from mixtura.selection.criteria import CRITERIA
from mixtura.selection.grid import Progress
from mixtura.selection.search import How, Search
from mixtura.selection.selection import Selection, ranked
from mixtura.sources import open as open_source
from mixtura.starting import check_components, check_distinct

GROUPS = {"all": ALL, "usual": USUAL}
WIDE = 32  # columns: with more, the M-steps that turn axes take longer than all else together


def select(
    data: Any,
    n_components: int | Iterable[int] = range(1, 10),
    families: str | Family | Sequence[str | Family] = "auto",
    *,
    criterion: str = "bic",
    folds: int = 5,
    subsample: int | None = SUBSAMPLE,
    rule: str | Rule = "em",
    learning_rate: float | None = None,
    reg_covar: str | float = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    sample_weight: ArrayLike | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    progress: bool = False,
    checkpoint: checkpoints.PathLike | None = None,
    checkpoint_every: str | float = "30s",
) -> Selection:
    """Fits every number of components with every family and ranks them by `criterion`; all of them are larger for better models:

        "bic"        2 loglik - p log n: mclust's sign, not that of scikit-learn (Schwarz 1978)
        "icl"        bic + 2 sum_i w_i log max_k r_ik: components should also be apart (Biernacki, Celeux & Govaert 2000)
        "aic"        2 loglik - 2 p (Akaike 1974)
        "held_out"   mean log density, in nats per row, of rows under a mixture that was fitted without them

    for p free parameters and row weights w_i of sum n; posteriors are r_ik. For "held_out" the rows are dealt into `folds` parts, seeded from
    `random_state`, and the grid is fitted once more without each of them; what is ranked is the fit to all rows.

    `families` names them, or is "all" for the fourteen, "usual" for the six whose components share one covariance or nothing (the others' M-steps
    take longer), or "auto": the fourteen up to 32 columns, the six beyond. `data` is anything `mixtura.open` takes; `tol`, in nats per row,
    bounds the remaining gain of each fit.

    Where there are more rows than `subsample`, the grid is fitted to so many of them (None takes all). The five best candidates go on
    from there to all rows; then, while the best so far has a neighbour in its family, with more or fewer components, that has not, that one
    goes on too. Those on all rows rank first; `rows` in the table tells which they are. None of these ends below one that it contains.

    `on_progress` is called after steps or cells, from one thread at a time, which need not be this one. `progress` shows the same, and the rows of
    passes over files: bars on a terminal (stderr) and in a notebook, a plain line for each cell elsewhere, or for each step of a single cell.

    `checkpoint` is a folder in which the search is kept, so that it survives its process: see `mixtura.fit`. Called again with the same arguments it
    goes on, and ends with the same bits; random_state=None is kept as it was drawn. What costs no more than milliseconds is computed anew.

    An interrupt (Ctrl-C) ends the search and gives what was done by then, with `interrupted` True; before the first cell has a mixture it is raised.

    Raises DataError where nothing can be fitted (one row, identical rows, fewer rows than components or folds), ParameterError for a grid,
    family, criterion or number that makes no sense. Warns ConstantColumnWarning for columns that hold one value, InterruptionWarning.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-4.0], [4.0]], 100, axis=0)
    >>> selection = mixtura.select(X, range(1, 4), "tied", random_state=0)
    >>> selection.best
    GaussianMixture(covariance_type='tied', max_iter=1000, n_components=2,
                    random_state=0, tol=1e-06)
    >>> selection.best.predict([[-4.0]]) == selection.best.predict([[4.0]])
    array([False])
    >>> again = mixtura.select(X, range(1, 4), "tied", random_state=0, progress=True)  # the same, and seen on stderr
    """
    _check_options(criterion, folds, subsample, tol, max_iter)
    source = open_source(data, weight=sample_weight, n_jobs=n_jobs)
    counts = _counts(n_components)
    chosen = _families(families, source.D)
    with one_thread(), shown(progress, OfSearch(max_iter), source, on_progress) as tell:
        check_components(source, min(counts))
        if criterion == "held_out" and folds > source.profile.rows:
            raise DataError(
                f"too few rows to hold some out: got {source.profile.rows} rows for {folds} folds, expected at least one each; try fewer folds"
            )
        constant = tuple(name for name, flag in zip(source.columns, source.profile.constant, strict=True) if flag)
        regularisation = regularisation_of(reg_covar)
        how = How(rule_of(rule, regularisation, learning_rate, tol=tol), regularisation, tol, max_iter, criterion)
        call = {
            "function": "mixtura.select",
            "n_components": counts,
            "families": [family.name for family in chosen],
            "criterion": criterion,
            "folds": folds,
            "subsample": subsample,
            "rule": how.rule,
            "reg_covar": regularisation,
            "tol": tol,
            "max_iter": max_iter,
        }
        with checkpoints.opened(checkpoint, checkpoint_every, source, call, random_state) as kept:
            generator = generator_of(kept.seeded(random_state))
            part = kept.source if subsample is None else kept.source.sample(int(subsample), generator)
            scout = Scout.of(part, generator)
            check_rows(scout)
            check_distinct(len(scout.rows), min(counts))
            if constant:
                names = ", ".join(map(repr, constant))
                warnings.warn(f"constant column {names}: it tells no components apart; try leaving it out", ConstantColumnWarning, 2)
            teller = tell if checkpoint is None else _offering(kept, source.profile.weight, tell)
            search = Search(kept.source, subsample, counts, chosen, how, criterion, folds, generator, teller)
            search.run(part, scout)
            if (best := ranked(search.cells.values(), search.criterion)[0].mixture) is not None:
                kept.finish(best)
    if search.interrupted:
        more = f"; {kept.kept_where}" * (checkpoint is not None)
        warnings.warn(search.interrupted + more, InterruptionWarning, stacklevel=2)
    elif criterion == "held_out" and all(np.isneginf(one.held_out) for one in search.cells.values()):
        raise DataError(
            f"nothing could be fitted to the rows of every {folds - 1} folds: expected at least one cell; try fewer components or more folds"
        )
    parameters = {
        "tol": tol,
        "reg_covar": reg_covar,
        "max_iter": max_iter,
        "random_state": random_state if isinstance(random_state, int | np.integer) else None,
        "rule": rule,
        "learning_rate": learning_rate,
        "n_jobs": n_jobs,
    }
    columns = source.columns if source.named else None
    return Selection(tuple(search.cells.values()), search.criterion, bool(search.interrupted), constant, columns, parameters)


def _offering(kept: checkpoints.Unkept, n: float, on_progress: Callable[[Progress], object] | None) -> Callable[[Progress], object]:
    """Keeps the best mixture on the way: those fitted to more rows before others, those without repairs, then by BIC for n rows in all."""

    def tell(at: Progress) -> None:
        step = at.step
        bic = 2 * step.log_likelihood * n - step.mixture.n_parameters * np.log(n)
        kept.offer((step.statistics.rows, not any(event.kind == "repair" for event in step.events), bic), step.mixture)
        if on_progress is not None:
            on_progress(at)

    return tell


def _check_options(criterion: str, folds: int, subsample: int | None, tol: float, max_iter: int) -> None:
    checking.word("criterion", criterion, CRITERIA, "bic")
    checking.whole("folds", folds, 2, remedy=5)
    checking.number("tol", tol, "a number >= 0 in nats per row", lambda tol: 0 <= tol < np.inf, 1e-6)
    checking.whole("max_iter", max_iter, 0, 1000)
    if subsample is not None:
        checking.whole("subsample", subsample, 2, remedy=SUBSAMPLE)


def _counts(n_components: int | Iterable[int]) -> list[int]:
    counts = list(n_components) if isinstance(n_components, Iterable) and not isinstance(n_components, str | bytes) else [n_components]
    if not counts or any(isinstance(K, bool) or not isinstance(K, int | np.integer) or not 1 <= K <= checking.MOST for K in counts):
        raise ParameterError(f"n_components is not usable: got {checking.short(n_components)}, expected integers >= 1; try range(1, 10)")
    return sorted({int(K) for K in counts})


def _families(families: str | Family | Sequence[str | Family], D: int) -> list[Family]:
    """The named families, special before general; all fourteen, or the usual six (one column knows two only)."""
    if isinstance(families, str) and families == "auto":
        families = "all" if D <= WIDE else "usual"
    if isinstance(families, str) and families in GROUPS:
        return list(GROUPS[families]) if D > 1 else [family for family in ALL if family.moment is NORM]
    names = [families] if isinstance(families, str | Family) or not isinstance(families, Iterable) else families
    chosen = in_order(family_of(name) for name in names)
    if not chosen:
        raise ParameterError("no family to choose from: got an empty sequence, expected names of families; try 'auto'")
    for family in chosen:
        family.shape(1, D)  # raises where there are too many factors
    return chosen


def check_rows(scout: Scout) -> None:
    """Raises DataError where all rows are the same one."""
    if len(scout.rows) == 1:
        rows = scout.source.n_rows
        what = "a single row" if rows == 1 else f"{rows} identical rows"
        raise DataError(f"nothing to fit: got {what}, expected at least two different rows; try more data")
