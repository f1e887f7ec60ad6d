"""Mixtura: Gaussian mixture models, from a hundred rows to more than one machine holds.

rows --sweep--> Statistics --rule--> Mixture --> again, until converged --> predict, sample, select, report

Everything here is imported when it is asked for: importing the package itself takes no time, and runs nothing that an interrupt could find half done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixtura import errors, explaining, families, plots, report, rules
    from mixtura.adapting import adapt
    from mixtura.estimators import BayesianGaussianMixture, GaussianMixture
    from mixtura.fitting import Fit, Step, fit, iterate, sweep
    from mixtura.likelihood_ratio import LikelihoodRatioTest, SequentialTest, likelihood_ratio_test
    from mixtura.mixture import Mixture
    from mixtura.rules import gradients
    from mixtura.selection import Selection, select
    from mixtura.sources import open
    from mixtura.starting import start
    from mixtura.statistics import Statistics

__version__ = "0.1.0"

_PLACES = {
    "BayesianGaussianMixture": "estimators",
    "Fit": "fitting",
    "GaussianMixture": "estimators",
    "LikelihoodRatioTest": "likelihood_ratio",
    "Mixture": "mixture",
    "Selection": "selection",
    "SequentialTest": "likelihood_ratio",
    "Statistics": "statistics",
    "Step": "fitting",
    "adapt": "adapting",
    "fit": "fitting",
    "gradients": "rules",
    "iterate": "fitting",
    "likelihood_ratio_test": "likelihood_ratio",
    "open": "sources",
    "select": "selection",
    "start": "starting",
    "sweep": "fitting",
}
_MODULES = (
    *("errors", "explaining", "families", "plots", "report", "rules"),
    *("adapting", "estimators", "fitting", "frame", "kernels", "mixture", "moments", "regularisation", "sources", "starting", "statistics"),
)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"mixtura.{name}")
    if name in _PLACES:
        found = globals()[name] = getattr(import_module(f"mixtura.{_PLACES[name]}"), name)
        return found
    raise AttributeError(f"module 'mixtura' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
    "explaining",
    "families",
    "fit",
    "gradients",
    "iterate",
    "likelihood_ratio_test",
    "open",
    "plots",
    "report",
    "rules",
    "select",
    "start",
    "sweep",
]
