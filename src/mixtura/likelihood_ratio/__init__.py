"""Whether K components are enough: the parametric bootstrap of the likelihood-ratio test of K against K + 1.

In reading order: `search` (the likeliest mixture of given rows), `comparison` (K and K + 1 on the same rows), `replicates` (the same on rows
drawn from the null, by several processes), `results` (what comes out), `procedure` (one test, or one after the other).
"""

from mixtura.likelihood_ratio.procedure import likelihood_ratio_test
from mixtura.likelihood_ratio.replicates import BootstrapProgress
from mixtura.likelihood_ratio.results import LikelihoodRatioTest, SequentialTest

__all__ = ["BootstrapProgress", "LikelihoodRatioTest", "SequentialTest", "likelihood_ratio_test"]
