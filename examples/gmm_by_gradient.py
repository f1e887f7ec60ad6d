"""A Gaussian mixture by gradient ascent, as textbooks write it: the posterior, the gradients, a small step along them, epoch after epoch.

    python examples/gmm_by_gradient.py examples/old_faithful.csv --n-class 2 --n-epochs 14000

DATA is whatever `mixtura fit` reads; its numeric columns are taken. `docs/textbook-loop.md` says what each part does.
"""

import argparse
import sys

import numpy as np

import mixtura


class GaussianMixtureByGradient:
    """`n_class` Gaussians with full covariances, by `n_epochs` steps along the gradient of the mean log-likelihood per row."""

    def __init__(self, n_class, n_epochs, learning_rate=1e-3, every=1):
        self.n_class, self.n_epochs, self.learning_rate, self.every = n_class, n_epochs, learning_rate, max(every, 1)

    def fit(self, data):
        """Learns from `data` (n_sample, n_column), standardised; log-likelihoods are told in its own units."""
        self.scale = data.std(axis=0)
        self.data = (data - data.mean(axis=0)) / self.scale
        self.rows = mixtura.open(self.data)
        self.init_params()
        for epoch in range(1, self.n_epochs + 1):
            posterior = self.e_step()
            for k, (grad_class, grad_mu, grad_sigma) in enumerate(self.m_step(posterior)):
                self.class_prob[k] += self.learning_rate * grad_class
                self.mus[k] += self.learning_rate * grad_mu
                self.vars[k] += self.learning_rate * grad_sigma
            self.class_prob /= self.class_prob.sum()
            if epoch % self.every == 0 or epoch == self.n_epochs:
                print(f"epoch {epoch:5d}   log-likelihood {self.log_likelihood:.4f}", flush=True)
        return self

    def init_params(self):
        """Equal probabilities, the first rows that differ as means, unit covariances."""
        first = np.sort(np.unique(self.data, axis=0, return_index=True)[1])
        self.class_prob = np.full(self.n_class, 1 / self.n_class)
        self.mus = self.data[first[: self.n_class]]
        self.vars = np.stack([np.eye(self.data.shape[1])] * self.n_class)

    def e_step(self):
        """The posterior of each class for each row (n_sample, n_class)."""
        self.mixture = mixtura.Mixture(self.class_prob, self.mus, self.vars)
        answers = self.mixture.answers(self.rows, posterior=True, density=True)
        self.log_likelihood = answers.log_density.sum() - len(self.data) * np.log(self.scale).sum()
        return answers.posterior

    def m_step(self, posterior):
        """Class by class, the gradients of the mean log-likelihood per row: (grad_class, grad_mu, grad_sigma)."""
        yield from mixtura.gradients(self.mixture, mixtura.Statistics.of(self.rows, posterior))


def main():
    """Reads the file, fits, and shows what was learnt in the units of the file."""
    parser = argparse.ArgumentParser(description="Fit a Gaussian mixture by gradient ascent.")
    parser.add_argument("data", help="CSV, Parquet, Feather or NPY")
    parser.add_argument("--columns", type=lambda names: names.split(","), help="columns to fit, as a,b,c; all numeric ones where not given")
    parser.add_argument("--n-class", type=int, default=2)
    parser.add_argument("--n-epochs", type=int, default=14_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--every", type=int, default=1, help="print every so many epochs")
    asked = parser.parse_args()
    try:
        source = mixtura.open(asked.data, asked.columns)
        rows = np.concatenate(list(source.map(lambda block: np.array(block.rows, dtype=float))))
    except mixtura.errors.MixturaError as error:
        sys.exit(str(error))
    if constant := [name for name, column in zip(source.columns, rows.T, strict=True) if (column == column[0]).all()]:
        sys.exit(f"a column holds one value: {', '.join(constant)}; name the others with --columns")
    try:
        model = GaussianMixtureByGradient(asked.n_class, asked.n_epochs, asked.learning_rate, asked.every).fit(rows)
    except mixtura.errors.ParameterError as error:
        sys.exit(f"{error}, or a smaller --learning-rate")
    print()
    for k in range(model.n_class):
        means, deviations = rows.mean(axis=0) + model.scale * model.mus[k], model.scale * np.sqrt(np.diagonal(model.vars[k]))
        columns = (f"{name} {mean:.4g} ± {deviation:.3g}" for name, mean, deviation in zip(source.columns, means, deviations, strict=True))
        print(f"class {k}   probability {model.class_prob[k]:.4f}   {', '.join(columns)}")


if __name__ == "__main__":
    main()
