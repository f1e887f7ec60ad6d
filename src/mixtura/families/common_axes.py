"""One orientation for all: Sigma_k = D B_k D' with diagonals B_k of their own, or of equal volume (common principal components).

    D = argmin sum_k n_k log|diag(D' W_k D)|            VVE        B_k = diag(D' W_k D) / n_k
    D = argmin sum_k |diag(D' W_k D)|^(1/D)             EVE        B_k = the maximiser of equal volume for these diagonals

By minorisation, plane by plane: in the plane of two axes at angle t, their diagonals of W_k are m_k + r_k and m_k - r_k with r_k = u_k'x,
u_k = (difference of the diagonals / 2, entry between them), x = (cos 2t, sin 2t). Both criteria are concave in r_k^2, so tangents majorise
them, and the best x for the tangents is the first eigenvector of the 2 x 2 matrix sum_k h_k u_k u_k', with h_k = n_k / (m_k^2 - r_k^2) for VVE,
|diag|^(1/D) in the place of n_k for EVE. No turn of a plane, whatever the order, raises the criterion.

Sources: Browne & McNicholas (2014), Advances in Data Analysis and Classification 8, 217-226, for the models and their minorisation (of all axes
at once, which needs many more turns); Flury & Gautschi (1986), SIAM Journal on Scientific and Statistical Computing 7, 169-184, for the planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura import compiling
from mixtura.families.compiled import compiled
from mixtura.families.constraint import EQUAL, FREE, Constraint
from mixtura.families.own_axes import composed
from mixtura.families.proportional import PROPORTIONAL
from mixtura.families.volumes import EQUAL_VOLUMES
from mixtura.moments import Array

SWEEPS, MORE = 40, 8  # over all planes, at most, and where previous axes are known: EM goes on from there anyway
TURNS, FEW_TURNS = 20, 4  # in one plane, at most, and where columns are many: the next sweep goes on from there anyway
MANY = 24  # columns from which on roots are turned, which are read along their rows
BUDGET = 300_000_000  # numbers of roots that are turned at most, but for one sweep: 0.1 s. Each sweep raises the likelihood, so EM climbs
STILL = 1e-8  # radians: when all planes turn by less, what is left to gain is beyond rounding


@dataclass(frozen=True)
class CommonAxes(Constraint):
    """The diagonals B_k obey `spectra`, FREE or EQUAL_VOLUMES. Without previous axes the columns' are tried, and those of what is `contained`."""

    spectra: Constraint
    contained: tuple[Constraint, ...]

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """Plane by plane; never worse than the families that are contained."""
        if not np.isfinite(scatter).all():
            return np.full_like(scatter, np.nan)
        if previous is not None:
            return self._from(_axes(previous, counts), scatter, counts, MORE)[0]
        columns = np.broadcast_to(np.eye(scatter.shape[-1]), scatter.shape[:-3] + scatter.shape[-2:])
        if _is_dear(scatter, SWEEPS):
            return self._from(self._most_promising(columns, scatter, counts), scatter, counts, SWEEPS)[0]
        found, least = self._from(columns, scatter, counts, SWEEPS)
        for constraint in self.contained:
            axes = _axes(constraint.maximise(scatter, counts, None), counts)
            other, value = self._from(axes, scatter, counts, SWEEPS)
            better = value < least
            found, least = np.where(better[..., None, None, None], other, found), np.where(better, value, least)
        return found

    def again(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """The axes as they were where turning them takes long, and the diagonals anew."""
        if previous is None or not _is_dear(scatter, MORE):
            return self.maximise(scatter, counts, previous)
        axes = _axes(previous, counts)
        return self._settled(axes, _seen(axes, scatter), counts)[0]

    def _most_promising(self, columns: Array, scatter: Array, counts: Array) -> Array:
        """Where all cannot be turned to the end: of the columns' axes and those of what is contained without turning, the best as they are."""
        best = columns
        least = self._settled(columns, _seen(columns, scatter), counts)[1]
        for constraint in (EQUAL, *(one for one in self.contained if not isinstance(one, CommonAxes))):
            axes = _axes(constraint.maximise(scatter, counts, None), counts)
            value = self._settled(axes, _seen(axes, scatter), counts)[1]
            better = value < least
            best, least = np.where(better[..., None, None], axes, best), np.where(better, value, least)
        return best

    def _from(self, axes: Array, scatter: Array, counts: Array, sweeps: int) -> tuple[Array, Array]:
        """The covariances where turning from these axes (.., D, D) ends, and the criterion (..) there."""
        turn = _turned_roots if scatter.shape[-1] >= MANY else _turned
        turned, diagonals = turn(axes, scatter, counts, self.spectra is EQUAL_VOLUMES, sweeps)
        return self._settled(turned, diagonals, counts)

    def _settled(self, axes: Array, diagonals: Array, counts: Array) -> tuple[Array, Array]:
        """The covariances of these axes for the diagonals of D' W_k D (.., K, D), and the criterion."""
        spectra = self.spectra.maximise(np.maximum(diagonals, 0.0), counts, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (counts * np.log(spectra).sum(axis=-1)).sum(axis=-1)
        return composed(axes[..., None, :, :], spectra), value


COMMON_AXES_EQUAL_VOLUMES = CommonAxes(EQUAL_VOLUMES, (EQUAL,))
COMMON_AXES = CommonAxes(FREE, (PROPORTIONAL, COMMON_AXES_EQUAL_VOLUMES))


def _is_dear(scatter: Array, sweeps: int) -> bool:
    """Whether the budget has less than so many sweeps over the planes of scatters (.., K, D, D)."""
    K, D = scatter.shape[-3:-1]
    return bool(K * D**3 * sweeps > BUDGET)


def _seen(axes: Array, scatter: Array) -> Array:
    """The diagonals of D' W_k D (.., K, D)."""
    return np.asarray(((scatter @ axes[..., None, :, :]) * axes[..., None, :, :]).sum(axis=-2))


def _axes(covariances: Array, counts: Array) -> Array:
    """The axes (.., D, D) that covariances (.., K, D, D) share: of their sum, each as large as its rows are many and of no unit."""
    with np.errstate(over="ignore", invalid="ignore"):  # one that is nothing but rounding may have no trace
        traces = np.maximum(np.trace(covariances, axis1=-2, axis2=-1), np.finfo(float).tiny)
        shares = covariances / traces[..., None, None] * counts[..., None, None]
    if not np.isfinite(shares).all():
        shares = np.where(np.isfinite(shares), shares, 0.0)
    return np.asarray(np.linalg.eigh(shares.sum(axis=-3))[1])


def _turned(axes: Array, scatter: Array, counts: Array, volumes: bool, sweeps: int) -> tuple[Array, Array]:
    """The axes where turning from these ends, and the diagonals of D' W_k D (.., K, D) there."""
    turned = np.array(axes)
    seen = axes.swapaxes(-1, -2)[..., None, :, :] @ scatter @ axes[..., None, :, :]
    K, D = counts.shape[-1], scatter.shape[-1]
    _turn_each(seen.reshape(-1, K, D, D), counts.reshape(-1, K), turned.reshape(-1, D, D), volumes, sweeps)
    return turned, np.diagonal(seen, axis1=-2, axis2=-1)


def _turned_roots(axes: Array, scatter: Array, counts: Array, volumes: bool, sweeps: int) -> tuple[Array, Array]:
    """The same by roots of the scatters, for many columns, in as many sweeps as the budget has."""
    K, D = counts.shape[-1], scatter.shape[-1]
    turned = np.ascontiguousarray(axes.swapaxes(-1, -2))
    roots = turned[..., None, :, :] @ np.array([_root(W) for W in scatter.reshape(-1, D, D)]).reshape(scatter.shape)
    sweeps = min(sweeps, max(1, BUDGET // (K * D**3)))
    _turn_roots_each(roots.reshape(-1, K, D, D), counts.reshape(-1, K), turned.reshape(-1, D, D), volumes, sweeps)
    return turned.swapaxes(-1, -2), np.asarray((roots**2).sum(axis=-1))


def _root(scatter: Array) -> Array:
    """C with CC' = W of a scatter W (D, D), singular or not."""
    try:
        return np.asarray(np.linalg.cholesky(scatter))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scatter)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@compiled
def _turn_each(seen, counts, axes, volumes, sweeps):  # type: ignore[no-untyped-def]
    """`turn` for every problem, to the end."""
    for p in range(len(seen)):
        turn(seen[p], counts[p], axes[p], volumes, sweeps, TURNS)


@compiled
def turn(W, n, Q, volumes, sweeps, turns):  # type: ignore[no-untyped-def]
    """Turns axes Q (D, D) and what is seen along them, W_k = D' W_k D (K, D, D) for counts n (K,), until all planes are still.

    It takes so many sweeps over all planes at most, and draws the tangents in each so many times.
    """
    K, D, _ = W.shape
    weights, halves, between, middles = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    logs = np.empty((K, D))  # of the diagonals, where volumes are equal
    if volumes:
        _take_logs(W, 0, D, 1, logs)
    for _ in range(sweeps):
        largest = 0.0
        for i in range(D - 1):
            for j in range(i + 1, D):
                for k in range(K):
                    middles[k] = (W[k, i, i] + W[k, j, j]) / 2
                    halves[k] = (W[k, i, i] - W[k, j, j]) / 2
                    between[k] = W[k, i, j]
                    weights[k] = n[k]
                    if volumes:  # |diag|^(1/D) of the others: the two of this plane come with the angle
                        total = 0.0
                        for m in range(D):
                            if m != i and m != j:
                                total += logs[k, m]
                        weights[k] = np.exp(total / D)
                angle = _best_angle(middles, halves, between, weights, 1.0 / D if volumes else 0.0, turns)
                if abs(angle) > largest:
                    largest = abs(angle)
                if angle != 0.0:
                    _rotate(W, Q, i, j, np.cos(angle), np.sin(angle))
                    if volumes:
                        _take_logs(W, i, j + 1, j - i, logs)
        if not largest > STILL:
            break


@compiled
def _turn_roots_each(roots, counts, axes, volumes, sweeps):  # type: ignore[no-untyped-def]
    """`turn_roots` for every problem."""
    for p in range(len(roots)):
        turn_roots(roots[p], counts[p], axes[p], volumes, sweeps)


@compiled
def turn_roots(C, n, Q, volumes, sweeps):  # type: ignore[no-untyped-def]
    """What `turn` does, of axes in the rows of Q (D, D) and what is seen along them in roots, C_k C_k' = D' W_k D (K, D, D).

    The entry of a plane is the product of two rows, and a turn changes two rows: a sweep takes as many operations as two products of D x D matrices
    for each component, all of them along rows (one-sided rotations: Hestenes 1958, Journal of SIAM 6, 51-90).
    """
    K, D, _ = C.shape
    weights, halves, between, middles = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    squares, total = np.empty((K, D)), np.empty(K)  # the diagonals, and the sums of their logarithms
    for _ in range(sweeps):
        for k in range(K):
            total[k] = 0.0
            for i in range(D):
                squares[k, i] = _product(C[k, i], C[k, i])
                total[k] += _logarithm(squares[k, i])
        largest = 0.0
        for i in range(D - 1):
            for j in range(i + 1, D):
                for k in range(K):
                    a, b = squares[k, i], squares[k, j]
                    middles[k], halves[k], between[k] = (a + b) / 2, (a - b) / 2, _product(C[k, i], C[k, j])
                    weights[k] = np.exp((total[k] - _logarithm(a) - _logarithm(b)) / D) if volumes else n[k]
                angle = _best_angle(middles, halves, between, weights, 1.0 / D if volumes else 0.0, FEW_TURNS)
                largest = max(largest, abs(angle))
                if angle != 0.0:
                    c, s = np.cos(angle), np.sin(angle)
                    _rotate_rows(Q[i], Q[j], c, s)
                    for k in range(K):
                        _rotate_rows(C[k, i], C[k, j], c, s)
                        change = halves[k] * (c * c - s * s) + between[k] * 2 * c * s
                        a, b = max(middles[k] + change, 0.0), max(middles[k] - change, 0.0)
                        if volumes:
                            total[k] += _logarithm(a) + _logarithm(b) - _logarithm(squares[k, i]) - _logarithm(squares[k, j])
                        squares[k, i], squares[k, j] = a, b
        if not largest > STILL:
            break


@compiled
def _logarithm(value):  # type: ignore[no-untyped-def]
    """A number also of zero."""
    return np.log(max(value, 1e-300))


@compiling.compiled(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _product(a, b):  # type: ignore[no-untyped-def]
    """a'b, summed in any order: all at once."""
    total = 0.0
    for m in range(len(a)):
        total += a[m] * b[m]
    return total


@compiled
def _rotate_rows(one, other, c, s):  # type: ignore[no-untyped-def]
    """Rows a and b become c a + s b and c b - s a."""
    for m in range(len(one)):
        a, b = one[m], other[m]
        one[m], other[m] = c * a + s * b, c * b - s * a


@compiled
def _take_logs(W, first, stop, step, logs):  # type: ignore[no-untyped-def]
    """logs[k, m] = log W_k[m, m] of some axes m."""
    for k in range(len(W)):
        for m in range(first, stop, step):
            logs[k, m] = np.log(W[k, m, m])


@compiled
def _best_angle(middles, halves, between, weights, power, turns):  # type: ignore[no-untyped-def]
    """The angle, within 45 degrees, to which a plane turns."""
    angle = 0.0
    for _ in range(turns):
        x, y = np.cos(2 * angle), np.sin(2 * angle)
        a = b = c = 0.0
        for k in range(len(weights)):
            r = halves[k] * x + between[k] * y
            room = middles[k] * middles[k] - r * r
            least = 1e-30 * middles[k] * middles[k]
            if room < least:
                room = least
            if room > 0.0:
                h = weights[k] / room if power == 0.0 else weights[k] * room**power / room
                a += h * halves[k] * halves[k]
                b += h * halves[k] * between[k]
                c += h * between[k] * between[k]
        now = np.arctan2(2 * b, a - c) / 4
        if not np.isfinite(now):
            return 0.0
        moved = abs(now - angle)
        angle = now
        if not moved > STILL / 10:
            break
    return angle


@compiled
def _rotate(W, Q, i, j, c, s):  # type: ignore[no-untyped-def]
    """Axes i and j become c q_i + s q_j and c q_j - s q_i."""
    K, D, _ = W.shape
    for m in range(D):
        a, b = Q[m, i], Q[m, j]
        Q[m, i], Q[m, j] = c * a + s * b, c * b - s * a
    for k in range(K):
        M = W[k]
        for m in range(D):
            a, b = M[m, i], M[m, j]
            M[m, i], M[m, j] = c * a + s * b, c * b - s * a
        for m in range(D):
            a, b = M[i, m], M[j, m]
            M[i, m], M[j, m] = c * a + s * b, c * b - s * a
