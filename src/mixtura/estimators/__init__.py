"""Mixtura behind scikit-learn's interface: parameters in `__init__`, data in `fit`, what was learnt in names that end in `_`."""

from mixtura.estimators.gaussian_mixture import ConvergenceWarning, GaussianMixture, History

__all__ = ["ConvergenceWarning", "GaussianMixture", "History"]
