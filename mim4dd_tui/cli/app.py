"""The table of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mim4dd_tui import __version__
from mim4dd_tui.cli import analyse, bench, doctor, listing, places, presets, remote, results, running
from mim4dd_tui.cli.failures import UsageError
from mim4dd_tui.cli.options import DataDir, Pixels, RunsDir, data_dir_of, graphics_of, runs_dir_of
from mim4dd_tui.cli.output import say
from mim4dd_tui.graphics.choice import Graphics

app = typer.Typer(
    name="mim4dd",
    help="Distill a data set into a few synthetic images, and watch it happen.\n\n"
    "Without a command the dashboard opens.",
    epilog="A first run, without any download: mim4dd run digits-ipc1",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

WORK, REACH, LOOK, MACHINE = "Distill", "A run that goes on elsewhere", "Look and use", "This machine"

app.command("run", rich_help_panel=WORK)(running.run)
app.command("resume", rich_help_panel=WORK)(running.resume)
app.command("attach", rich_help_panel=REACH)(remote.attach)
app.command("stop", rich_help_panel=REACH)(remote.stop)
app.command("pause", rich_help_panel=REACH)(remote.pause)
app.command("request", rich_help_panel=REACH)(remote.request)
app.command("presets", rich_help_panel=WORK)(presets.presets)
app.command("runs", rich_help_panel=LOOK)(listing.runs)
app.command("show", rich_help_panel=LOOK)(listing.show)
app.command("evaluate", rich_help_panel=LOOK)(results.evaluate)
app.command("export", rich_help_panel=LOOK)(results.export)
app.command("analyse", rich_help_panel=LOOK)(analyse.analyse)
app.command("bench", rich_help_panel=MACHINE)(bench.bench)
app.command("doctor", rich_help_panel=MACHINE)(doctor.doctor)
app.command("paths", rich_help_panel=MACHINE)(places.paths)


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
