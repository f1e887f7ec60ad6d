"""Mixtures that are written down, and arguments that are one number or word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mixtura
from benchmarks.fuzz import fits, laws
from benchmarks.fuzz.cases import Case

MAGNITUDES = (-320, -300, -160, -100, -38, -20, -3, 0, 0, 0, 3, 20, 38, 100, 150, 160, 300)


def mixture(case: Case) -> None:
    """A mixture of any numbers: refused, or right about any rows."""
    D, K = int(case.draw.integers(1, 6)), int(case.draw.integers(1, 7))
    family, factors = fits._family(case, D)
    chosen = mixtura.families.family_of(family, factors) if factors else mixtura.families.family_of(family)
    if case.chance(0.4):
        one = fits.given(case, chosen, K, D)
    else:
        one = mixtura.Mixture(_weights(case, K), _means(case, K, D), _covariances(case, chosen, K, D), chosen)
    laws.mixture(case, one)
    X = case.draw.normal(size=(11, D)) * 10.0 ** case.draw.choice(MAGNITUDES, size=(11, 1)) + one.means[case.draw.integers(K, size=11)]
    X = np.nan_to_num(np.clip(X, -1.7e308, 1.7e308))
    if case.chance(0.4):
        X = np.clip(X, -3.4e38, 3.4e38).astype(case.note("dtype", np.float32))
    laws.asked(case, one, X, len(X))
    case.require(np.isfinite(one.score(X)), f"a score is a number: got {one.score(X)}")
    for name in ("matrices", "variances", "whiteners"):
        case.require(np.isfinite(getattr(one, name)).all(), f"{name} are numbers: got {getattr(one, name)}")
    path = case.folder / "model.safetensors"
    one.save(path)
    again = mixtura.Mixture.load(path)
    case.require(np.array_equal(again.means, one.means) and np.array_equal(again.weights, one.weights), "a file keeps the mixture")
    if D > 1:
        part = [int(case.draw.integers(D))]
        laws.mixture(case, one.marginal(part))
        laws.mixture(case, one.condition(part, X[0, part].astype(float)))
    one.html()
    repr(one)


def _weights(case: Case, K: int) -> Any:
    kind = case.one_of("weights", ["equal", "drawn", "drawn", "uneven", "one", "off", "negative", "endless", "missing", "words"])
    drawn = case.draw.dirichlet(np.ones(K))
    if kind == "uneven":
        drawn = 10.0 ** case.draw.uniform(-320, 0, size=K)
        return drawn / drawn.sum()
    special: dict[str, Any] = {
        "equal": np.full(K, 1 / K),
        "one": np.eye(K)[0],
        "off": drawn * (1 + 1e-5),
        "negative": -drawn,
        "endless": [10**400] * K,
        "missing": np.full(K, np.nan),
        "words": ["a"] * K,
    }
    return special.get(kind, drawn)


def _means(case: Case, K: int, D: int) -> Any:
    kind = case.one_of("means", ["plain", "plain", "far", "farther", "equal", "mixed", "shape", "missing"])
    drawn = case.draw.normal(size=(K, D))
    special: dict[str, Any] = {
        "far": drawn * 10.0 ** case.draw.choice(MAGNITUDES),
        "farther": drawn * 10.0 ** case.draw.choice(MAGNITUDES, size=(K, 1)),
        "equal": np.zeros((K, D)),
        "mixed": drawn * 10.0 ** case.draw.choice(MAGNITUDES, size=(K, D)),
        "shape": drawn.T if K != D else drawn[0],
        "missing": np.where(drawn > 0, drawn, np.nan),
    }
    return special.get(kind, drawn)


def _covariances(case: Case, family: Any, K: int, D: int) -> Any:
    kind = case.one_of(
        "covariances", ["plain", "scaled", "scaled", "uneven", "columns", "flat", "singular", "negative", "asymmetric", "zero", "missing"]
    )
    factors = np.eye(D) + 0.3 * case.draw.normal(size=(K, D, D))
    if kind == "flat":
        factors[:, -1] = factors[:, 0] + 10.0 ** case.draw.uniform(-12, 0) * factors[:, -1]
    elif kind == "singular":
        factors[:, -1] = factors[:, 0]
    elif kind == "columns":
        factors *= 10.0 ** (case.draw.choice(MAGNITUDES, size=(D, 1)) / 2)
    with np.errstate(all="ignore"):
        matrices = factors @ factors.swapaxes(1, 2)
        if kind == "scaled":
            matrices = matrices * 10.0 ** float(case.one_of("scale", MAGNITUDES))
        elif kind == "uneven":
            matrices = matrices * 10.0 ** case.draw.choice(MAGNITUDES, size=(K, 1, 1)).astype(float)
        special = {"negative": -1.0, "zero": 0.0, "missing": np.nan}
        matrices = matrices * special.get(kind, 1.0)
    if kind == "asymmetric":
        matrices[:, 0] += 1
    if family.n_factors:
        A = factors[:, :, : family.n_factors]
        noise = (
            np.abs(np.diagonal(matrices, axis1=1, axis2=2)) if family.name.startswith("factor") else np.repeat(np.abs(matrices[:, :1, 0]), D, axis=1)
        )
        return np.concatenate([A, noise[..., None]], axis=-1)
    with np.errstate(all="ignore"):
        kept = family.moment.keep(matrices[0] if family.pooled else matrices) / family.moment.divisor(D)
    if family.constraint is None or not np.isfinite(kept).all():
        return kept
    try:
        with np.errstate(all="ignore"):
            return family.project(kept, np.full(K, 1 / K), D)
    except (np.linalg.LinAlgError, ValueError, ArithmeticError):  # no member of the family is near: any numbers will do
        return kept


STRANGE: tuple[Any, ...] = (
    -1, 0, 1, 2, 2.5, 3.0, 1e300, float("nan"), float("inf"), -0.0, True, False, None, "2", "", "auto", b"1", 10**400, -(10**400), 2**63, np.int8(2),
    np.uint64(2**63), np.float32(0.5), np.array(2), np.array([2]), np.array([1, 2]), [2], (), {}, object, 1 + 0j, "\x1b[31m", "x" * 9_000,
    np.datetime64("2020"),
    np.str_("em"), range(3), {1}, Ellipsis, "full", "em", "nan",
)  # fmt: skip
SMALL = np.random.default_rng(0).normal(size=(20, 2))
PLAIN = mixtura.Mixture([0.4, 0.6], [[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [0.5, 1.0]], "diag")
NAMES = (
    "n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init", "init_params", "weights_init", "means_init", "precisions_init",
    "random_state",
    "warm_start", "verbose", "verbose_interval", "rule", "learning_rate", "fixed", "n_factors", "n_jobs",
)  # fmt: skip
BAYESIAN = (
    "n_components", "covariance_type", "weight_concentration_prior_type", "weight_concentration_prior", "mean_precision_prior", "mean_prior",
    "degrees_of_freedom_prior", "covariance_prior", "reg_covar", "init_params",
)  # fmt: skip


def _estimator(case: Case, value: Any) -> None:
    name = case.one_of("parameter", NAMES)
    value = 1 if name in ("verbose", "verbose_interval") and isinstance(value, int) and value > 0 else value
    model = mixtura.GaussianMixture(**{"n_components": 2, "random_state": 0, "max_iter": 5, name: value}).fit(SMALL)
    laws.mixture(case, model.mixture_)


def _bayesian(case: Case, value: Any) -> None:
    model = mixtura.BayesianGaussianMixture(**{"n_components": 2, "random_state": 0, "max_iter": 5, case.one_of("parameter", BAYESIAN): value}).fit(
        SMALL
    )
    laws.mixture(case, model.mixture_)


def _sampled(case: Case, value: Any) -> None:
    rows, component = PLAIN.sample(value, 0) if case.chance(0.5) else PLAIN.sample(3, value)
    case.require(len(rows) == len(component) and rows.shape[1] == 2, f"as many rows as components: got {rows.shape}")


def _selected(case: Case, value: Any) -> None:
    name = case.one_of(
        "parameter", ["n_components", "families", "criterion", "folds", "subsample", "rule", "reg_covar", "tol", "max_iter", "random_state", "n_jobs"]
    )
    laws.mixture(case, mixtura.select(SMALL, **{"n_components": [1, 2], "families": ["diag"], "random_state": 0, name: value}).best.mixture_)


def _fitted(case: Case, value: Any) -> None:
    name = case.one_of("parameter", ["rule", "tol", "max_steps", "sample_weight", "n_jobs"])
    laws.mixture(case, mixtura.fit(SMALL, PLAIN, **{"max_steps": 5, name: value}).mixture)


def _started(case: Case, value: Any) -> None:
    name = case.one_of("parameter", ["n_components", "family", "random_state", "sample_weight"])
    laws.mixture(case, mixtura.start(SMALL, **{"n_components": 2, name: value}))


def _ruled(case: Case, value: Any) -> None:
    kind, names = case.one_of("rule", [(name, tuple(fields)) for name, fields in RULE_FIELDS.items()])
    name = case.one_of("field", names)
    rule = getattr(mixtura.rules, kind)(**{name: value})
    laws.mixture(case, mixtura.fit(SMALL, PLAIN, rule, max_steps=3).mixture)


RULE_FIELDS = {
    "EM": ("fixed",),
    "LBFGS": ("memory", "patience", "fixed"),
    "MAP": ("prior", "relevance", "fixed"),
    "NaturalGradient": ("learning_rate", "fixed"),
    "Online": ("batch_rows", "exponent", "offset", "passes", "forgetting", "average", "seed"),
    "GradientAscent": ("learning_rate", "optimizer", "batch_rows", "passes", "seed"),
    "Squarem": ("patience", "tol"),
    "Variational": ("weight_concentration_prior_type", "weight_concentration_prior", "mean_precision_prior", "mean_prior",
    "degrees_of_freedom_prior", "covariance_prior"),
}  # fmt: skip


def _mixture_itself(case: Case, value: Any) -> None:
    name = case.one_of("parameter", ["weights", "means", "covariances", "family"])
    plain: dict[str, Any] = {"weights": [0.5, 0.5], "means": [[0.0], [1.0]], "covariances": [[1.0], [1.0]], "family": "diag"}
    laws.mixture(case, mixtura.Mixture(**{**plain, name: value}))


def _questions(case: Case, value: Any) -> None:
    ask = case.one_of(
        "question",
        ["marginal", "condition columns", "condition values", "to_family", "assign", "score weight", "open columns", "open weight", "records"],
    )
    questions: dict[str, Callable[[], Any]] = {
        "marginal": lambda: laws.mixture(case, PLAIN.marginal(value)),
        "condition columns": lambda: laws.mixture(case, PLAIN.condition(value, [0.0])),
        "condition values": lambda: laws.mixture(case, PLAIN.condition([0], value)),
        "to_family": lambda: laws.mixture(case, PLAIN.to_family(value)),
        "assign": lambda: PLAIN.assign(value),
        "score weight": lambda: case.require(np.isfinite(PLAIN.score(SMALL, value)), "a score is a number"),
        "open columns": lambda: mixtura.open(SMALL, value).profile,
        "open weight": lambda: mixtura.open(SMALL, weight=value).profile,
        "records": lambda: list(PLAIN.records(SMALL, value)),
    }
    questions[ask]()


CALLS = (
    _estimator,
    _estimator,
    _estimator,
    _bayesian,
    _bayesian,
    _sampled,
    _selected,
    _fitted,
    _started,
    _ruled,
    _ruled,
    _mixture_itself,
    _questions,
    _questions,
)


def argument(case: Case) -> None:
    """One argument is any value at all."""
    value = STRANGE[int(case.draw.integers(len(STRANGE)))]
    case.note("value", repr(value)[:80])
    call = CALLS[int(case.draw.integers(len(CALLS)))]
    case.note("call", call.__name__)
    call(case, value)
