"""The table of commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mim4dd_tui import __version__
from mim4dd_tui.cli import analyse, bench, doctor, listing, places, presets, remote, results, running
from mim4dd_tui.cli.failures import UsageError
from mim4dd_tui.cli.options import DataDir, Pixels, RunsDir, data_dir_of, graphics_of, runs_dir_of
from mim4dd_tui.cli.output import say
from mim4dd_tui.cli.switches import Command, Commands
from mim4dd_tui.graphics.choice import Graphics

app = typer.Typer(
    name="mim4dd",
    help="Distill a data set into a few synthetic images, and watch it happen.\n\n"
    "Without a command the dashboard opens.",
    epilog="A first run, without any download: mim4dd run digits-ipc1",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

WORK, REACH, LOOK, MACHINE = "Distill", "A run that goes on elsewhere", "Look and use", "This machine"


def _add(name: str, function: Callable[..., int | None], panel: str) -> None:
    """A command, with its paragraphs as wide as the terminal: Typer keeps the ends of lines in all but the first."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)
    app.command(name, cls=Command, help=text, rich_help_panel=panel)(function)


_add("run", running.run, WORK)
_add("resume", running.resume, WORK)
_add("attach", remote.attach, REACH)
_add("stop", remote.stop, REACH)
_add("pause", remote.pause, REACH)
_add("request", remote.request, REACH)
_add("presets", presets.presets, WORK)
_add("runs", listing.runs, LOOK)
_add("show", listing.show, LOOK)
_add("evaluate", results.evaluate, LOOK)
_add("protocols", results.protocols, LOOK)
_add("export", results.export, LOOK)
_add("analyse", analyse.analyse, LOOK)
_add("bench", bench.bench, MACHINE)
_add("doctor", doctor.doctor, MACHINE)
_add("paths", places.paths, MACHINE)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"mim4dd {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    runs_dir: RunsDir = None,
    data_dir: DataDir = None,
    graphics: Pixels = None,
    version: Annotated[  # noqa: ARG001 - acted on by its callback
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> int:
    """Open the dashboard, unless a command is named."""
    if context.invoked_subcommand is not None:
        _refuse_misplaced(runs_dir, data_dir, graphics, context.invoked_subcommand)
        return 0
    from mim4dd_tui.terminal import abilities

    able = abilities()
    if not able.dashboard:
        raise UsageError(f"no dashboard here ({able.refusal}); use `mim4dd run PRESET --headless`, or `mim4dd --help`")
    from mim4dd_tui.dashboard import run_dashboard

    chosen = graphics_of(graphics, shown=True)
    code = run_dashboard(runs_dir=runs_dir_of(runs_dir), data_dir=data_dir_of(data_dir), graphics=chosen)
    raise typer.Exit(code)


def _refuse_misplaced(runs_dir: Path | None, data_dir: Path | None, graphics: Graphics | None, command: str) -> None:
    """Options before the command belong to the dashboard; taking them silently for nothing would mislead."""
    way = graphics.value if graphics is not None else None
    for name, value in (("--runs-dir", runs_dir), ("--data-dir", data_dir), ("--graphics", way)):
        if value is not None:
            raise UsageError(f"{name} stands before {command}: write mim4dd {command} {name} {value}")
