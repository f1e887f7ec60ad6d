"""A panel: some hundred rows in hand, transposed and standardised, a register of rows beside the next.

Everything that both forms of the sweep share: loading a panel, turning its logits into posteriors, densities or assignments. Panels are
filled up to whole registers with their last row again, which weighs nothing there; components are filled up to groups of four with
ones too unlikely to matter.

A group of components that is negligible for a register of rows is left out: no exponential is taken there, and the sums skip it. `lists`
says what is left: lists[g, 0] registers of rows for group g, which start at lists[g, 1], lists[g, 2], ...
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.kernels.lanes import (
    REGISTER_BYTES,
    any_greater,
    column,
    downwards,
    exp,
    inlined,
    kernel,
    load,
    log,
    maximum,
    minimum,
    prefetch,
    splat,
    store,
    total,
    where_greater,
    wide_registers,
)

LIMIT = {np.dtype(np.float64): 1e100, np.dtype(np.float32): 1e12}  # standardised rows are cut here: their squares must not overflow
HIDDEN = {np.dtype(np.float64): -1e300, np.dtype(np.float32): -1e37}  # the logit of a component that is not there
BELOW = 1.000001  # times a logit so far down that adding the cut changes nothing: less than itself in float32 too
AHEAD = 4_096  # bytes that are asked for before they are read: the processor itself does not look beyond a page
_local = threading.local()


def workspace(rows: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An uninitialised table of this thread whose rows start on register boundaries, `width` being whole registers."""
    size = rows * width * dtype.itemsize + REGISTER_BYTES
    space = getattr(_local, "space", None)
    if space is None or len(space) < size:
        space = _local.space = np.empty(size, np.uint8)
    skip = -space.ctypes.data % REGISTER_BYTES
    return space[skip : skip + size - REGISTER_BYTES].view(dtype).reshape(rows, width)


