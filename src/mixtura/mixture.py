"""Mixture: weights, means and covariances of a Gaussian mixture, immutable, and what can be asked of it.

    p(x) = sum_k pi_k N(x | mu_k, Sigma_k)

It answers by itself; no estimator is needed. Fitting is elsewhere (`rules`, `fitting`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura import checking, conditioning, markup, storage
from mixtura.blas import with_one_thread
from mixtura.errors import DataError, ModelFileError, ParameterError
from mixtura.factors import Factors, packed
from mixtura.families import Family, family_of
from mixtura.frame import Frame
from mixtura.kernels import Analysers, Answers, AnyGaussians, Gaussians, countable
from mixtura.moments import MATRIX, ROUNDING, Array, symmetric
from mixtura.properties import cached_property
from mixtura.randomness import generator_of
from mixtura.sources import Asked, AskedAtOnce, Classified, Scored, Source
from mixtura.sources import open as open_source
from mixtura.sources.source import require_countable

LARGEST = 1e100  # of means, and of deviations either way: what a fit of rows within frame.LARGEST may come to, and room to spare
ANSWERS = ("component", "probability", "log_density", "posterior")
ROUNDINGS = 8  # of each number that takes part in a volume: it is multiplied, divided and summed a few times


class Classification(NamedTuple):
    """How surely a mixture tells rows apart, in nats, summed over rows; both are 0 where every row surely belongs to one component.

    `entropy` = -sum_i w_i sum_k r_ik log r_ik, and `log_certainty` = sum_i w_i log max_k r_ik <= 0, with posteriors r_ik and row weights w_i.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> round(mixture.classification([[0.0], [9.0]]).entropy, 3)  # the first row is in doubt: log 2 nats
    0.693
    """

    entropy: float
    log_certainty: float


@dataclass(frozen=True, eq=False)
class Mixture:
    """A Gaussian mixture in the caller's coordinates.

    Shapes: weights (K,), positive, sum 1; means (K, D), in the columns' units; covariances in the family's shape, in squared units:
    full (K, D, D), diag (K, D), spherical (K,), tied (D, D), tied_diag (D,), tied_spherical (); VEI and EVI (K, D), the others (K, D, D); for q
    factors (K, D, q + 1), the loadings and the noise beside them: see `of_factors`.

    Raises ParameterError where shapes disagree, weights are not a distribution, or a covariance is not symmetric (but for rounding) and positive
    definite, or the covariances do not share what those of the family share.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixture.posterior([[0.0]])
    array([[0.5, 0.5]])
    """

    weights: Array
    means: Array
    covariances: Array
    family: Family

    @with_one_thread
    def __init__(self, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike, family: str | Family = "full"):
        family = family_of(family)
        arrays = {name: _numbers(name, value) for name, value in (("weights", weights), ("means", means), ("covariances", covariances))}
        _check_shapes(family, **arrays)
        total = arrays["weights"].sum()
        if abs(total - 1) > 1e-15 * len(arrays["weights"]):  # weights that sum to 1 already keep their bits
            arrays["weights"] = arrays["weights"] / total
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "family", family)
        if family.moment is MATRIX and not symmetric(self.covariances):
            raise ParameterError("a covariance is not symmetric: got unequal halves, expected Sigma = Sigma'; try (Sigma + Sigma.T) / 2")
        self._check_definite()
        self._check_countable()
        if family.constraint is not None and not self._is_member():
            raise ParameterError(
                f"the covariances are not of family {family.code}: got some that do not share what its components share, expected volume, shape and "
                "orientation as its letters say; try family.project(covariances, weights, D), or a more general family"
            )

    @property
    def K(self) -> int:
        """The number of components."""
        return len(self.weights)

    @property
    def D(self) -> int:
        """The number of columns."""
        return int(self.means.shape[1])

    @property
    def n_parameters(self) -> int:
        """Free parameters: the family's covariance parameters, K D means and K - 1 weights."""
        return self.family.n_parameters(self.K, self.D)

    @cached_property
    def whiteners(self) -> Array:
        """U with U'U = Sigma^-1: (K, D, D) lower triangular or (K, D); leading axis 1 where the components share it. Nothing else asks for D x D
        numbers where the covariances are factors.
        """
        try:
            U = self.family.moment.whiteners(self.covariances, self.D)
        except np.linalg.LinAlgError:
            raise self._not_definite() from None
        return U[None] if self.family.pooled else U

    @cached_property
    def matrices(self) -> Array:
        """The covariances as (K, D, D), whatever the family."""
        return self.family.matrices(self.covariances, self.K, self.D)

    @cached_property
    def variances(self) -> Array:
        """The variance of each column in each component (K, D)."""
        return np.broadcast_to(self.family.moment.variances(self.covariances, self.D), (self.K, self.D))

    @property
    def loadings(self) -> Array:
        """A_k (K, D, q) of factor analysers, Sigma_k = A_k A_k' + Psi_k, in the columns' units. Raises ParameterError for other families."""
        return self._factors()[..., :-1]

    @property
    def noise(self) -> Array:
        """The diagonal of Psi_k (K, D) of factor analysers, or for ppca its one value (K,), in squared units. Raises as `loadings` does."""
        noise = self._factors()[..., -1]
        return noise[:, 0] if self.family.one_scale else noise

    @classmethod
    def of_factors(cls, weights: ArrayLike, means: ArrayLike, loadings: ArrayLike, noise: ArrayLike) -> Mixture:
        """The mixture of Sigma_k = A_k A_k' + Psi_k, with loadings A_k (K, D, q) and noise (K, D) or, the same for all columns, (K,).

        Its family is factor:q or ppca:q. Raises ParameterError as the class does.

        >>> import mixtura
        >>> mixture = mixtura.Mixture.of_factors([1.0], [[0.0, 0.0, 0.0]], [[[3.0], [0.0], [1.0]]], [2.0])
        >>> mixture.matrices
        array([[[11.,  0.,  3.],
                [ 0.,  2.,  0.],
                [ 3.,  0.,  3.]]])
        """
        A, Psi = _numbers("loadings", loadings), _numbers("noise", noise)
        if A.ndim != 3 or Psi.shape not in (A.shape[:2], A.shape[:1]):
            raise ParameterError(
                f"loadings and noise do not fit: got shapes {A.shape} and {Psi.shape}, expected (K, D, q), and (K, D) or (K,); "
                "try one of each for every component"
            )
        kind = "factor" if Psi.ndim == 2 else "ppca"
        return cls(weights, means, packed(A, np.broadcast_to(Psi.reshape(len(A), -1), A.shape[:2])), family_of(kind, A.shape[2]))

    @property
    def gaussians(self) -> AnyGaussians:
        """The mixture as the kernels want it."""
        log_weights = np.log(np.maximum(self.weights, sys.float_info.min))  # a weight of zero stays an ordinary number
        if isinstance(self.family.moment, Factors):
            return Analysers(log_weights, self.means, self.covariances, self.family.moment)
        return Gaussians(log_weights, self.means, self.whiteners, self.family.moment.axes == 0)

    @cached_property
    def frame(self) -> Frame:
        """The coordinates in which this mixture has mean about 0 and variance about 1."""
        mean = self.weights @ self.means
        spread = self.weights @ (self.variances + (self.means - mean) ** 2)
        return Frame.of(mean, np.sqrt(spread), self.family.one_scale)

    def log_density(self, X: Any) -> Any:
        """log p(x) of each row, in nats: (N,).

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> mixture.log_density([[0.0], [9.0]]).round(3)
        array([ -1.419, -33.612])
        """
        return self.ask(X, "log_density")

    def posterior(self, X: Any) -> Any:
        """r_ik = pi_k N(x_i | mu_k, Sigma_k) / p(x_i): (N, K), rows sum to 1.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> mixture.posterior([[0.0], [1.0]]).round(3)
        array([[0.5  , 0.5  ],
               [0.119, 0.881]])
        """
        return self.ask(X, "posterior")

    def assign(self, X: Any) -> Any:
        """The component of greatest posterior for each row: (N,), the first of equals.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> mixture.assign([[-2.0], [2.0]])
        array([0, 1])
        """
        return self.ask(X, "component")

    def score(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """The mean log density per row (weighted mean where `sample_weight` is given), in nats.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> round(mixture.score([[0.0], [9.0]]), 3)
        -17.516
        """
        total, weight = self.log_likelihood(X, sample_weight)
        return total / weight

    @with_one_thread
    def answers(
        self, X: Any, *, component: bool = False, density: bool = False, posterior: bool = False, gaussians: AnyGaussians | None = None
    ) -> Answers:
        """Several answers for each row from one pass; those not asked for are empty. `probability` comes with `density`.

        `gaussians` are what rows are weighed with, where a rule expects others than the mixture's own (rules.Variational).

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> answers = mixture.answers([[-2.0], [2.0]], component=True, density=True)
        >>> answers.component, answers.probability.round(3), answers.log_density.round(3)
        (array([0, 1]), array([0.982, 0.982]), array([-2.094, -2.094]))
        """
        source = self.source(X)
        wanted = {"component": component, "probability": density, "log_density": density, "posterior": posterior}
        names = [name for name, asked in wanted.items() if asked]
        answers = Answers.room(source.n_rows, self.K, source.dtype, component, density, posterior)
        start = 0
        for records in self.records(source, *names, gaussians=gaussians):
            for name in names:
                getattr(answers, name)[start : start + len(records)] = records[name]
            start += len(records)
        return answers

    def records(self, X: Any, *names: str, gaussians: AnyGaussians | None = None) -> Iterator[NDArray[Any]]:
        """Several answers for each row from one pass: `names` are some of component, probability, log_density and posterior.

        They come block by block, in row order: arrays (n,) of records, with a field for each name. So rows that do not fit in memory can be
        answered. `gaussians` as in `answers`.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> next(mixture.records([[0.5], [-2.0]], "component", "log_density"))["component"]
        array([1, 0])
        """
        for name in names:
            checking.word("answer", name, ANSWERS, "component")
        source = self.source(X)
        return source.map(AskedAtOnce(self.gaussians if gaussians is None else gaussians, self.frame, source.dtype, names))

    @with_one_thread
    def classification(self, X: Any, sample_weight: ArrayLike | None = None) -> Classification:
        """How surely the rows of X (N, D), weighted by `sample_weight` (N,), are told apart: one pass, of which nothing of size N x K is kept.

        Raises DataError for rows that are not finite or not as wide as the mixture.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> round(mixture.classification([[0.0], [50.0]]).entropy, 4)  # log 2 for the row in the middle, nothing for the other
        0.6931
        """
        source = self.source(X, sample_weight)
        entropy, certainty, _ = self._summed(source, Classified(self.gaussians, self.frame, source.dtype)) + 0.0  # no -0.0
        return Classification(float(entropy), float(certainty))

    @with_one_thread
    def log_likelihood(self, X: Any, sample_weight: ArrayLike | str | None = None, *, gaussians: AnyGaussians | None = None) -> tuple[float, float]:
        """sum_i w_i log p(x_i) in nats, and sum_i w_i: one pass, of which nothing is kept. `gaussians` as in `answers`."""
        source = self.source(X, sample_weight)
        total, weight, _ = self._summed(source, Scored(self.gaussians if gaussians is None else gaussians, self.frame, source.dtype))
        require_countable(weight)
        return float(total), float(weight)

    @with_one_thread
    def ask(self, X: Any, name: str, gaussians: AnyGaussians | None = None) -> Any:
        """Each row's component, probability, log_density or posterior: an array, or a lazy collection where rows are on a cluster."""
        checking.word("answer", name, ANSWERS, "component")
        source = self.source(X)
        return source.each(Asked(self.gaussians if gaussians is None else gaussians, self.frame, source.dtype, name))

    def _summed(self, source: Source, task: Scored | Classified) -> Array:
        """What a task sums, the last of which is not finite where a value of the rows is not."""
        sums: Array = source.reduce(task)
        if not np.isfinite(sums[-1]):
            source.refuse_not_finite()
        return sums

    def source(self, X: Any, sample_weight: ArrayLike | str | None = None, n_jobs: int | None = None) -> Source:
        """X as a source, checked to have this mixture's width."""
        source = open_source(X, weight=sample_weight, n_jobs=n_jobs)
        if source.D != self.D:
            raise DataError(f"the data do not fit the mixture: got {source.D} columns, expected {self.D}; try the columns it was fitted on")
        return source

    @with_one_thread
    def sample(self, n: int, random_state: Any = None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """n rows drawn from the mixture, (n, D), and the component of each, (n,), in random order.

        `random_state` is anything that numpy.random.default_rng takes.

        Raises ParameterError unless n is an integer >= 1.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> rows, component = mixture.sample(3, random_state=0)
        >>> rows.shape, component.shape
        ((3, 1), (3,))
        """
        try:
            checking.whole("n", n, 1, "n=1")
        except ParameterError as error:
            raise ParameterError(f"cannot sample {checking.short(n)} rows: {error}") from None
        generator = generator_of(random_state)
        component = generator.choice(self.K, size=n, p=self.weights)
        covariances = np.broadcast_to(self.covariances, (self.K, *self.family.moment.shape(self.D)))
        return self.means[component] + self.family.moment.draw(covariances, component, self.D, generator), component

    @with_one_thread
    def to_family(self, family: str | Family) -> Mixture:
        """The same mixture written in a more general family.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [1.0, 2.0], "tied_diag")
        >>> mixture.to_family("diag").covariances
        array([[1., 2.],
               [1., 2.]])
        """
        other = family_of(family)
        if not other.nests(self.family):
            raise ParameterError(f"a {self.family.name} mixture is not always {other.name}: expected a more general family; try 'full'")
        return Mixture.trusted(self.weights, self.means, np.array(self.family.convert(self.covariances, other, self.K, self.D)), other)

    @with_one_thread
    def marginal(self, columns: Sequence[int]) -> Mixture:
        """The mixture of these columns (d,) alone, in this order: p(a) = sum_k pi_k N(a | mu_k,a, Sigma_k,aa).

        Its family is this one where that holds of parts, else diag or full: volumes that are equal in all columns differ in some.

        Raises ParameterError for numbers of columns that there are not, or that come twice.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> mixture.marginal([1]).covariances
        array([[[9.]]])
        """
        chosen = self._columns(columns)
        covariances, family = conditioning.marginal(self.family, self.covariances, chosen)
        return Mixture(self.weights, self.means[:, chosen], covariances, family)

    @with_one_thread
    def condition(self, columns: Sequence[int], values: ArrayLike) -> Mixture:
        """The mixture of all other columns b where these, a, have these values (d,): p(b | a), in the columns' order.

            pi_k <- pi_k N(a | mu_k,a, Sigma_k,aa) / p(a)                  Sigma_k <- Sigma_k,bb - B_k Sigma_k,ab
            mu_k <- mu_k,b + B_k (a - mu_k,a)                              B_k = Sigma_k,ba Sigma_k,aa^-1

        So the mean of the others given these, a regression that bends where components change, is `weights @ means` of what it returns
        (Ghahramani & Jordan 1994, "Supervised learning from incomplete data via an EM approach", NIPS 6). Families as in `marginal`.

        Raises ParameterError for columns or values that do not fit, and where no column is left.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [4.0, 9.0]], [[[1.0, 0.5], [0.5, 1.0]]] * 2)
        >>> given = mixture.condition([0], [1.0])
        >>> given.weights.round(3), given.means.round(3).tolist(), given.covariances[0]
        (array([0.982, 0.018]), [[0.5], [7.5]], array([[0.75]]))
        """
        known, at = self._columns(columns), _numbers("values", values)
        if at.shape != known.shape:
            raise ParameterError(f"values do not fit the columns: got shape {at.shape}, expected one for each of {len(known)} columns; try one row")
        rest = np.setdiff1d(np.arange(self.D), known)
        if not len(rest):
            raise ParameterError(f"no column is left: got values of all {self.D}, expected fewer; try mixture.log_density")
        covariances, family, slopes = conditioning.conditional(self.family, self.covariances, known, rest)
        means = self.means[:, rest] + np.einsum("kba,ka->kb", np.broadcast_to(slopes, (self.K, *slopes.shape[1:])), at - self.means[:, known])
        return Mixture(self.marginal(columns).posterior(at[None])[0], means, covariances, family)

    def save(self, path: str | Path, metadata: dict[str, Any] | None = None, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Writes a safetensors file: arrays and JSON, nothing that can execute. `metadata`, and more `arrays`, are kept beside its own.

        Raises FileError where the file cannot be written; nothing half written is left.

        >>> import tempfile, mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> path = f"{tempfile.mkdtemp()}/model.safetensors"
        >>> mixture.save(path)
        """
        tensors = {**(arrays or {}), "weights": self.weights, "means": self.means, "covariances": self.covariances}
        storage.write(path, tensors, {**(metadata or {}), "family": self.family.name})

    @classmethod
    def load(cls, path: str | Path) -> Mixture:
        """The mixture in a file that `save` wrote. Raises ModelFileError for a damaged or foreign file.

        >>> import tempfile, mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> path = f"{tempfile.mkdtemp()}/model.safetensors"
        >>> mixture.save(path)
        >>> mixtura.Mixture.load(path)
        Mixture(2 components, 1 columns, family='full')
        """
        return cls.load_with_metadata(path)[0]

    @classmethod
    def load_with_metadata(cls, path: str | Path) -> tuple[Mixture, dict[str, Any]]:
        """The mixture and what was saved beside it.

        >>> import tempfile, mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> path = f"{tempfile.mkdtemp()}/model.safetensors"
        >>> mixture.save(path, {"columns": ["height"]})
        >>> mixtura.Mixture.load_with_metadata(path)[1]["columns"]
        ['height']
        """
        tensors, metadata = storage.read(path)
        try:
            return cls(tensors["weights"], tensors["means"], tensors["covariances"], metadata["family"]), metadata
        except (KeyError, ParameterError) as error:
            raise ModelFileError(f"{path} holds no usable mixture: {error}; try the file that mixtura wrote") from None

    @classmethod
    def trusted(cls, weights: Array, means: Array, covariances: Array, family: Family) -> Mixture:
        """A mixture that a rule made and regularised: nothing is checked, which a loop of short steps would feel."""
        weights.flags.writeable = means.flags.writeable = covariances.flags.writeable = False
        mixture = object.__new__(cls)
        vars(mixture).update(weights=weights, means=means, covariances=covariances, family=family)
        return mixture

    def __repr__(self) -> str:
        return f"Mixture({self.K} components, {self.D} columns, family={self.family.name!r})"

    def _repr_html_(self) -> str:
        return self.html()

    def html(self, names: Sequence[str] | None = None) -> str:
        """What a notebook shows: weights, and mean ± standard deviation of each column, by their names where these are given.

        >>> import mixtura
        >>> html = mixtura.Mixture([1.0], [[0.0]], [[[4.0]]]).html(["<length>"])
        >>> "&lt;length&gt;" in html, "0.00 ± 2.00" in html
        (True, True)
        """
        names = [f"x{j}" for j in range(self.D)] if names is None else names
        several = (f"{number} {what}{'s' * (number != 1)}" for number, what in ((self.K, "component"), (self.D, "column")))
        heading = f"Mixture: {', '.join(several)}, family {self.family.name} ({self.family.code})"
        return markup.paragraph(heading) + markup.components(self.weights, self.means, np.sqrt(self.variances), names)

    def _columns(self, columns: Sequence[int]) -> NDArray[np.intp]:
        """Numbers of columns, checked."""
        given = np.asarray(columns)
        usable = given.ndim == 1 and len(given) > 0 and given.dtype.kind in "iu"
        if not usable or given.min() < 0 or given.max() >= self.D or len(np.unique(given)) < len(given):
            raise ParameterError(f"columns are not usable: got {checking.short(columns)}, expected different numbers from 0 to {self.D - 1}; try [0]")
        return given.astype(np.intp)

    def _is_member(self) -> bool:
        """Whether the covariances are those of the family that are nearest to them, but for what a file or a caller rounds."""
        apart = self.family.matrices(self.covariances - self.family.project(self.covariances, self.weights, self.D), self.K, self.D)
        deviations = np.sqrt(self.variances)
        if self.family.equivariance == "similarities":  # axes at right angles are as exact as the widest column
            deviations = np.broadcast_to(deviations.max(axis=1, keepdims=True), deviations.shape)
        near = max(ROUNDING, self._lost_digits(deviations))
        return bool((np.abs(apart) <= near * deviations[:, :, None] * deviations[:, None, :]).all())

    def _lost_digits(self, deviations: Array) -> float:
        """What rounding makes of the volume of a covariance, relative to it: the more, the narrower a direction is than the `deviations`."""
        U = self.whiteners
        precisions = np.square(U).sum(axis=-2) if U.ndim == 3 else np.square(U)
        return float(ROUNDINGS * self.D * np.finfo(float).eps * (precisions * deviations**2).max())

    def _check_definite(self) -> None:
        """Raises ParameterError where a covariance is not positive definite."""
        if isinstance(self.family.moment, Factors):
            try:
                self.family.moment.check_covariances(self.covariances)
            except np.linalg.LinAlgError:
                raise self._not_definite() from None
        else:
            _ = self.whiteners

    def _check_countable(self) -> None:
        """Raises ParameterError where float64 cannot square what stands in the mixture, or the distance from it of a row far away."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            farthest, deviations = np.abs(self.means).max(), np.sqrt(self.variances)
            usable = farthest < LARGEST and deviations.min() > 1 / LARGEST and deviations.max() < LARGEST
            if usable and countable(self.gaussians, self.frame, np.dtype(float)):
                return
        raise ParameterError(
            f"the mixture cannot be computed with in float64: got means to {farthest:.3g} and standard deviations from {deviations.min():.3g} to "
            f"{deviations.max():.3g}, expected magnitudes to {LARGEST:.0e}, not below its inverse, and components that are no more than some "
            "1e49 times as narrow as the whole; try other units"
        )

    def _not_definite(self) -> ParameterError:
        return ParameterError(
            f"{self._first_singular()} is not positive definite: expected a covariance with positive eigenvalues; "
            "try adding a small multiple of the identity"
        )

    def _factors(self) -> Array:
        if not self.family.n_factors:
            raise ParameterError(f"a {self.family.name} mixture has no factors: expected family factor:q or ppca:q; try mixture.matrices")
        return self.covariances

    def _first_singular(self) -> str:
        stack = self.covariances[None] if self.family.pooled else self.covariances
        for k, one in enumerate(stack):
            try:
                self.family.moment.whiteners(one, self.D)
            except np.linalg.LinAlgError:
                return "the shared covariance" if self.family.pooled else f"the covariance of component {k}"
        return "a covariance"


def _numbers(name: str, value: ArrayLike) -> Array:
    array = checking.array(name, value, "an array of floats", "numpy.asarray(..., float)", "are")
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} are not finite: got NaN or infinity, expected numbers; try dropping the component")
    return array


def _check_shapes(family: Family, weights: Array, means: Array, covariances: Array) -> None:
    if weights.ndim != 1 or len(weights) == 0 or (weights < 0).any() or (weights > 2).any() or abs(weights.sum() - 1) > ROUNDING:
        raise ParameterError(
            f"weights are not a distribution: got {checking.short(weights)}, expected K numbers >= 0 with sum 1; try weights / weights.sum()"
        )
    if means.ndim != 2 or len(means) != len(weights) or not means.shape[1]:
        raise ParameterError(f"means do not fit the weights: got shape {means.shape}, expected ({len(weights)}, D); try one row per component")
    expected = family.shape(*means.shape)
    if covariances.shape != expected:
        raise ParameterError(
            f"covariances do not fit family {family.name!r}: got shape {covariances.shape}, expected {expected}; try another family="
        )
