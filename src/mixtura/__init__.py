"""Mixtura: Gaussian mixture models, from a hundred rows to more than one machine holds.

rows --sweep--> Statistics --rule--> Mixture --> again, until converged --> predict, sample, select, report
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixtura import errors, families, rules
from mixtura.adapting import adapt
from mixtura.fitting import Fit, Step, fit, iterate, sweep
from mixtura.mixture import Mixture
from mixtura.rules import gradients
from mixtura.sources import open
from mixtura.starting import start
from mixtura.statistics import Statistics

if TYPE_CHECKING:
    from mixtura import plots
    from mixtura.estimators import BayesianGaussianMixture, GaussianMixture
    from mixtura.likelihood_ratio import LikelihoodRatioTest, SequentialTest, likelihood_ratio_test
    from mixtura.selection import Selection, select

__version__ = "0.1.0"

_LATER = {
    "BayesianGaussianMixture": "mixtura.estimators",
    "GaussianMixture": "mixtura.estimators",
    "likelihood_ratio_test": "mixtura.likelihood_ratio",
    "LikelihoodRatioTest": "mixtura.likelihood_ratio",
    "SequentialTest": "mixtura.likelihood_ratio",
    "select": "mixtura.selection",
    "Selection": "mixtura.selection",
}
_MODULES = ("plots",)  # that come when they are asked for


def __getattr__(name: str) -> Any:
    """Imports what costs time (scikit-learn) only when it is asked for."""
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"mixtura.{name}")
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'mixtura' has no attribute {name!r}")


__all__ = [
    "BayesianGaussianMixture",
    "Fit",
    "GaussianMixture",
    "LikelihoodRatioTest",
    "Mixture",
    "Selection",
    "SequentialTest",
    "Statistics",
    "Step",
    "adapt",
    "errors",
    "families",
    "fit",
    "gradients",
    "iterate",
    "likelihood_ratio_test",
    "open",
    "plots",
    "rules",
    "select",
    "start",
    "sweep",
]
