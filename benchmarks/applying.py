"""What comes after a fit, and how much memory it all takes beside the data and the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

import mixtura
from benchmarks import data
from benchmarks.measuring import MB, Result, alternate, peak_of, ratio, seconds_of

METHODS = ("predict", "score_samples")
ANSWER = 8  # bytes per row of either method's answer


def predict(quick: bool) -> Result:
    """`predict` and `score_samples` of 5M x 8 with K = 16, full, of the same mixture in both estimators."""
    N, d, K = 500_000 if quick else 5_000_000, 8, 16
    X = data.rows(N, d, K)
    ours = mixtura.GaussianMixture(K, max_iter=5, random_state=0).fit(X[:20_000])
    theirs: Any = GaussianMixture(K)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(theirs, name, getattr(ours, name))
    figures: dict[str, Any] = {"N": N, "d": d, "K": K}
    lines = []
    for method in METHODS:
        getattr(ours, method)(X[:20_000])
        sides = {"mixtura": getattr(ours, method), "scikit-learn": getattr(theirs, method)}
        turns = {side: seconds_of(lambda call=call: call(X)) for side, call in sides.items()}  # type: ignore[misc]
        timings = alternate(turns, {"mixtura": 3 if quick else 5, "scikit-learn": 1})
        ns = {side: timing.median * 1e9 / (N * K) for side, timing in timings.items() if timing.median}
        extra = {side: timing.extra_mb - ANSWER * N / MB for side, timing in timings.items() if timing.extra_mb is not None}
        times = ratio(timings["scikit-learn"], timings["mixtura"])
        figures[method] = {"ns": ns, "ratio": times, "extra_mb": extra}
        lines.append(
            f"{method} of {N} x {d}, K={K}, float64: "
            + "; ".join(f"{side} {ns[side]:.2f} ns per row x component, {_mb(extra.get(side))} above data and answer" for side in ns)
            + f"; {times:.1f} times faster"
        )
    return Result(figures, lines)


def memory(quick: bool) -> Result:
    """Extra memory of a default fit (five steps of it: all are alike) and of `predict` on 10M x 8 float32, above the data and the answer."""
    N, d, K = 1_000_000 if quick else 10_000_000, 8, 16
    X = data.rows(N, d, K, "float32")
    model = mixtura.GaussianMixture(K, max_iter=5, random_state=0)
    model.fit(X[:100_000]).predict(X[:100_000])  # compiles, which takes memory once
    _, fit = peak_of(lambda: model.fit(X))
    answer, whole = peak_of(lambda: model.predict(X))
    predict = None if whole is None else whole - np.asarray(answer).nbytes / MB
    line = f"extra memory, {N} x {d} float32 ({X.nbytes / MB:.0f} MB), K={K}: fit {_mb(fit)}, predict {_mb(predict)} above data and answer"
    return Result({"N": N, "d": d, "K": K, "fit_mb": fit, "predict_mb": predict}, [line])


def _mb(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} MB"
