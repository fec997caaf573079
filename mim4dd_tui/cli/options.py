"""Options that several commands share, and what they mean where they are not given."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.files import expanded
from engine.runs.called import option, usual_runs_dir
from mim4dd_tui.cli.failures import UsageError
from mim4dd_tui.graphics.choice import VARIABLE, Graphics, named
from mim4dd_tui.seeds import seeds_of

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets that begin so, for the shell."""
    from engine.config.load import list_presets
    from engine.config.presets import misnamed

    return [i.name for i in list_presets() if i.name.startswith(incomplete) and i.name not in misnamed()]


def complete_run(incomplete: str) -> list[str]:
    """Names of runs that begin so, for the shell; looks where MIM4DD_RUNS_DIR or ``./runs`` is."""
    folder = runs_dir_of(None)
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(name for name in names if name.startswith(incomplete))


PresetOrFile = Annotated[
    str,
    typer.Argument(
        metavar="PRESET|FILE",
        help="Name of a preset (see mim4dd presets), or a TOML file.",
        autocompletion=complete_preset,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. objective.iterations=500. Repeatable."),
]
RunsDir = Annotated[
    Path | None,
    typer.Option("--runs-dir", metavar="DIR", help="Where runs are. Default: $MIM4DD_RUNS_DIR, else ./runs."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="A folder in which data sets are found and to which they are downloaded. "
        "Default: $MIM4DD_DATA_DIR, else the user's cache; those are made.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps (sets execution.device)."),
]
Headless = Annotated[bool, typer.Option("--headless", help="No dashboard: plain progress lines on standard error.")]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Run without this terminal and return once the run is going on; mim4dd attach shows it.",
    ),
]
Pixels = Annotated[
    Graphics | None,
    typer.Option(
        "--graphics",
        metavar="HOW",
        help="How the dashboard sends pictures: off (as characters), kitty, kitty-tmux or sixel. "
        "Default: $MIM4DD_GRAPHICS, else as last time on this terminal.",
    ),
]
Latest = Annotated[bool, typer.Option("--latest", help="The run that was active last.")]
RunName = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run's name, or its folder's path.", autocompletion=complete_run),
]


def runs_dir_of(given: Path | None) -> Path:
    """The folder of all runs: the option, else ``MIM4DD_RUNS_DIR``, else ``./runs``."""
    return expanded(given) if given is not None else usual_runs_dir()


def data_dir_of(given: Path | None, *, looks: bool = False) -> Path:
    """The folder of data sets: the option, else ``MIM4DD_DATA_DIR``, else the user's cache.

    Args:
        looks: nothing is downloaded into it, so that it need not be there.

    Raises:
        UsageError: the option names a folder that is not there: a slip of the keys would be filled with data sets.
    """
    from engine.data.sources import default_data_dir

    if given is None:
        return default_data_dir()
    chosen = expanded(given)
    if looks or chosen.is_dir() or chosen.absolute() == default_data_dir().absolute():
        return chosen
    if chosen.exists():
        raise UsageError(f"--data-dir {given}: that is no folder")
    raise UsageError(
        f"--data-dir {given}: there is no such folder; if that is where data sets are to be, make it first: "
        f"`mkdir -p {shlex.quote(str(chosen))}`"
    )


def graphics_of(given: Graphics | None, *, shown: bool) -> Graphics | None:
    """How pictures are sent: the option, else ``MIM4DD_GRAPHICS``; None leaves it to what is remembered.

    Args:
        shown: whether a dashboard opens.

    Raises:
        UsageError: the variable holds no such name, or the option is given where no dashboard opens.
    """
    if not shown:
        if given is not None:
            raise UsageError("--graphics is for the dashboard, and none opens here")
        return None
    text = os.environ.get(VARIABLE, "")
    if given is not None or not text:
        return given
    chosen = named(text)
    if chosen is None:
        raise UsageError(f"{VARIABLE}={text}: use {', '.join(each.value for each in Graphics)}")
    return chosen


def several_seeds(text: str) -> list[int]:
    """What ``--seeds`` stands for.

    Raises:
        UsageError: it names no seeds.
    """
    from engine.errors import ConfigError

    try:
        return seeds_of(text)
    except ConfigError as error:
        raise UsageError(f"--seeds {text!r}: {error}") from None


def chosen_run(name: str | None, latest: bool, command: str, runs_dir: Path) -> str:
    """What to look for: a run's name or path, or ``--latest``.

    Raises:
        UsageError: neither or both were given.
    """
    if (name is None) == (not latest):
        wrong = "name a run or use --latest" if name is None else "name a run or use --latest, not both"
        raise UsageError(f"{command}: {wrong}; `mim4dd runs{option(runs_dir)}` lists the runs")
    return "--latest" if name is None else name


def locate(runs_dir: Path, name: str, *, states: Collection[str] | None = None) -> RunFolder:
    """The run of a name, of a path (anything with a separator), or the latest one for ``--latest``.

    Args:
        states: for ``--latest``, only runs in one of these; None for all that were started.

    Raises:
        ConfigError: the name is unsafe.
        DataError: there is no such run.
    """
    from engine.runs.finding import find
    from engine.runs.folder import RunFolder

    separators = [mark for mark in (os.sep, os.altsep) if mark]
    if name in (".", "..") or any(mark in name for mark in separators):
        return RunFolder.open(expanded(name))
    return find(runs_dir, name, states=states)
