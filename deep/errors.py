"""Every exception and warning that deep raises on purpose."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "ConfigError",
    "DataError",
    "DeepWarning",
    "DivergenceError",
    "InputError",
    "RunInterruptedError",
]


class InputError(ValueError):
    """A value deep cannot work with; the message says got, expected and remedy."""


class ConfigError(InputError):
    """A configuration with an unknown key, a value of the wrong kind or two that do not fit."""


class DataError(InputError):
    """Data that are missing, truncated, mislabelled, too large or cannot be downloaded."""


class CheckpointError(InputError):
    """A checkpoint that is incomplete, altered, or of another run."""


class DivergenceError(RuntimeError):
    """Training left the finite numbers or ran away; the message says where and what is saved."""


class RunInterruptedError(RuntimeError):
    """A run of an experiment was interrupted and saved; the same command goes on."""


class DeepWarning(UserWarning):
    """Base of the warnings deep raises."""


class CheckpointWarning(DeepWarning):
    """A run goes on although a checkpoint was damaged, or the machine or the versions changed."""
