"""The whole of EM compiled: E-step, M-step of any family, acceleration and stop, from many starts, on rows so few that a step's arithmetic is
nothing and the calls around it are everything.

The E-step is the expanded form's, so an answer is as exact as that is; the M-steps are those of `families`. Nothing here repairs: a start whose
component loses its rows or falls below the floor stops there and says so.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from mixtura.kernels.expanded import FULL, add_sums, expand, logits_of
from mixtura.kernels.lanes import Entry, Pointer, kernel
from mixtura.kernels.maximise import MAXIMISE, VII, VVI, VVV, copy_matrices, lower_factor, scaled, sum_of, whiten
from mixtura.kernels.panel import e_step, standardise, weigh_posteriors
from mixtura.moments import Array

PATIENCE = 10  # steps before anything is called slow
SLOW = 0.5  # of its last gain: EM whose steps gain more than that creeps
LONGEST, GROWTH = 4.0, 4.0  # the pace is cut there at first; the bound grows when it was met and good, and shrinks when it was met and bad
WANDERING = 2.0  # times EM's own steps: what its next one may be after an extrapolation
REST, LONGEST_REST = 6, 60  # plain steps that make sure
STEADY = 0.9  # of one less the ratio of two gains: what it keeps from step to step once one direction is left
FLAT = 0.9999  # the ratio of gains that counts where they do not fall
LEAST_GAIN = 1e-15  # nats per row
NOISE = 8 * np.finfo(float).eps  # relative changes below this are rounding


class Rows(NamedTuple):
    """The rows, as a climb reads them: features (panels, F, width), weights (N,) or none, how many, and what is summed."""

    phi: Array
    weights: Array
    total: int
    weight: float
    order: int
    step: int


class Bench(NamedTuple):
    """What a climb works in: packed parameters, logits (filled K, width), scratch, lists and sums; and the answers that it does not want."""

    H: Array
    logits: Array
    scratch: Array
    lists: NDArray[np.int64]
    sums: Array
    component: NDArray[np.int64]
    density: Array
    posterior: Array


class Parts(NamedTuple):
    """What a climb calls, by its address."""

    expect: Any
    maximise: Any
    step: Any
    from_coordinates: Any


class Limits(NamedTuple):
    """The floor `relative` times `reference` (D, D), a ridge added to every variance, the least that a component holds; tolerance and steps."""

    reference: Array
    relative: float
    ridge: float
    least: float
    tol: float
    steps: int


class Standings(NamedTuple):
    """Where M starts stand, in and out: statistics counts (M, K), means (M, K, D), scatter (M, K, D, D); then the parameters they were taken at.

    `known` (M,) is whether `covariances` are those of a step before, `collapsed` (M,) whether the climb ended for that.
    """

    counts: Array
    means: Array
    scatter: Array
    weights: Array
    centres: Array
    covariances: Array
    known: NDArray[np.bool_]
    log_likelihoods: Array
    collapsed: NDArray[np.bool_]
    converged: NDArray[np.bool_]
    trace: Array
    steps: NDArray[np.int64]

    def chosen(self, which: NDArray[np.intp]) -> Standings:
        """Some of them, in this order."""
        return Standings(*(array[which] for array in self))  # type: ignore[arg-type]


_numbers, _table, _cube, _stack = (types.Array(types.float64, axes, "C") for axes in (1, 2, 3, 4))
_flags, _counts, _lists = types.Array(types.boolean, 1, "C"), types.Array(types.int64, 1, "C"), types.Array(types.int64, 2, "C")
_rows = types.NamedTuple((_cube, _numbers, types.int64, types.float64, types.int64, types.int64), Rows)
_bench = types.NamedTuple((_cube, _table, _table, _lists, _table, _counts, _numbers, _table), Bench)
_limits = types.NamedTuple((_table, *(types.float64,) * 4, types.int64), Limits)
_at = types.NamedTuple((_table, _cube, _stack, _table, _cube, _stack, _flags, _numbers, _flags, _flags, _table, _counts), Standings)
EXPECT = types.float64(_rows, _bench, _numbers, _table, _cube, _numbers, _table, _cube)
STEP = types.boolean(types.FunctionType(MAXIMISE), types.int64, _numbers, _table, _cube, _limits, types.boolean, _numbers, _table, _cube)
PLACE = types.boolean(_numbers, types.FunctionType(MAXIMISE), types.int64, _limits, _numbers, _table, _cube, _cube)
_parts = types.NamedTuple((types.FunctionType(EXPECT), types.FunctionType(MAXIMISE), types.FunctionType(STEP), types.FunctionType(PLACE)), Parts)
RUN = types.void(types.int64, _parts, _rows, _bench, types.int64, _limits, _at)


@kernel
def read_rows(X, centre, inverse_scale, limit, order, step, phi):  # type: ignore[no-untyped-def]
    """Fills the features of all panels."""
    panels, _, width = phi.shape
    N, D = X.shape
    for p in range(panels):
        rows = -(-min(width, N - p * width) // (2 * step)) * 2 * step
        standardise(X, p * width, centre, inverse_scale, limit, rows, step, phi[p], 1)
        expand(phi[p], order, D, rows, step)


@kernel
def pack(weights, means, S, order, H):  # type: ignore[no-untyped-def]
    """H, packed by groups of four components; whether all covariances are positive definite."""
    K, D = means.shape
    U, P, slope = np.empty((D, D)), np.empty((D, D)), np.empty(D)
    half_log_two_pi = 0.9189385332046727
    for g in range(len(H)):
        for f in range(H.shape[1]):
            for c in range(4):
                H[g, f, c] = -1e300 if f == 0 and 4 * g + c >= K else 0.0
    for k in range(K):
        g, c = k // 4, k % 4
        log_root = whiten(S[k], U)
        if not abs(log_root) < np.inf:
            return False
        for i in range(D):
            for j in range(i + 1):
                value = 0.0
                for m in range(i, D):
                    value += U[m, i] * U[m, j]
                P[i, j] = P[j, i] = value
        distance = 0.0
        for i in range(D):
            value = 0.0
            for j in range(D):
                value += P[i, j] * means[k, j]
            slope[i] = value
            distance += value * means[k, i]
        H[g, 0, c] = np.log(weights[k]) + log_root - D * half_log_two_pi - distance / 2
        f = 1 + D
        for i in range(D):
            H[g, 1 + i, c] = slope[i]
            if order == FULL:
                H[g, f, c] = -P[i, i] / 2
                f += 1
                for j in range(i + 1, D):
                    H[g, f, c] = -P[i, j]
                    f += 1
            else:
                H[g, 1 + D + i, c] = -P[i, i] / 2
    return True


@Pointer.of(EXPECT)
def expect(rows, bench, weights, centres, S, counts, means, scatter):  # type: ignore[no-untyped-def]
    """The E-step: fills the statistics and returns the mean log-likelihood per unit of weight; NaN where a covariance is singular."""
    K, D = centres.shape
    H, logits, scratch, lists, sums, component, density, posterior = bench
    if not pack(weights, centres, S, rows.order, H):
        return np.nan
    for f in range(len(sums)):
        for k in range(sums.shape[1]):
            sums[f, k] = 0.0
    cut = np.log(1e-12 / K)
    panels, _, width = rows.phi.shape
    total = 0.0
    for p in range(panels):
        count = min(width, rows.total - p * width)
        padded = -(-count // (2 * rows.step)) * 2 * rows.step
        phi = rows.phi[p]
        logits_of(H, phi, logits, padded, rows.step)
        total += e_step(
            logits, K, rows.weights, p * width, count, padded, rows.step, cut, scratch, lists, True, component, density, density, posterior
        )
        weigh_posteriors(logits, scratch, lists)
        add_sums(logits, phi, lists, sums)
    for k in range(K):
        n = sums[0, k]
        counts[k] = n
        held = max(n, 1e-300)
        for i in range(D):
            means[k, i] = sums[1 + i, k] / held
        f = 1 + D
        for i in range(D):
            if rows.order == FULL:
                for j in range(i, D):
                    scatter[k, i, j] = scatter[k, j, i] = sums[f, k] - n * means[k, i] * means[k, j]
                    f += 1
            else:
                scatter[k, i, i] = sums[f, k] - n * means[k, i] * means[k, i]
                f += 1
    return total / rows.weight


@Pointer.of(STEP)
def step(maximise, code, counts, means, scatter, limits, known, weights, centres, S):  # type: ignore[no-untyped-def]
    """The M-step: fills the parameters; whether every component holds rows and is above the floor."""
    K, D = means.shape
    total = 0.0
    for k in range(K):
        if not counts[k] >= limits.least:
            return False
        total += counts[k]
    for k in range(K):
        weights[k] = counts[k] / total
        for i in range(D):
            centres[k, i] = means[k, i]
            if limits.ridge > 0.0:
                scatter[k, i, i] += counts[k] * limits.ridge
    maximise(code, counts, scatter, S, known)
    return above(code, S, limits)


@kernel
def above(code, S, limits):  # type: ignore[no-untyped-def]
    """Whether no covariance has an eigenvalue below the floor."""
    K, D, _ = S.shape
    R, relative = limits.reference, limits.relative
    if code <= VVI:
        for k in range(K):
            for i in range(D):
                if not relative * R[i, i] < S[k, i, i] < np.inf:
                    return False
        return True
    rest, factor = np.empty((D, D)), np.empty((D, D))
    for k in range(K):
        for i in range(D):
            for j in range(D):
                rest[i, j] = S[k, i, j] - relative * R[i, j]
        if not lower_factor(rest, factor):
            return False
    return True


@kernel
def to_coordinates(weights, centres, S, R, theta):  # type: ignore[no-untyped-def]
    """theta = log weights, means and log-Cholesky factors, in deviations of the data (covariance R): how far a step goes asks for no units."""
    K, D = centres.shape
    L = np.empty((D, D))
    t = 0
    for k in range(K):
        theta[t] = np.log(weights[k])
        t += 1
        for i in range(D):
            theta[t] = centres[k, i] / np.sqrt(R[i, i])
            t += 1
        lower_factor(S[k], L)
        for i in range(D):
            for j in range(i + 1):
                theta[t] = np.log(L[i, i]) if i == j else L[i, j] / np.sqrt(R[i, i])
                t += 1


@Pointer.of(PLACE)
def from_coordinates(theta, maximise, code, limits, weights, centres, S, work):  # type: ignore[no-untyped-def]
    """The parameters at these coordinates, the nearest of the family; whether they are above the floor. S comes with those of a step before."""
    K, D = centres.shape
    L = np.zeros((D, D))
    size = 1 + D + D * (D + 1) // 2
    free = code == VII or code == VVI or code == VVV
    top = -np.inf
    for k in range(K):
        top = max(top, theta[k * size])
    total = 0.0
    for k in range(K):
        t = k * size
        weights[k] = np.exp(theta[t] - top)
        total += weights[k]
        for i in range(D):
            centres[k, i] = theta[t + 1 + i] * np.sqrt(limits.reference[i, i])
        t += 1 + D
        for i in range(D):
            for j in range(i + 1):
                L[i, j] = np.exp(theta[t]) if i == j else theta[t] * np.sqrt(limits.reference[i, i])
                t += 1
        for i in range(D):
            for j in range(i + 1):
                value = 0.0
                for m in range(j + 1):
                    value += L[i, m] * L[j, m]
                work[k, i, j] = work[k, j, i] = value
    for k in range(K):
        weights[k] /= total
        if not weights[k] > 1e-12:
            return False
        for i in range(D):
            for j in range(D):
                if not abs(work[k, i, j]) < np.inf:
                    return False
        if free:
            scaled(work[k], 1.0, S[k])
        else:
            scaled(work[k], weights[k], work[k])
    if not free:
        maximise(code, weights, work, S, True)
    return above(code, S, limits)


@kernel
def remaining(L0, L1, L2, L3):  # type: ignore[no-untyped-def]
    """Aitken's estimate of what is left to gain from four values (as `stopping.remaining_gain`)."""
    a, b, c = L1 - L0, L2 - L1, L3 - L2
    noise = NOISE * max(1.0, abs(L3))
    if max(abs(b), abs(c)) <= noise:
        return 0.0
    if min(a, b, c) <= 0.0:
        return 0.0 if max(abs(a), abs(b), abs(c)) <= 1e-10 * max(1.0, abs(L3)) else np.inf
    ratio = max(c / b, b / a)
    return c * ratio / (1 - ratio) if ratio < 1 else np.inf


