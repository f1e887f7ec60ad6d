"""The centred form: subtract the component's mean first, logits = c - |U (x - mu)|^2 / 2, sums about the current means.

The truth: it loses nothing however far the means lie from the origin. `matrix_*` takes a lower triangular U with U'U the precision, in
tiles of four rows (the fewest operations possible, no table of features: the faster form for many columns); `diagonal_*` takes 1/sd.
"""

from __future__ import annotations

import math

from mixtura.kernels.lanes import Entry, accumulate, fma, gather, inlined, kernel, load, splat, store, wide_registers
from mixtura.kernels.panel import e_step, hide, standardise, weigh_posteriors

DENSE = 4 / 3  # a component that has part in more than the inverse of this of the rows takes all of them: picking has its price


@kernel
def centre_about(panel, means, k, D, rows, step, centred):  # type: ignore[no-untyped-def]
    """centred = panel - mean_k."""
    wide_registers()
    for j in range(D):
        mean = splat(panel, means[k, j])
        for i in range(0, rows, step):
            store(centred, j, i, load(panel, j, i) - mean)


@inlined
def add_products(tile, others, n, i, step, a0, a1, a2, a3, b0, b1, b2, b3):  # type: ignore[no-untyped-def]
    """Four sums of two registers of rows each, at i, gain the products of the first n rows of `others` with four columns of numbers (n, 4)."""
    for j in range(n):
        x, y = load(others, j, i), load(others, j, i + step)
        u = splat(x, tile[j, 0])
        a0, b0 = fma(u, x, a0), fma(u, y, b0)
        u = splat(x, tile[j, 1])
        a1, b1 = fma(u, x, a1), fma(u, y, b1)
        u = splat(x, tile[j, 2])
        a2, b2 = fma(u, x, a2), fma(u, y, b2)
        u = splat(x, tile[j, 3])
        a3, b3 = fma(u, x, a3), fma(u, y, b3)
    return a0, a1, a2, a3, b0, b1, b2, b3


@kernel
def matrix_logits(panel, means, U, constants, K, D, rows, step, centred, logits):  # type: ignore[no-untyped-def]
    """U is packed as (component, group of four rows, column, row in the group); columns beyond the group's are zero and skipped."""
    wide_registers()
    zero, minus_half = splat(panel, 0.0), splat(panel, -0.5)
    groups = U.shape[1]
    for k in range(K):
        centre_about(panel, means, k, D, rows, step, centred)
        constant = splat(panel, constants[k])
        for i in range(0, rows, 2 * step):
            q = r = zero
            for g in range(groups):
                a0, a1, a2, a3, b0, b1, b2, b3 = add_products(
                    U[k, g], centred, min(4 * g + 4, D), i, step, zero, zero, zero, zero, zero, zero, zero, zero
                )
                q = fma(a3, a3, fma(a2, a2, fma(a1, a1, fma(a0, a0, q))))
                r = fma(b3, b3, fma(b2, b2, fma(b1, b1, fma(b0, b0, r))))
            store(logits, k, i, fma(minus_half, q, constant))
            store(logits, k, i + step, fma(minus_half, r, constant))


