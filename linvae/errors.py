"""Every exception and warning that linvae raises on purpose."""

from __future__ import annotations

__all__ = [
    "DataFileError",
    "FlowError",
    "InputError",
    "InputTypeError",
    "LinvaeWarning",
    "MissingPackageError",
    "NonUniqueOptimumWarning",
    "PartialSpectrumError",
    "RangeError",
    "SubjectError",
    "UnboundedObjectiveError",
]


class InputError(ValueError):
    """A value linvae cannot work with; the message says got, expected and remedy."""


class InputTypeError(InputError, TypeError):
    """A value of a kind linvae cannot work with (complex, object, text, ...)."""


class RangeError(InputError):
    """A rate, distortion or squared error that the curve does not reach."""


class PartialSpectrumError(InputError):
    """An exact answer would need eigenpairs that a leading-k spectrum does not hold."""


class UnboundedObjectiveError(InputError):
    """The objective has no minimum: the calibrated noise variance would shrink to zero."""


class DataFileError(InputError):
    """A data file that is missing, truncated, ragged or of an unknown format."""


class MissingPackageError(InputError, ImportError):
    """An optional package that is not installed; the message says which extra brings it."""


class FlowError(RuntimeError):
    """A gradient flow whose integration did not reach the last time."""


class SubjectError(RuntimeError):
    """Code under examination raised an exception, or returned what it should not."""


class LinvaeWarning(UserWarning):
    """Base of the warnings linvae raises."""


class NonUniqueOptimumWarning(LinvaeWarning):
    """Several optima tie; the documented one was returned."""