@kernel
def ratio_of(now, before):  # type: ignore[no-untyped-def]
    """The ratio of a gain to the one before; FLAT where there was none."""
    return now / before if before > 0 else FLAT


@Pointer.of(RUN)
def short(m, do, rows, bench, code, limits, at):  # type: ignore[no-untyped-def]
    """So many plain steps of start m."""
    K, D = at.means.shape[1:]
    weights, centres, S = np.empty(K), np.empty((K, D)), np.empty((K, D, D))
    counts, means, scatter = np.empty(K), np.empty((K, D)), np.empty((K, D, D))
    copy_statistics(at.counts[m], at.means[m], at.scatter[m], counts, means, scatter)
    copy_matrices(at.covariances[m], S)
    for _ in range(limits.steps):
        if not do.step(do.maximise, code, counts, means, scatter, limits, at.known[m], weights, centres, S):
            at.collapsed[m] = True
            return
        value = do.expect(rows, bench, weights, centres, S, counts, means, scatter)
        if not abs(value) < np.inf:
            at.collapsed[m] = True
            return
        keep(m, at, counts, means, scatter, weights, centres, S, value)


@kernel
def copy_statistics(counts, means, scatter, to_counts, to_means, to_scatter):  # type: ignore[no-untyped-def]
    """Counts, means and matrices of all components."""
    for k in range(len(counts)):
        to_counts[k] = counts[k]
        for i in range(means.shape[1]):
            to_means[k, i] = means[k, i]
    copy_matrices(scatter, to_scatter)