@kernel
def pick_rows(logits, k, scratch, step, cut, lists, weights):  # type: ignore[no-untyped-def]
    """The rows that component k has any part in, to the last row of `lists`, and their w_i r_ik, to `weights`; how many, in whole registers.

    `logits` and `scratch` are what `soften` left. The places that fill the last register repeat the first row and weigh nothing.
    """
    mine, picked = k // 4, lists.shape[0] - 1
    negligible = math.exp(cut)
    n = 0
    for t in range(1, lists[mine, 0] + 1):
        for i in range(lists[mine, t], lists[mine, t] + step):
            lists[picked, n] = i
            weights[0, n] = logits[k, i] * scratch[2, i]
            n += logits[k, i] > negligible
    filled = -(-n // step) * step
    for t in range(n, filled):
        lists[picked, t] = lists[picked, 0]
        weights[0, t] = 0.0
    return filled


@kernel
def gather_about(panel, means, k, D, lists, rows, step, centred):  # type: ignore[no-untyped-def]
    """centred = (the picked rows of panel) - mean_k."""
    wide_registers()
    picked = lists.shape[0] - 1
    for i in range(0, rows, step):
        for j in range(D):
            store(centred, j, i, gather(panel, j, lists, picked, i) - splat(panel, means[k, j]))


@kernel
def weigh_component(logits, k, scratch, rows, step, weights):  # type: ignore[no-untyped-def]
    """weights = w_i r_ik of every row."""
    wide_registers()
    for i in range(0, rows, step):
        store(weights, 0, i, load(logits, k, i) * load(scratch, 2, i))


@kernel
def add_tile(weighted, others, m, rows, step, sums, row, column):  # type: ignore[no-untyped-def]
    """Four by four of sums, from row and column on, gain the products of four weighted columns with four others from m on."""
    wide_registers()
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = splat(weighted, 0.0)
    c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = splat(weighted, 0.0)
    for i in range(0, rows, step):
        x, y = load(others, m, i), load(others, m + 1, i)
        z, w = load(others, m + 2, i), load(others, m + 3, i)
        r = load(weighted, 0, i)
        a0, b0, c0, d0 = fma(r, x, a0), fma(r, y, b0), fma(r, z, c0), fma(r, w, d0)
        r = load(weighted, 1, i)
        a1, b1, c1, d1 = fma(r, x, a1), fma(r, y, b1), fma(r, z, c1), fma(r, w, d1)
        r = load(weighted, 2, i)
        a2, b2, c2, d2 = fma(r, x, a2), fma(r, y, b2), fma(r, z, c2), fma(r, w, d2)
        r = load(weighted, 3, i)
        a3, b3, c3, d3 = fma(r, x, a3), fma(r, y, b3), fma(r, z, c3), fma(r, w, d3)
    accumulate(sums, row, column, a0, b0, c0, d0)
    accumulate(sums, row + 1, column, a1, b1, c1, d1)
    accumulate(sums, row + 2, column, a2, b2, c2, d2)
    accumulate(sums, row + 3, column, a3, b3, c3, d3)


@kernel
def add_scatter(weights, k, centred, weighted, rows, step, first, second):  # type: ignore[no-untyped-def]
    """first[k] gains (sum r d, sum r), second's rows k D .. gain the lower tiles of sum r d d', d = x - mu_k."""
    wide_registers()
    padded = centred.shape[0]
    zero = splat(centred, 0.0)
    n = zero
    for i in range(0, rows, step):
        n = n + load(weights, 0, i)
    accumulate(first, k, padded, n, zero, zero, zero)
    for j in range(0, padded, 4):
        s0 = s1 = s2 = s3 = zero
        for i in range(0, rows, step):
            r = load(weights, 0, i)
            x0, x1 = load(centred, j, i) * r, load(centred, j + 1, i) * r
            x2, x3 = load(centred, j + 2, i) * r, load(centred, j + 3, i) * r
            store(weighted, 0, i, x0)
            store(weighted, 1, i, x1)
            store(weighted, 2, i, x2)
            store(weighted, 3, i, x3)
            s0, s1, s2, s3 = s0 + x0, s1 + x1, s2 + x2, s3 + x3
        accumulate(first, k, j, s0, s1, s2, s3)
        row = k * padded + j
        for m in range(0, j + 4, 4):
            add_tile(weighted, centred, m, rows, step, second, row, m)


@Entry
def run_matrix(  # type: ignore[no-untyped-def]
    X,
    weights,
    centre,
    inverse_scale,
    limit,
    means,
    U,
    constants,
    hidden,
    cut,
    panel_rows,
    step,
    room,
    lists,
    first,
    second,
    component,
    density,
    probability,
    posterior,
):
    """E-step of a block, and what of it is wanted: those tables that are not empty.

    `first` (K, padded + 4) gains (sum r d, sum r, 0, 0, 0), `second` (K padded, padded) the lower tiles of the scatter, both about the means;
    the four answers row by row, for weights of 1. Returns sum_i w_i log p(x_i) where anything but `component` is wanted. `room` holds the
    panel, the centred panel, the logits, and rows of scratch (3), weights (1) and weighted columns (4).
    """
    N, D = X.shape
    K, padded = means.shape[0], 4 * U.shape[1]
    filled = 2 * padded + 4 * (lists.shape[0] - 1)
    panel, centred, logits = room[:padded], room[padded : 2 * padded], room[2 * padded : filled]
    scratch, mine, weighted = room[filled : filled + 3], room[filled + 3 : filled + 4], room[filled + 4 : filled + 8]
    centred[D:] = 0.0
    loglik = 0.0
    for start in range(0, N, panel_rows):
        count = min(panel_rows, N - start)
        rows = -(-count // (2 * step)) * 2 * step
        standardise(X, start, centre, inverse_scale, limit, rows, step, panel, 0)
        matrix_logits(panel, means, U, constants, K, D, rows, step, centred, logits)
        hide(logits, K, rows, step, hidden)
        loglik += e_step(
            logits, K, weights, start, count, rows, step, cut, scratch, lists, second.size > 0, component, density, probability, posterior
        )
        for k in range(K if second.size else 0):
            picked = pick_rows(logits, k, scratch, step, cut, lists, mine)
            if DENSE * picked > rows:
                weigh_component(logits, k, scratch, rows, step, mine)
                centre_about(panel, means, k, D, rows, step, centred)
                picked = rows
            elif picked:
                gather_about(panel, means, k, D, lists, picked, step, centred)
            if picked:
                add_scatter(mine, k, centred, weighted, picked, step, first, second)
    return loglik


@kernel
def diagonal_logits(panel, means, inverse, constants, K, D, rows, step, logits):  # type: ignore[no-untyped-def]
    """logits = c - sum_j ((x_j - mu_j) / sd_j)^2 / 2."""
    wide_registers()
    zero, minus_half = splat(panel, 0.0), splat(panel, -0.5)
    for k in range(K):
        constant = splat(panel, constants[k])
        for i in range(0, rows, step):
            q = zero
            for j in range(D):
                y = (load(panel, j, i) - splat(panel, means[k, j])) * splat(panel, inverse[k, j])
                q = fma(y, y, q)
            store(logits, k, i, fma(minus_half, q, constant))


@kernel
def add_squares(R, panel, means, K, D, lists, sums):  # type: ignore[no-untyped-def]
    """sums[k D + j] gains (sum r d, sum r d*d, sum r, 0), d = x_j - mu_kj."""
    wide_registers()
    zero = splat(panel, 0.0)
    for k in range(K):
        for j in range(D):
            mean = splat(panel, means[k, j])
            n = s = q = zero
            for t in range(1, lists[k // 4, 0] + 1):
                i = lists[k // 4, t]
                r = load(R, k, i)
                d = load(panel, j, i) - mean
                v = d * r
                n = n + r
                s = s + v
                q = fma(v, d, q)
            accumulate(sums, k * D + j, 0, s, q, n, zero)


@Entry
def run_diagonal(  # type: ignore[no-untyped-def]
    X,
    weights,
    centre,
    inverse_scale,
    limit,
    means,
    inverse,
    constants,
    hidden,
    cut,
    panel_rows,
    step,
    room,
    lists,
    sums,
    component,
    density,
    probability,
    posterior,
):
    """`run_matrix` where the covariances are diagonal: `sums` (K D, 4) are those about the means, column by column."""
    N, D = X.shape
    K = means.shape[0]
    filled = D + 4 * (lists.shape[0] - 1)
    panel, logits, scratch = room[:D], room[D:filled], room[filled : filled + 3]
    loglik = 0.0
    for start in range(0, N, panel_rows):
        count = min(panel_rows, N - start)
        rows = -(-count // (2 * step)) * 2 * step
        standardise(X, start, centre, inverse_scale, limit, rows, step, panel, 0)
        diagonal_logits(panel, means, inverse, constants, K, D, rows, step, logits)
        hide(logits, K, rows, step, hidden)
        loglik += e_step(logits, K, weights, start, count, rows, step, cut, scratch, lists, sums.size > 0, component, density, probability, posterior)
        if sums.size:
            weigh_posteriors(logits, scratch, lists)
            add_squares(logits, panel, means, K, D, lists, sums)
    return loglik
