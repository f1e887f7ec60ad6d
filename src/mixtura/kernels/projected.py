"""The projected form, for factor analysers: each row as seen by a component's q factors, and what these leave of it.

    y = Psi^-1/2 (x - mu)        z = M^-1 B' y, B = Psi^-1/2 A        logit = c - (|y - B z|^2 + |z|^2) / 2

Woodbury's |y|^2 - y'B M^-1 B'y is the same number, but loses the digits of what factors explain: with a noise of a millionth, six. Here nothing
large cancels, and an error of z counts squared, as z is where the sum of squares is least. The price is one product more, N K D q.
"""

from __future__ import annotations

from mixtura.kernels.centred import DENSE, add_products, add_tile, pick_rows, weigh_component
from mixtura.kernels.lanes import Entry, accumulate, fma, gather, kernel, load, splat, store, wide_registers
from mixtura.kernels.panel import e_step, hide, standardise


@kernel
def whiten(panel, means, inverse, k, D, rows, step, whitened):  # type: ignore[no-untyped-def]
    """whitened = (panel - mean_k) / sd_k, column by column."""
    wide_registers()
    for j in range(D):
        mean, factor = splat(panel, means[k, j]), splat(panel, inverse[k, j])
        for i in range(0, rows, step):
            store(whitened, j, i, (load(panel, j, i) - mean) * factor)


@kernel
def gather_whitened(panel, means, inverse, k, D, lists, rows, step, whitened):  # type: ignore[no-untyped-def]
    """`whiten` for the picked rows."""
    wide_registers()
    picked = lists.shape[0] - 1
    for i in range(0, rows, step):
        for j in range(D):
            store(whitened, j, i, (gather(panel, j, lists, picked, i) - splat(panel, means[k, j])) * splat(panel, inverse[k, j]))


@kernel
def project(whitened, W, k, D, rows, step, factors):  # type: ignore[no-untyped-def]
    """factors = W_k whitened; W is packed as (component, group of four factors, column, factor in the group)."""
    wide_registers()
    zero = splat(whitened, 0.0)
    for i in range(0, rows, 2 * step):
        for g in range(W.shape[1]):
            a0, a1, a2, a3, b0, b1, b2, b3 = add_products(W[k, g], whitened, D, i, step, zero, zero, zero, zero, zero, zero, zero, zero)
            f = 4 * g
            store(factors, f, i, a0)
            store(factors, f + 1, i, a1)
            store(factors, f + 2, i, a2)
            store(factors, f + 3, i, a3)
            store(factors, f, i + step, b0)
            store(factors, f + 1, i + step, b1)
            store(factors, f + 2, i + step, b2)
            store(factors, f + 3, i + step, b3)


@kernel
def remaining_logits(whitened, B, constants, k, factors, rows, step, logits):  # type: ignore[no-untyped-def]
    """logits[k] = c_k - (|whitened - B_k factors|^2 + |factors|^2) / 2; B is packed as (component, group of four columns, factor, column) of -B."""
    wide_registers()
    zero, minus_half = splat(whitened, 0.0), splat(whitened, -0.5)
    constant, q = splat(whitened, constants[k]), B.shape[2]
    for i in range(0, rows, 2 * step):
        s = t = zero
        for f in range(q):
            x, y = load(factors, f, i), load(factors, f, i + step)
            s, t = fma(x, x, s), fma(y, y, t)
        for g in range(B.shape[1]):
            j = 4 * g
            a0, a1, a2, a3 = load(whitened, j, i), load(whitened, j + 1, i), load(whitened, j + 2, i), load(whitened, j + 3, i)
            b0, b1 = load(whitened, j, i + step), load(whitened, j + 1, i + step)
            b2, b3 = load(whitened, j + 2, i + step), load(whitened, j + 3, i + step)
            a0, a1, a2, a3, b0, b1, b2, b3 = add_products(B[k, g], factors, q, i, step, a0, a1, a2, a3, b0, b1, b2, b3)
            s = fma(a3, a3, fma(a2, a2, fma(a1, a1, fma(a0, a0, s))))
            t = fma(b3, b3, fma(b2, b2, fma(b1, b1, fma(b0, b0, t))))
        store(logits, k, i, fma(minus_half, s, constant))
        store(logits, k, i + step, fma(minus_half, t, constant))