@kernel
def standardise(X, start, centre, inverse_scale, limit, rows, step, panel, first):  # type: ignore[no-untyped-def]
    """panel[first + j, i] = (X[start + i, j] - centre_j) / scale_j; rows beyond the last are the last again."""
    wide_registers()
    N, D = X.shape
    low, high = splat(panel, -limit), splat(panel, limit)
    ahead = max(2 * step, AHEAD // (D * X.itemsize))
    by_columns = X.strides[0] == X.itemsize
    for i in range(0, rows, step):
        whole = start + i + step <= N
        for j in range(D):
            if whole and by_columns:
                x = downwards(X, start + i, j)
            elif whole:
                prefetch(X, start + i + ahead, j * REGISTER_BYTES)  # one line for each register, where rows lie one after the other
                x = column(X, start + i, j)
            else:
                for lane in range(i, i + step):
                    panel[first + j, lane] = X[min(start + lane, N - 1), j]
                x = load(panel, first + j, i)
            z = (x - splat(panel, centre[j])) * splat(panel, inverse_scale[j])
            store(panel, first + j, i, minimum(maximum(z, low), high))


@inlined
def weigh(weights, start, count, rows, panel, row):  # type: ignore[no-untyped-def]
    """panel[row, i] = the weight of row start + i (1 where `weights` is empty), zero beyond `count` rows."""
    for i in range(rows):
        panel[row, i] = 0.0 if i >= count else weights[start + i] if weights.size else 1.0


@kernel
def hide(logits, K, rows, step, hidden):  # type: ignore[no-untyped-def]
    """Fills the group of the last component up with components that are not there."""
    wide_registers()
    for k in range(K, logits.shape[0]):
        for i in range(0, rows, step):
            store(logits, k, i, splat(logits, hidden))


@kernel
def soften(logits, K, rows, step, cut, scratch, lists):  # type: ignore[no-untyped-def]
    """logits become exp(logit - largest), and lists what is not negligible: logit > largest + cut somewhere in a register and group.

    scratch gets the largest logit (row 1) and sum_k exp(logit_ik - largest), the norm (row 2).
    """
    wide_registers()
    zero = splat(logits, 0.0)
    groups = logits.shape[0] // 4
    for g in range(groups):
        lists[g, 0] = 0
    for i in range(0, rows, step):
        top = load(logits, 0, i)
        for k in range(0, 4 * groups, 4):
            left, right = maximum(load(logits, k, i), load(logits, k + 1, i)), maximum(load(logits, k + 2, i), load(logits, k + 3, i))
            top = maximum(maximum(left, right), top)
        least, norm = top + splat(logits, cut), zero
        least = minimum(least, least * splat(logits, BELOW))
        for g in range(groups):
            k = 4 * g
            a, b = load(logits, k, i), load(logits, k + 1, i)
            c, d = load(logits, k + 2, i), load(logits, k + 3, i)
            if any_greater(maximum(maximum(a, b), maximum(c, d)), least):
                a = exp(a - top)
                b = exp(b - top) if k + 1 < K else zero
                c = exp(c - top) if k + 2 < K else zero
                d = exp(d - top) if k + 3 < K else zero
                norm = norm + ((a + b) + (c + d))
                lists[g, 0] += 1
                lists[g, lists[g, 0]] = i
            else:
                a = b = c = d = zero
            store(logits, k, i, a)
            store(logits, k + 1, i, b)
            store(logits, k + 2, i, c)
            store(logits, k + 3, i, d)
        store(scratch, 1, i, top)
        store(scratch, 2, i, norm)


@kernel
def finish(scratch, rows, step):  # type: ignore[no-untyped-def]
    """From weights w_i, largest logits and norms to weights, log p(x_i) and w_i / norm_i; returns sum_i w_i log p(x_i)."""
    wide_registers()
    loglik = splat(scratch, 0.0)
    for i in range(0, rows, step):
        weight, norm = load(scratch, 0, i), load(scratch, 2, i)
        density = load(scratch, 1, i) + log(norm)
        loglik = loglik + weight * density
        store(scratch, 1, i, density)
        store(scratch, 2, i, weight / norm)
    return total(loglik)


@kernel
def finish_equal(scratch, rows, step):  # type: ignore[no-untyped-def]
    """`finish` where all weights are 1 (0 for the rows that fill up): one logarithm for the product of four norms, row 1 as it was."""
    wide_registers()
    one, loglik = splat(scratch, 1.0), splat(scratch, 0.0)
    for start in range(0, rows, 4 * step):
        product = one
        for i in range(start, min(start + 4 * step, rows), step):
            weight, norm = load(scratch, 0, i), load(scratch, 2, i)
            product = product * ((norm - one) * weight + one)
            loglik = loglik + weight * load(scratch, 1, i)
            store(scratch, 2, i, weight / norm)
        loglik = loglik + log(product)
    return total(loglik)


@inlined
def weigh_posteriors(R, scratch, lists):  # type: ignore[no-untyped-def]
    """What `soften` left in logits becomes w_i r_ik, where it is not negligible; row 2 of scratch is w_i / norm_i."""
    wide_registers()
    for g in range(R.shape[0] // 4):
        for t in range(1, lists[g, 0] + 1):
            i = lists[g, t]
            factor = load(scratch, 2, i)
            for k in range(4 * g, 4 * g + 4):
                store(R, k, i, load(R, k, i) * factor)


@kernel
def assign(logits, rows, step, scratch):  # type: ignore[no-untyped-def]
    """scratch[0, i] = the first k with the largest logit. No exponentials."""
    wide_registers()
    for i in range(0, rows, step):
        top, best = load(logits, 0, i), splat(logits, 0.0)
        for k in range(1, logits.shape[0]):
            x = load(logits, k, i)
            best = where_greater(x, top, splat(logits, float(k)), best)
            top = maximum(x, top)
        store(scratch, 0, i, best)


@inlined
def tell_component(logits, start, count, rows, step, scratch, component):  # type: ignore[no-untyped-def]
    """component[start + i] = the likeliest component of a panel's rows; takes the scratch of `soften` before it."""
    assign(logits, rows, step, scratch)
    for i in range(count):
        component[start + i] = int(scratch[0, i])


@inlined
def tell_densities(logits, start, count, scratch, density, probability, posterior):  # type: ignore[no-untyped-def]
    """Writes what `finish` left of a panel's rows to those of the three arrays that are not empty."""
    if density.size:
        for i in range(count):
            density[start + i] = scratch[1, i]
            probability[start + i] = scratch[2, i]
    if posterior.size:
        for i in range(count):
            for k in range(posterior.shape[1]):
                posterior[start + i, k] = logits[k, i] * scratch[2, i]


@inlined
def e_step(  # type: ignore[no-untyped-def]
    logits, K, weights, start, count, rows, step, cut, scratch, lists, summed, component, density, probability, posterior
):
    """Writes the answers that are wanted of a panel, those whose arrays are not empty, and returns sum_i w_i log p(x_i).

    Where it will be summed, or anything but `component` is wanted, logits, scratch and lists are then as `soften` and `finish` leave them.
    """
    if component.size:
        tell_component(logits, start, count, rows, step, scratch, component)
    told = density.size + posterior.size > 0
    if not (told or summed):
        return 0.0
    weigh(weights, start, count, rows, scratch, 0)
    soften(logits, K, rows, step, cut, scratch, lists)
    if summed and not told and not weights.size:
        return finish_equal(scratch, rows, step)
    loglik = finish(scratch, rows, step)
    tell_densities(logits, start, count, scratch, density, probability, posterior)
    return loglik
