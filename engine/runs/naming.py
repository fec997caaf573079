"""Names that a run can have: safe as the name of a folder, and not taken."""

from __future__ import annotations

import re
from pathlib import Path

from engine.errors import ConfigError
from engine.runs.called import called

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


EXPORTS = "exports"
"""Where what is taken out of a run is put, in its folder; of several runs, beside their folders."""


def require_free(runs_dir: Path, name: str) -> None:
    """Refuses a name that no new run can have here.

    Raises:
        ConfigError: it is unsafe (:func:`check_name`), or there is such a run.
    """
    if (runs_dir / check_name(name)).exists():
        raise taken(runs_dir, name)


def taken(runs_dir: Path, name: str) -> ConfigError:
    """The error of a name that another run has."""
    return ConfigError(
        f"there is a run {name!r} in {runs_dir} already: choose another --name, or go on with it by "
        f"`mim4dd resume {called(runs_dir / name)}`"
    )


def check_name(name: str) -> str:
    """A run's name as it is, if it is safe as the name of a folder.

    Raises:
        ConfigError: it could reach outside the runs folder or trouble a shell.
    """
    if not SAFE_NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            f"run name {name!r}: allowed are letters A to Z and a to z, digits, '.', '_' and '-', at most 100, "
            "starting with a letter or digit and not ending with '.'"
        )
    if name == EXPORTS:
        raise ConfigError(f"run name {name!r}: a folder of this name beside the runs holds what is taken out of them")
    return name
