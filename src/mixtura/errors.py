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
    """The root of every error that Mixtura raises itself."""


class DataError(MixturaError, ValueError):
    """The rows cannot be fitted; the message names column and row."""


class ParameterError(MixturaError, ValueError):
    """An argument or the parameters of a mixture make no sense; the message names what was expected."""


class MissingLibraryError(MixturaError, ImportError):
    """An optional library that was asked for is not installed; the message names the extra that brings it."""


class FileError(MixturaError, OSError):
    """A file cannot be found, read or written."""


class ModelFileError(FileError):
    """A model file is damaged, foreign, or does not fit the data."""


class WorkerError(MixturaError, RuntimeError):
    """A process that worked for this one ended before its work, as one does for which there is no memory."""


class MixturaWarning(UserWarning):
    """The root of every warning that Mixtura gives itself."""


class ConstantColumnWarning(MixturaWarning):
    """A column holds one value; the fit goes on, the column tells nothing apart."""


class RepairWarning(MixturaWarning):
    """A component collapsed and was repaired."""


class InterruptionWarning(MixturaWarning):
    """A fit, a search or a test was interrupted (Ctrl-C); what was done by then is given."""


class CheckpointWarning(MixturaWarning):
    """Part of a checkpoint is damaged; what it held is computed anew, so that the fit ends with the same bits."""


class SpuriousWarning(MixturaWarning):
    """A likelihood has its maximum where a few rows make a component of their own, which says little of the population."""


class ConvergenceWarning(MixturaWarning):
    """The iterations allowed were used up before the fit converged."""
