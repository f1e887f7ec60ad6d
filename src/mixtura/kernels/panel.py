"""A panel: some hundred rows in hand, transposed and standardised, a register of rows beside the next.

Everything that both forms of the sweep share: loading a panel, finishing its logits into posteriors, densities or assignments.
Panels are filled up to whole registers; the rows that fill them weigh nothing.
"""

from __future__ import annotations

import numpy as np

from mixtura.kernels.lanes import REGISTER_BYTES, accumulate_lanes, exp, kernel, load, log, maximum, splat, store, wide_registers

LIMIT = {np.dtype(np.float64): 1e100, np.dtype(np.float32): 1e12}  # standardised rows are cut here: their squares must not overflow


@kernel
def aligned(rows, width, like):  # type: ignore[no-untyped-def]
    """A zero table whose rows start on register boundaries and, `width` being odd in registers, on different cache sets."""
    size = like.itemsize
    space = np.zeros(rows * width + REGISTER_BYTES // size, like.dtype)
    skip = (-space.ctypes.data % REGISTER_BYTES) // size
    return space[skip : skip + rows * width].reshape(rows, width)


@kernel
def standardise(X, start, count, centre, inverse_scale, limit, panel, first):  # type: ignore[no-untyped-def]
    """panel[first + j, i] = (X[start + i, j] - centre_j) / scale_j, zero beyond `count` rows."""
    width = panel.shape[1]
    for j in range(X.shape[1]):
        row = panel[first + j]
        c, s = centre[j], inverse_scale[j]
        for i in range(count):
            row[i] = min(max((X[start + i, j] - c) * s, -limit), limit)
        for i in range(count, width):
            row[i] = 0.0


@kernel
def weigh(weights, start, count, panel):  # type: ignore[no-untyped-def]
    """panel[0, i] = the weight of row start + i (1 where `weights` is empty), zero beyond `count` rows."""
    for i in range(count):
        panel[0, i] = 1.0
    if weights.size:
        for i in range(count):
            panel[0, i] = weights[start + i]
    for i in range(count, panel.shape[1]):
        panel[0, i] = 0.0


@kernel
def soften(logits, K, weights, rows, loglik):  # type: ignore[no-untyped-def]
    """logits become weighted posteriors w_i r_ik; loglik[0] gains, lane by lane, sum_i w_i log sum_k exp(logit_ik)."""
    wide_registers()
    step = loglik.shape[1]
    zero, one = splat(logits, 0.0), splat(logits, 1.0)
    for i in range(0, rows, step):
        top = load(logits, 0, i)
        for k in range(1, K):
            top = maximum(load(logits, k, i), top)
        norm = zero
        for k in range(K):
            e = exp(load(logits, k, i) - top)
            norm = norm + e
            store(logits, k, i, e)
        weight = load(weights, 0, i)
        accumulate_lanes(loglik, weight * (top + log(norm)))
        factor = weight * (one / norm)
        for k in range(K):
            store(logits, k, i, load(logits, k, i) * factor)


@kernel
def finish(logits, K, density, probability, rows, step):  # type: ignore[no-untyped-def]
    """logits become posteriors; density[0, i] = log sum_k exp(logit_ik), probability[0, i] = max_k r_ik."""
    wide_registers()
    zero, one = splat(logits, 0.0), splat(logits, 1.0)
    for i in range(0, rows, step):
        top = load(logits, 0, i)
        for k in range(1, K):
            top = maximum(load(logits, k, i), top)
        norm = zero
        for k in range(K):
            e = exp(load(logits, k, i) - top)
            norm = norm + e
            store(logits, k, i, e)
        factor = one / norm
        store(density, 0, i, top + log(norm))
        store(probability, 0, i, factor)
        for k in range(K):
            store(logits, k, i, load(logits, k, i) * factor)


@kernel
def assign(logits, K, start, count, component):  # type: ignore[no-untyped-def]
    """component[start + i] = the first k with the largest logit. No exponentials."""
    for i in range(count):
        best = 0
        for k in range(1, K):
            if logits[k, i] > logits[best, i]:
                best = k
        component[start + i] = best


@kernel
def answer(logits, K, start, count, rows, step, scratch, component, density, probability, posterior):  # type: ignore[no-untyped-def]
    """Writes the wanted answers of a panel (those whose arrays are not empty) to their rows."""
    if component.size:
        assign(logits, K, start, count, component)
    if density.size or posterior.size:
        finish(logits, K, scratch[0:1], scratch[1:2], rows, step)
        if density.size:
            for i in range(count):
                density[start + i] = scratch[0, i]
                probability[start + i] = scratch[1, i]
        if posterior.size:
            for k in range(K):
                for i in range(count):
                    posterior[start + i, k] = logits[k, i]
