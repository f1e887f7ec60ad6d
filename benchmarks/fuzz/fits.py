"""Fits of rows in memory: estimators, the loop, streams, selections."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

import mixtura
from benchmarks.fuzz import laws, values, wrapping
from benchmarks.fuzz.cases import Case
from mixtura import rules

FAMILIES = tuple(family.name for family in mixtura.families.ALL)
SCALE_FREE = ("em", "em", "em", "em", "map", "natural", "online", "gradient", "lbfgs")
STARTS = ("auto", "auto", "auto", "kmeans", "k-means++", "random", "random_from_data")
RIDGES = ("auto", "auto", "auto", 1e-6, 0.0, 1e-300, 1.0, 1e300)
SMALL = (100, 5)  # rows and columns of a grid, which fits many times
STEPS = (0, 1, 5, 20, 60)


def _components(case: Case, n: int) -> int:
    """From 1 to beyond the number of rows, most often few."""
    return int(case.one_of("K", [1, 2, 2, 3, 3, 4, 5, 8, min(n, 12), min(n + 1, 15), case.draw.integers(1, 20)]))


def _family(case: Case, D: int) -> tuple[str, int | None]:
    """A family, and the number of factors where it has some."""
    name = case.one_of("family", [*FAMILIES, "full", "full", "diag", "factor", "ppca"])
    if name in ("factor", "ppca"):
        if D < 2:
            return "full", None
        return name, int(case.note("factors", int(case.draw.integers(1, D))))
    return name, None


def _distinct(X: np.ndarray, weights: Any) -> int:
    kept = X if weights is None else X[np.asarray(weights, dtype=float) > 0]
    return len(np.unique(kept, axis=0))


def _others(case: Case, D: int, single: bool) -> np.ndarray:
    """Other rows to ask about, of any finite magnitude."""
    X = case.draw.normal(size=(9, D)) * 10.0 ** case.draw.choice([0, 1, 6, 20, 37, 100, 200, 300], size=(9, 1))
    X[0], X[1, 0], X[2, -1] = 0.0, 5e-324, -1.7e308
    with np.errstate(over="ignore"):
        if single or case.chance(0.2):
            X = np.clip(X, -3e38, 3e38).astype(np.float32)
    return X


def estimator(case: Case) -> None:
    """An estimator is fitted, and asked about its rows and others."""
    rows = values.rows(case)
    n, D = rows.values.shape
    wrapped = wrapping.wrap(case, rows)
    weights, tame_weights = values.weights(case, n)
    family, factors = _family(case, D)
    K = _components(case, n)
    parameters: dict[str, Any] = {
        "n_components": K,
        "covariance_type": family,
        "n_factors": factors,
        "tol": case.one_of("tol", [1e-3, 1e-3, 1e-6, 0.0, 1.0]),
        "reg_covar": case.one_of("reg_covar", RIDGES),
        "max_iter": case.one_of("max_iter", STEPS),
        "n_init": case.one_of("n_init", [1, 1, 1, 2]),
        "init_params": case.one_of("init_params", STARTS),
        "random_state": int(case.draw.integers(2**31)),
        "n_jobs": case.one_of("n_jobs", [1, 2]),
    }
    tame = rows.tame and tame_weights and wrapped.readable and wrapped.finite and parameters["reg_covar"] == "auto"
    if case.chance(0.2):
        kind: Any = mixtura.BayesianGaussianMixture
        del parameters["n_factors"]
        if factors is not None:
            parameters["covariance_type"] = "full"
        shared = mixtura.families.family_of(parameters["covariance_type"]).constraint is not None  # there is no prior for such
        tame = _believed(case, parameters, D) and tame and not shared
        rule = "bayesian"
    else:
        kind = mixtura.GaussianMixture
        rule = parameters["rule"] = case.one_of("rule", SCALE_FREE)
        if rule in rules.PACED and case.chance(0.5):
            parameters["learning_rate"] = case.one_of("learning_rate", [1e-6, 0.01, 0.5, 1.0])
        if case.chance(0.15):
            parameters["means_init"] = case.draw.normal(size=(K, D)) * case.one_of("means_init", [1.0, 1e10, 1e100])
            tame = False
        tame = tame and (rule == "em" or (rule == "map" and factors is None))
    model = kind(**parameters)
    try:
        model.fit(wrapped.data, sample_weight=weights)
    except mixtura.errors.MixturaError as error:
        if tame and n >= 2 and K <= _distinct(wrapped.numbers, weights):
            case.require(False, f"rows with nothing strange about them are fitted: got {error}")
        raise
    case.require(wrapped.finite or _unweighed(wrapped.numbers, weights), "rows that are not finite are refused")
    laws.mixture(case, model.mixture_)
    case.require(np.isfinite(model.lower_bound_), f"the lower bound is a number: got {model.lower_bound_}")
    if rule in ("em", "online") and "means_init" not in parameters:
        laws.within(case, model.mixture_, wrapped.numbers, None if weights is None else np.asarray(weights, dtype=float) * np.ones(n), wrapped.single)
    _asked(case, model, wrapped, weights, rule)


def _believed(case: Case, parameters: dict[str, Any], D: int) -> bool:
    """Priors of variational Bayes; whether they are tame."""
    parameters["weight_concentration_prior_type"] = case.one_of("type", ["dirichlet_process", "dirichlet_distribution"])
    parameters["weight_concentration_prior"] = case.one_of("concentration", [None, None, 1e-300, 1e-3, 1e6, 1e300])
    parameters["mean_precision_prior"] = case.one_of("mean precision", [None, None, 1e-300, 1e3, 1e300])
    parameters["degrees_of_freedom_prior"] = case.one_of("degrees of freedom", [None, None, D - 1 + 1e-9, D + 5.0, 1e300])
    return not any(parameters[name] for name in ("weight_concentration_prior", "mean_precision_prior", "degrees_of_freedom_prior"))


def _unweighed(numbers: np.ndarray, weights: Any) -> bool:
    """Whether all that is not finite weighs nothing."""
    return weights is not None and bool(np.isfinite(numbers[np.asarray(weights, dtype=float) * np.ones(len(numbers)) > 0]).all())


def _asked(case: Case, model: Any, wrapped: wrapping.Wrapped, weights: Any, rule: str) -> None:
    K, D = model.mixture_.K, model.mixture_.D
    if wrapped.finite:
        X = wrapped.data
        laws.answers(case, X, len(wrapped.numbers), K, model.predict(X), model.predict_proba(X), model.score_samples(X))
        score = model.score(X, sample_weight=weights)
        figures = score, model.bic(X, sample_weight=weights), model.aic(X, sample_weight=weights)
        case.require(np.isfinite(figures).all(), f"score, BIC and AIC are numbers: got {figures}")
        if rule == "em":
            near = (1e-2 if wrapped.single else 1e-6) * (1 + abs(score)) + laws.lost(model.mixture_)
            case.require(abs(score - model.lower_bound_) <= near, f"the lower bound is the score: got {model.lower_bound_}, {score}")
    other = _others(case, D, wrapped.single)
    bare = mixtura.open(other)
    laws.answers(case, other, len(other), K, model.predict(bare), model.predict_proba(bare), model.score_samples(bare))
    precisions = model.precisions_cholesky_
    case.require(np.isfinite(precisions).all(), f"precisions are numbers: got {precisions}")


RULES = (
    lambda case: rules.EM(),
    lambda case: rules.Squarem(rules.EM()),
    lambda case: rules.MAP(relevance=case.one_of("relevance", [1e-9, 16.0, 1e12])),
    lambda case: rules.NaturalGradient(case.one_of("rate", [1e-9, 0.5, 1.0])),
    lambda case: rules.Online(batch_rows=case.one_of("batch", [1, 7, 1000]), passes=2),
    lambda case: rules.GradientAscent(case.one_of("rate", [1e-6, 0.1, 1.0, 100.0]), optimizer=case.one_of("optimizer", ["sgd", "momentum", "adam"])),
    lambda case: rules.GradientAscent(0.1, batch_rows=case.one_of("batch", [1, 7, 1000]), passes=2),
    lambda case: rules.LBFGS(),
    lambda case: rules.Variational(),
)


def loop(case: Case) -> None:
    """A start, given or found, and some steps from it; gradients and adaptation."""
    rows = values.rows(case)
    n, D = rows.values.shape
    wrapped = wrapping.wrap(case, rows)
    weights, _ = values.weights(case, n)
    family, factors = _family(case, D)
    chosen = mixtura.families.family_of(family, factors) if factors else mixtura.families.family_of(family)
    K = min(_components(case, n), 12)
    found = case.note("found", case.chance(0.6))
    start = mixtura.start(wrapped.data, K, chosen, sample_weight=weights, random_state=0) if found else given(case, chosen, K, D)
    laws.mixture(case, start)
    rule = RULES[int(case.draw.integers(len(RULES)))](case)
    case.note("rule", str(rule))
    steps = list(islice(mixtura.iterate(wrapped.data, start, rule, sample_weight=weights), 1 + int(case.draw.integers(8))))
    for step in steps:
        laws.mixture(case, step.mixture)
        case.require(np.isfinite(step.log_likelihood) and np.isfinite(step.objective), f"step {step.number} is a number: got {step.log_likelihood}")
        case.require(np.isfinite(step.statistics.counts).all(), f"the counts of step {step.number} are numbers: got {step.statistics.counts}")
    last = steps[-1]
    if wrapped.finite:
        laws.asked(case, last.mixture, wrapped.data, n)
    if case.chance(0.3) and not chosen.n_factors:
        for one in mixtura.gradients(last.mixture, last.statistics):
            case.require(
                all(np.isfinite(part).all() for part in vars(one).values() if isinstance(part, np.ndarray)) if hasattr(one, "__dict__") else True,
                "a gradient is numbers",
            )
    if case.chance(0.3):
        laws.mixture(case, mixtura.adapt(last.mixture, wrapped.data, case.one_of("relevance of adapt", [1e-300, 16.0, 1e300]), sample_weight=weights))
    if case.chance(0.3):
        fit = mixtura.fit(wrapped.data, start, rule, max_steps=10, sample_weight=weights)
        laws.mixture(case, fit.mixture)


def given(case: Case, family: Any, K: int, D: int) -> mixtura.Mixture:
    """A mixture somewhere, as wide as it happens to be."""
    place, width = 10.0 ** case.one_of("place", [0, 0, 0, 3, 20, 100, 139]), 10.0 ** case.one_of("width", [0, 0, 0, -3, 3, -20, 20, 100, -100, -139])
    means = case.draw.normal(size=(K, D)) * place
    factors = (np.eye(D) + 0.3 * case.draw.normal(size=(K, D, D))) * width
    weights = case.draw.dirichlet(np.full(K, case.one_of("concentration", [5.0, 0.01])))
    matrices = factors @ factors.swapaxes(1, 2)
    if family.n_factors:
        A, noise = factors[:, :, : family.n_factors], np.full((K, D) if family.name.startswith("factor") else (K,), width**2)
        return mixtura.Mixture.of_factors(weights, means, A, noise)
    kept = family.moment.keep(matrices[0] if family.pooled else matrices) / family.moment.divisor(D)
    return mixtura.Mixture(weights, means, family.project(kept, weights, D), family)


def stream(case: Case) -> None:
    """Batches one after the other, some of them strange."""
    rows = values.rows(case, wild=0.3)
    D = rows.values.shape[1]
    wrapped = wrapping.wrap(case, rows)
    model = mixtura.GaussianMixture(
        _components(case, 9), covariance_type=case.one_of("family", FAMILIES), rule=case.one_of("rule", ["em", "online"]), random_state=0,
        reg_covar=case.one_of("reg_covar", RIDGES),
    )  # fmt: skip
    weights, _ = values.weights(case, len(rows.values))
    model.partial_fit(wrapped.data, sample_weight=weights)
    laws.mixture(case, model.mixture_)
    for _ in range(3):
        batch = values.rows(case, wild=0.5, columns=D)
        before = model.mixture_
        try:
            model.partial_fit(batch.values)
        except mixtura.errors.MixturaError:
            case.require(model.mixture_ is before, "a batch that is refused leaves the model as it was")
            continue
        laws.mixture(case, model.mixture_)
    if wrapped.finite:
        laws.asked(case, model.mixture_, mixtura.open(wrapped.numbers), len(wrapped.numbers))


def selection(case: Case) -> None:
    """A small grid."""
    rows = values.rows(case, most=SMALL)
    n = len(rows.values)
    wrapped = wrapping.wrap(case, rows)
    weights, _ = values.weights(case, n)
    least = case.one_of("least", [1, 1, 1, 2, 5])
    families: Any = case.one_of(
        "families", ["auto", "full", ("diag", "tied"), ("spherical", "vve"), FAMILIES[int(case.draw.integers(len(FAMILIES)))]]
    )
    criterion = case.one_of("criterion", ["bic", "bic", "icl", "aic", "held_out"])
    found = mixtura.select(
        wrapped.data, range(least, least + case.one_of("more", [1, 2, 3])), families, criterion=criterion, sample_weight=weights, random_state=0,
        max_iter=50,
        rule=case.one_of("rule", ["em", "em", "map", "lbfgs"]), reg_covar=case.one_of("reg_covar", RIDGES), folds=2,
    )  # fmt: skip
    best = found.best
    laws.mixture(case, best.mixture_)
    case.require(wrapped.finite or _unweighed(wrapped.numbers, weights), "rows that are not finite are refused")
    case.require(
        all(np.isfinite((one.bic, one.log_likelihood)).all() for one in found.ranking if one.mixture is not None), "what is ranked has numbers"
    )
    str(found)
    if wrapped.finite:
        laws.asked(case, best.mixture_, wrapped.data, n)
