"""The expanded form: logits = H phi, sums = R phi', with phi(x) the features of a row.

    order     phi(x)              F
    LINEAR    1, x                1 + D
    NORM      1, x, x'x           2 + D
    DIAGONAL  1, x, x*x           1 + 2D
    FULL      1, x, vech(xx')     1 + D + D(D+1)/2

Two products of small matrices per panel, four components at a time in registers: the fastest form while D is small. It loses about
eps * mu' P mu of a logit, which `forms` watches.
"""

from __future__ import annotations

from mixtura.kernels.lanes import Entry, accumulate, fma, kernel, load, splat, store, wide_registers
from mixtura.kernels.panel import e_step, standardise, weigh_posteriors

LINEAR, NORM, DIAGONAL, FULL = range(4)
TILE = 4  # components side by side
FEATURES = 3  # features side by side in the sums; tables are filled up to a multiple


def features(order: int, D: int) -> int:
    """F, the length of phi(x)."""
    return (1 + D, 2 + D, 1 + 2 * D, 1 + D + D * (D + 1) // 2)[order]


@kernel
def expand(phi, order, D, rows, step):  # type: ignore[no-untyped-def]
    """Completes phi, whose rows 1 .. D hold x, with the products that the order wants; rows that fill it up are ones."""
    wide_registers()
    one = splat(phi, 1.0)
    for i in range(0, rows, step):
        store(phi, 0, i, one)
    f = 1 + D
    if order == NORM:
        for i in range(0, rows, step):
            norm = splat(phi, 0.0)
            for j in range(1, 1 + D):
                x = load(phi, j, i)
                norm = fma(x, x, norm)
            store(phi, f, i, norm)
        f += 1
    if order == DIAGONAL:
        for j in range(1, 1 + D):
            for i in range(0, rows, step):
                x = load(phi, j, i)
                store(phi, f, i, x * x)
            f += 1
    if order == FULL:
        for j in range(1, 1 + D):
            for m in range(j, 1 + D):
                for i in range(0, rows, step):
                    store(phi, f, i, load(phi, j, i) * load(phi, m, i))
                f += 1
    for filled in range(f, phi.shape[0]):
        for i in range(0, rows, step):
            store(phi, filled, i, one)


@kernel
def logits_of(H, phi, logits, rows, step):  # type: ignore[no-untyped-def]
    """logits = H phi, four components by two registers of rows; H is packed as (group, feature, component in the group)."""
    wide_registers()
    groups, F, _ = H.shape
    for i in range(0, rows, 2 * step):
        for g in range(groups):
            a0, a1 = splat(phi, H[g, 0, 0]), splat(phi, H[g, 0, 1])
            a2, a3 = splat(phi, H[g, 0, 2]), splat(phi, H[g, 0, 3])
            b0, b1, b2, b3 = a0, a1, a2, a3
            for f in range(1, F):
                x, y = load(phi, f, i), load(phi, f, i + step)
                h = splat(phi, H[g, f, 0])
                a0, b0 = fma(h, x, a0), fma(h, y, b0)
                h = splat(phi, H[g, f, 1])
                a1, b1 = fma(h, x, a1), fma(h, y, b1)
                h = splat(phi, H[g, f, 2])
                a2, b2 = fma(h, x, a2), fma(h, y, b2)
                h = splat(phi, H[g, f, 3])
                a3, b3 = fma(h, x, a3), fma(h, y, b3)
            k = 4 * g
            store(logits, k, i, a0)
            store(logits, k + 1, i, a1)
            store(logits, k + 2, i, a2)
            store(logits, k + 3, i, a3)
            store(logits, k, i + step, b0)
            store(logits, k + 1, i + step, b1)
            store(logits, k + 2, i + step, b2)
            store(logits, k + 3, i + step, b3)


@kernel
def add_sums(R, phi, lists, sums):  # type: ignore[no-untyped-def]
    """sums += phi R', three features by four components, over the rows that `lists` names for these."""
    wide_registers()
    F, K = sums.shape
    zero = splat(phi, 0.0)
    for k in range(0, K, 4):
        for f in range(0, F, 3):
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = c0 = c1 = c2 = c3 = zero
            for t in range(1, lists[k // 4, 0] + 1):
                i = lists[k // 4, t]
                x, y, z = load(phi, f, i), load(phi, f + 1, i), load(phi, f + 2, i)
                r = load(R, k, i)
                a0, b0, c0 = fma(r, x, a0), fma(r, y, b0), fma(r, z, c0)
                r = load(R, k + 1, i)
                a1, b1, c1 = fma(r, x, a1), fma(r, y, b1), fma(r, z, c1)
                r = load(R, k + 2, i)
                a2, b2, c2 = fma(r, x, a2), fma(r, y, b2), fma(r, z, c2)
                r = load(R, k + 3, i)
                a3, b3, c3 = fma(r, x, a3), fma(r, y, b3), fma(r, z, c3)
            accumulate(sums, f, k, a0, a1, a2, a3)
            accumulate(sums, f + 1, k, b0, b1, b2, b3)
            accumulate(sums, f + 2, k, c0, c1, c2, c3)


@Entry
def run(  # type: ignore[no-untyped-def]
    X, weights, centre, inverse_scale, limit, order, K, H, cut, panel_rows, step, room, lists, sums, component, density, probability, posterior
):
    """E-step of a block, and what of it is wanted: those tables that are not empty.

    sums[:, k] += sum_i w_i r_ik phi(x_i), filled up to whole tiles (features to a multiple of 3, components to a multiple of 4); the four
    answers row by row, for weights of 1. Returns sum_i w_i log p(x_i) where anything but `component` is wanted. `room` holds the features,
    the logits and three rows of scratch.
    """
    N, D = X.shape
    groups, F, _ = H.shape
    features, filled = -(-F // FEATURES) * FEATURES, TILE * groups
    phi, logits, scratch = room[:features], room[features : features + filled], room[features + filled : features + filled + 3]
    loglik = 0.0
    for start in range(0, N, panel_rows):
        count = min(panel_rows, N - start)
        rows = -(-count // (2 * step)) * 2 * step
        standardise(X, start, centre, inverse_scale, limit, rows, step, phi, 1)
        expand(phi, order, D, rows, step)
        logits_of(H, phi, logits, rows, step)
        loglik += e_step(logits, K, weights, start, count, rows, step, cut, scratch, lists, sums.size > 0, component, density, probability, posterior)
        if sums.size:
            weigh_posteriors(logits, scratch, lists)
            add_sums(logits, phi, lists, sums)
    return loglik