@kernel
def keep(m, at, counts, means, scatter, weights, centres, S, value):  # type: ignore[no-untyped-def]
    """These parameters and the statistics taken at them are where start m stands."""
    copy_statistics(counts, means, scatter, at.counts[m], at.means[m], at.scatter[m])
    copy_statistics(weights, centres, S, at.weights[m], at.centres[m], at.covariances[m])
    at.known[m] = True
    at.log_likelihoods[m] = value
    at.trace[m, at.steps[m] % at.trace.shape[1]] = value
    at.steps[m] += 1


@Pointer.of(RUN)
def long(m, do, rows, bench, code, limits, at):  # type: ignore[no-untyped-def]
    """Accelerated steps of start m (as rules.Squarem does them) until less than tol is left to gain, or the steps are done."""
    K, D = at.means.shape[1:]
    size = K * (1 + D + D * (D + 1) // 2)
    p, p1, p2 = np.empty(size), np.empty(size), np.empty(size)
    weights, centres, S = np.empty(K), np.empty((K, D)), np.empty((K, D, D))
    counts, means, scatter = np.empty(K), np.empty((K, D)), np.empty((K, D, D))
    copy_statistics(at.counts[m], at.means[m], at.scatter[m], counts, means, scatter)
    copy_matrices(at.covariances[m], S)
    there_w, there_c, there_S, work = np.empty(K), np.empty((K, D)), np.empty((K, D, D)), np.empty((K, D, D))
    there_counts, there_means, there_scatter = np.empty(K), np.empty((K, D)), np.zeros((K, D, D))
    L0 = L1 = L2 = L3 = -np.inf  # of the last plain steps
    slow, plain, longest, cycles, slowest, doubted = False, 0, LONGEST, 0, 1.0, max(limits.tol, LEAST_GAIN)
    resting, phase = 0, 0  # phase of a cycle: 0 at its base, 1 one step on
    if not do.step(do.maximise, code, counts, means, scatter, limits, at.known[m], weights, centres, S):
        at.collapsed[m] = True
        return
    while at.steps[m] < limits.steps:
        value = do.expect(rows, bench, weights, centres, S, counts, means, scatter)
        if not abs(value) < np.inf:
            at.collapsed[m] = True
            return
        keep(m, at, counts, means, scatter, weights, centres, S, value)
        L0, L1, L2, L3 = L1, L2, L3, value
        plain += 1
        if phase == 0 or phase == 1:
            to_coordinates(weights, centres, S, limits.reference, p if phase == 0 else p1)
        if not do.step(do.maximise, code, counts, means, scatter, limits, True, weights, centres, S):
            at.collapsed[m] = True
            return
        if not slow or resting > 0:
            left = remaining(L0, L1, L2, L3) if plain >= 4 else np.inf
            if not slow:
                if left <= limits.tol:
                    at.converged[m] = True
                    return
                slow = plain > PATIENCE and L3 - L2 > SLOW * (L2 - L1) > 0
                if slow:
                    phase = 0
                    continue
            else:
                resting += 1
                if left == 0.0:
                    at.converged[m] = True
                    return
                before, now = ratio_of(L2 - L1, L1 - L0), ratio_of(L3 - L2, L2 - L1)
                steady = resting >= REST and 1 - now > STEADY * (1 - before)
                if steady or resting > LONGEST_REST:
                    if steady and left <= limits.tol:
                        at.converged[m] = True
                        return
                    if left <= doubted:
                        doubted = max(left / 10, LEAST_GAIN)
                    else:
                        slowest = max(slowest, 1 / (1 - min(max(now, 0.0), FLAT) ** 0.5))
                    resting, phase = 0, 0
            continue
        if phase == 0:
            phase = 1
            continue
        phase = 0
        to_coordinates(weights, centres, S, limits.reference, p2)
        rr = vv = 0.0
        for t in range(size):
            r = p1[t] - p[t]
            v = p2[t] - p1[t] - r
            rr += r * r
            vv += v * v
        pace = np.sqrt(rr / max(vv, 1e-300))
        cycles += 1
        slowest = max(slowest, pace)
        factor = (1 - 1 / slowest) ** 2
        if cycles > 1 and max(L3 - L2, 0.0) * factor / (1 - factor) <= doubted:
            resting, plain = 1, 1
            continue
        length = min(pace, longest)
        if length <= 1.0:
            longest = max(longest, LONGEST)
            continue
        for t in range(size):
            r = p1[t] - p[t]
            p[t] += 2 * length * r + length * length * (p2[t] - p1[t] - r)
        copy_matrices(S, there_S)
        if not do.from_coordinates(p, do.maximise, code, limits, there_w, there_c, there_S, work):
            continue
        value = do.expect(rows, bench, there_w, there_c, there_S, there_counts, there_means, there_scatter)
        good = value >= L3 - 1e-13 * max(1.0, abs(L3))
        if good:
            to_coordinates(there_w, there_c, there_S, limits.reference, p1)
            copy_matrices(there_S, work)
            good = do.step(do.maximise, code, there_counts, there_means, there_scatter, limits, True, weights, centres, work)
            if good:
                to_coordinates(weights, centres, work, limits.reference, p2)
                gap = 0.0
                for t in range(size):
                    gap += (p2[t] - p1[t]) ** 2
                good = gap <= WANDERING * WANDERING * rr
            if not good:  # the step from before the aim again
                copy_statistics(at.counts[m], at.means[m], at.scatter[m], counts, means, scatter)
                do.step(do.maximise, code, counts, means, scatter, limits, True, weights, centres, S)
        at.trace[m, at.steps[m] % at.trace.shape[1]] = value
        at.steps[m] += 1
        if good:
            copy_matrices(work, S)
            plain = 0
            if length == longest:
                longest *= GROWTH
        else:
            longest = max(1.0, length / GROWTH)


@partial(Entry, direct=True)
def climb(X, weights, centre, inverse_scale, limit, order, run, do, code, limits, at, phi, bench, register):  # type: ignore[no-untyped-def]
    """All M starts of `at`, each from the statistics that it gives, by `run`: short or long."""
    read_rows(X, centre, inverse_scale, limit, order, register, phi)
    weight = sum_of(weights) if weights.size else float(len(X))
    rows = Rows(phi, weights, len(X), weight, order, register)
    for m in range(len(at.counts)):
        run(m, do, rows, bench, code, limits, at)
