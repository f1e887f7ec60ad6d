"""Orientations of their own: Sigma_k = D_k B_k D_k' with diagonals B_k that are constrained.

    W_k = L_k Omega_k L_k', eigenvalues in order        D_k = L_k        B_k = the maximiser for the diagonals Omega_k

EEV and VEV, with equal and with proportional diagonals: Celeux & Govaert (1995), models [lambda D_k A D_k'] and [lambda_k D_k A D_k']. Of all
orientations, that in which the eigenvalues of both are in the same order has the least tr(Sigma_k^-1 W_k).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.families.constraint import EQUAL, Constraint
from mixtura.families.proportional import PROPORTIONAL
from mixtura.moments import Array


@dataclass(frozen=True)
class OwnAxes(Constraint):
    """The diagonals B_k obey `spectra`, orientations are free."""

    spectra: Constraint

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """As far as `spectra` has it in closed form, in closed form."""
        if not np.isfinite(scatter).all():
            return np.full_like(scatter, np.nan)
        values, vectors = np.linalg.eigh(scatter)
        before = None if previous is None else np.asarray(np.linalg.eigvalsh(previous), dtype=float)
        spectra = self.spectra.maximise(np.maximum(values, 0.0), counts, before)
        return composed(vectors, spectra)


def composed(axes: Array, spectra: Array) -> Array:
    """D B D' of axes D (.., D, D) and diagonals B (.., D), symmetric to the bit."""
    with np.errstate(invalid="ignore"):
        product = (axes * spectra[..., None, :]) @ axes.swapaxes(-1, -2)
        return np.asarray((product + product.swapaxes(-1, -2)) / 2)


OWN_AXES_EQUAL, OWN_AXES_PROPORTIONAL = OwnAxes(EQUAL), OwnAxes(PROPORTIONAL)
