"""Everything Mixtura raises or warns of, each also a builtin, so that callers may catch either.

MixturaError
├── DataError (ValueError)              rows that cannot be fitted: NaN, text, too few, out of range
├── ParameterError (ValueError)         an argument or a mixture that makes no sense
├── MissingLibraryError (ImportError)   an optional library that was asked for is not installed
├── FileError (OSError)                 a file that cannot be found, read or written
├── ModelFileError (FileError)          a model file that is damaged, foreign or does not fit the data
└── WorkerError (RuntimeError)          a process that worked for this one ended before its work
MixturaWarning (UserWarning)
├── ConstantColumnWarning               a column holds one value; it fits, but tells nothing
├── RepairWarning                       a component collapsed and was repaired
├── InterruptionWarning                 a fit, a search or a test was interrupted, and what was done by then is given
├── CheckpointWarning                   part of a checkpoint is damaged, and what it held is computed anew
├── SpuriousWarning                     a likelihood has its maximum where a few rows make a component of their own
└── ConvergenceWarning                  max_iter came before convergence
"""


class MixturaError(Exception):
    """The root of every error that Mixtura raises itself.

    >>> import mixtura
    >>> try:
    ...     mixtura.GaussianMixture(2).fit([[1.0], [float("nan")]])
    ... except mixtura.errors.MixturaError as error:
    ...     print(type(error).__name__)
    DataError
    """


class DataError(MixturaError, ValueError):
    """The rows cannot be fitted; the message names column and row.

    >>> import mixtura
    >>> try:
    ...     mixtura.select([[1.0], [float("inf")]])
    ... except mixtura.errors.DataError as error:
    ...     print(error)
    a value is not finite: got inf in column 'x0', row 1, expected a number; try removing the row or filling the value in
    """


class ParameterError(MixturaError, ValueError):
    """An argument or the parameters of a mixture make no sense; the message names what was expected.

    >>> import mixtura
    >>> try:
    ...     mixtura.Mixture([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    ... except mixtura.errors.ParameterError as error:
    ...     print(error)
    weights are not a distribution: got array([0.5, 0.6]), expected K numbers >= 0 with sum 1; try weights / weights.sum()
    """


class MissingLibraryError(MixturaError, ImportError):
    """An optional library that was asked for is not installed; the message names the extra that brings it.

    >>> from mixtura.errors import MissingLibraryError
    >>> issubclass(MissingLibraryError, ImportError)
    True
    """


class FileError(MixturaError, OSError):
    """A file cannot be found, read or written.

    >>> import mixtura
    >>> try:
    ...     mixtura.open("no/such/file.csv")
    ... except mixtura.errors.FileError as error:
    ...     print(error)
    cannot read no/such/file.csv: there is no such file; try another path
    """


class ModelFileError(FileError):
    """A model file is damaged, foreign, or does not fit the data.

    >>> import pathlib, tempfile, mixtura
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
    >>> _ = path.write_bytes(b"something else")
    >>> try:
    ...     mixtura.Mixture.load(path)
    ... except mixtura.errors.ModelFileError as error:
    ...     print(str(error).partition(": ")[2])
    Error while deserializing header: header too large; expected a file that mixtura wrote; try fitting again
    """


class WorkerError(MixturaError, RuntimeError):
    """A process that worked for this one ended before its work, as one does for which there is no memory.

    >>> from mixtura.errors import MixturaError, WorkerError
    >>> issubclass(WorkerError, MixturaError) and issubclass(WorkerError, RuntimeError)
    True
    """


class MixturaWarning(UserWarning):
    """The root of every warning that Mixtura gives itself.

    >>> import warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", mixtura.errors.MixturaWarning)  # silences all of them
    ...     model = mixtura.GaussianMixture(2, max_iter=1, random_state=0).fit(X)
    """


class ConstantColumnWarning(MixturaWarning):
    """A column holds one value; the fit goes on, the column tells nothing apart.

    >>> import warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = mixtura.GaussianMixture(1).fit(np.c_[X, np.ones(100)])
    >>> print(caught[0].message)
    a column holds one value: got 'x2' constant, expected columns that vary; try leaving it out
    """


class RepairWarning(MixturaWarning):
    """A component collapsed and was repaired.

    >>> import warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> X[:50] = X[0]  # one row fifty times: a component of its own has no width
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = mixtura.GaussianMixture(2, random_state=0).fit(X)
    >>> [warning.category.__name__ for warning in caught]
    ['RepairWarning']
    """


class InterruptionWarning(MixturaWarning):
    """A fit, a search or a test was interrupted (Ctrl-C); what was done by then is given.

    >>> import signal, warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> def interrupt(step):
    ...     if step.number == 3:
    ...         signal.raise_signal(signal.SIGINT)  # as Ctrl-C does
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     fit = mixtura.fit(X, mixtura.start(X, 3, random_state=0), tol=1e-12, on_step=interrupt)
    >>> fit.interrupted, caught[0].category.__name__
    (True, 'InterruptionWarning')
    """


class CheckpointWarning(MixturaWarning):
    """Part of a checkpoint is damaged; what it held is computed anew, so that the fit ends with the same bits.

    >>> from mixtura.errors import CheckpointWarning, MixturaWarning
    >>> issubclass(CheckpointWarning, MixturaWarning)
    True
    """


class SpuriousWarning(MixturaWarning):
    """A likelihood has its maximum where a few rows make a component of their own, which says little of the population.

    >>> import warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(50, 1))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", mixtura.errors.SpuriousWarning)  # where a test may not reject for such a maximum
    ...     test = mixtura.likelihood_ratio_test(X, 1, "full", n_bootstrap=19, random_state=0, n_jobs=1)
    >>> test.rejected
    False
    """


class ConvergenceWarning(MixturaWarning):
    """The iterations allowed were used up before the fit converged.

    >>> import warnings, numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = mixtura.GaussianMixture(3, max_iter=1, tol=1e-9, random_state=0).fit(X)
    >>> isinstance(caught[0].message, mixtura.errors.ConvergenceWarning)
    True
    """
