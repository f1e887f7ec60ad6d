"""Mixtura behind scikit-learn's interface: parameters in `__init__`, data in `fit`, what was learnt in names that end in `_`."""

from mixtura.estimators.bayesian_mixture import BayesianGaussianMixture
from mixtura.estimators.gaussian_mixture import GaussianMixture
from mixtura.estimators.history import ConvergenceWarning, History

__all__ = ["BayesianGaussianMixture", "ConvergenceWarning", "GaussianMixture", "History"]