@kernel
def add_projected(weights, k, whitened, weighted, factors, rows, step, first, second):  # type: ignore[no-untyped-def]
    """first's rows 2k and 2k + 1 gain (sum r y, sum r) and sum r y*y, second's rows k D .. gain sum r y z'."""
    wide_registers()
    padded = whitened.shape[0]
    zero = splat(whitened, 0.0)
    n = zero
    for i in range(0, rows, step):
        n = n + load(weights, 0, i)
    accumulate(first, 2 * k, padded, n, zero, zero, zero)
    for j in range(0, padded, 4):
        s0 = s1 = s2 = s3 = q0 = q1 = q2 = q3 = zero
        for i in range(0, rows, step):
            r = load(weights, 0, i)
            y0, y1, y2, y3 = load(whitened, j, i), load(whitened, j + 1, i), load(whitened, j + 2, i), load(whitened, j + 3, i)
            x0, x1, x2, x3 = y0 * r, y1 * r, y2 * r, y3 * r
            store(weighted, 0, i, x0)
            store(weighted, 1, i, x1)
            store(weighted, 2, i, x2)
            store(weighted, 3, i, x3)
            s0, s1, s2, s3 = s0 + x0, s1 + x1, s2 + x2, s3 + x3
            q0, q1, q2, q3 = fma(x0, y0, q0), fma(x1, y1, q1), fma(x2, y2, q2), fma(x3, y3, q3)
        accumulate(first, 2 * k, j, s0, s1, s2, s3)
        accumulate(first, 2 * k + 1, j, q0, q1, q2, q3)
        for f in range(0, factors.shape[0], 4):
            add_tile(weighted, factors, f, rows, step, second, k * padded + j, f)


@Entry
def run(  # type: ignore[no-untyped-def]
    X,
    weights,
    centre,
    inverse_scale,
    limit,
    means,
    inverse,
    W,
    B,
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

    `first` (2 K, padded + 4) and `second` (K padded, factors) gain the sums of `add_projected`; the four answers row by row, for weights of 1.
    Returns sum_i w_i log p(x_i) where anything but `component` is wanted. `room` holds the panel, the whitened panel, the factors, the logits, and
    rows of scratch (3), weights (1) and weighted columns (4).
    """
    N, D = X.shape
    K, padded, q = means.shape[0], 4 * B.shape[1], 4 * W.shape[1]
    begun = 2 * padded + q
    filled = begun + 4 * (lists.shape[0] - 1)
    panel, whitened, factors, logits = room[:padded], room[padded : 2 * padded], room[2 * padded : begun], room[begun:filled]
    scratch, mine, weighted = room[filled : filled + 3], room[filled + 3 : filled + 4], room[filled + 4 : filled + 8]
    whitened[D:] = 0.0
    loglik = 0.0
    for start in range(0, N, panel_rows):
        count = min(panel_rows, N - start)
        rows = -(-count // (2 * step)) * 2 * step
        standardise(X, start, centre, inverse_scale, limit, rows, step, panel, 0)
        for k in range(K):
            whiten(panel, means, inverse, k, D, rows, step, whitened)
            project(whitened, W, k, D, rows, step, factors)
            remaining_logits(whitened, B, constants, k, factors, rows, step, logits)
        hide(logits, K, rows, step, hidden)
        loglik += e_step(
            logits, K, weights, start, count, rows, step, cut, scratch, lists, second.size > 0, component, density, probability, posterior
        )
        for k in range(K if second.size else 0):
            picked = pick_rows(logits, k, scratch, step, cut, lists, mine)
            if DENSE * picked > rows:
                weigh_component(logits, k, scratch, rows, step, mine)
                whiten(panel, means, inverse, k, D, rows, step, whitened)
                picked = rows
            elif picked:
                gather_whitened(panel, means, inverse, k, D, lists, picked, step, whitened)
            if picked:
                project(whitened, W, k, D, picked, step, factors)
                add_projected(mine, k, whitened, weighted, factors, picked, step, first, second)
    return loglik
