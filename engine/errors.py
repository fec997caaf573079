"""Errors a person can act on; each class carries the exit code its kind ends a command with.

Every message says what is wrong, where (file, key, path), and what to do about it.
"""

from __future__ import annotations


class MimError(Exception):
    """Base of all errors that are shown as a sentence instead of a traceback."""

    exit_code = 1


class RunFailed(MimError):
    """The run itself could not go on (for example: the loss is not a number)."""

    exit_code = 1


class RunDiverged(RunFailed):
    """Its numbers have no meaning, and would have none if it were gone on with: other settings are needed."""


class ConfigError(MimError):
    """A preset, file, key or value is wrong; the message names file, key and what is allowed."""

    exit_code = 2


class DataError(MimError):
    """A data set, checkpoint, trajectory or artifact is missing, truncated or corrupted."""

    exit_code = 3


class RunLocked(MimError):
    """Another process holds the run."""

    exit_code = 4
