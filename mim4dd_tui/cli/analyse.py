"""``analyse``: the paper's analyses, and sweeps over any setting, of a preset or a file of one's own."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import RunFailed
from engine.files import expanded
from engine.wording import counted
from mim4dd_tui.cli.failures import PartlyFailedError, UsageError, require_torch
from mim4dd_tui.cli.headless import Supervisor
from mim4dd_tui.cli.options import (
    Changes,
    DataDir,
    Json,
    PresetOrFile,
    RunsDir,
    data_dir_of,
    runs_dir_of,
    several_seeds,
)
from mim4dd_tui.cli.output import blocks, say, say_in_words, write_json
from mim4dd_tui.plain import tell
from mim4dd_tui.terminal import columns

if TYPE_CHECKING:
    from engine.analysis.plan import Plan

OUTPUT = "analyses"
SEEDS = "0-4"
NAMES = ("lambda", "critic", "beta", "loss", "cka", "grids")


def complete_analysis(incomplete: str) -> list[str]:
    """Names of analyses that begin so, for the shell."""
    return [name for name in NAMES if name.startswith(incomplete)]


def analyse(
    analysis: Annotated[
        str,
        typer.Argument(
            metavar="ANALYSIS",
            help="lambda, critic or beta (sweeps), loss, cka or grids (with the term against without), or a "
            "setting to sweep over, e.g. information.temperature.",
            autocompletion=complete_analysis,
        ),
    ],
    target: PresetOrFile,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="RANGE", help="Seeds of the runs, paired over all values (0-4 or 0,2,5).")
    ] = SEEDS,
    values: Annotated[
        str | None, typer.Option("--values", metavar="LIST", help="Of a sweep, instead of its own: 0,0.1,1.")
    ] = None,
    changes: Changes = None,
    finished: Annotated[
        bool,
        typer.Option("--finished", help="Run nothing: the table of what is finished, e.g. while the rest goes on."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help=f"Where the tables go. Default: ./{OUTPUT}/PRESET."),
    ] = None,
    runs_dir: RunsDir = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> int:
    """Run what an analysis of the paper needs, and write its table and figure.

    Every value is run with every seed, so that differences are paired; means come with 95 % intervals. What is finished
    is kept in the output folder and taken as it is the next time: Ctrl-C, and the same command goes on. The
    runs themselves are ordinary ones, in the runs folder; one that is finished there with the same settings is taken,
    whoever began it. A table is not overwritten by one with fewer seeds or values, or of other settings.
    """
    from engine.analysis.cells import Places, label
    from engine.config.typed import parse_override

    numbers = several_seeds(seeds)
    split = [tuple(part.strip() for part in text.partition("=")[::2]) for text in changes or ()]
    for text in changes or ():
        parse_override(text)
    if any(key == "seed" for key, _ in split):
        raise UsageError("--set seed: give the seeds with --seeds")
    require_torch()
    from engine.analysis.plan import Plan
    from engine.runs.control import Control, StopRequested
    from mim4dd_tui.plain import PlainObserver

    folder = expanded(output or Path(OUTPUT) / label(target))
    control = Control()
    plan = Plan(
        target=target,
        seeds=numbers,
        places=Places(folder / "cells", runs_dir_of(runs_dir), data_dir_of(data_dir)),
        changes=[(key, value) for key, value in split],
        observer=PlainObserver(),
        control=control,
        tell=tell,
        finished=finished,
    )
    chosen = None if values is None else [text.strip() for text in values.split(",")]
    supervisor = Supervisor(control)

    def work() -> dict[str, Any] | None:
        from engine.analysis.ask import analyse as ask

        require_no_loss(folder / f"{analysis}.json", plan, chosen)
        try:
            return ask(analysis, plan, chosen)
        except StopRequested:
            return None

    document = supervisor.run(work)
    if document is None:
        tell("stopped; what is finished is kept, and the same command goes on")
        if as_json:
            write_json({"analysis": analysis, "state": "stopped"})
        return supervisor.exit_code
    paths = write(document, folder)
    complete = {**document, "state": "done", "files": paths}
    if not as_json:
        print_document(document)
        say("\n".join(str(path) for path in paths))
    if missing := document["missing"]:  # what is finished is written, and the exit code says that it is not all
        raise PartlyFailedError(RunFailed(_failures(document["analysis"], missing)), complete)
    if as_json:
        write_json(complete)
    return 0


def _failures(analysis: str, missing: list[dict[str, str]]) -> str:
    first = ", the first" if len(missing) > 1 else ""
    return f"{counted(len(missing), 'run')} of {analysis} failed{first}: {missing[0]['reason']}"


def require_no_loss(written: Path, plan: Plan, values: list[str] | None) -> None:
    """Refuse to overwrite an analysis by one that holds less, or is of other settings.

    Args:
        written: its document, where there is one.
        plan: what is asked for now.
        values: of a sweep.

    Raises:
        UsageError: something would be lost.
        ConfigError: the values are wrong.
    """
    from engine.analysis.earlier import lost
    from engine.files import read_json_object

    before = read_json_object(written)
    if before is None:
        return
    with suppress(KeyError, TypeError, AttributeError):  # no document of an analysis
        if more := lost(before, plan, values):
            raise UsageError(
                f"{written.with_suffix('.md')} is there already, and has {more}: ask for what it has too, or for "
                "another folder (--output); finished runs are taken into either"
            )


def print_document(document: dict[str, Any]) -> None:
    """The table with what has to be known to read it: as Markdown, or on a terminal as wide as that is."""
    from engine.analysis.tables import markdown

    text = markdown(document)
    if columns(sys.stdout) is None:
        say(text + "\n")
        return
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            blocks(rows[0], rows[2:])
            rows = []
        say_in_words(line)


def write(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write an analysis as Markdown, JSON and PNG, named after it; returns the three paths.

    Raises:
        RunFailed: the disk refuses.
    """
    from engine.analysis.tables import markdown
    from engine.files import as_any_new_file, private_folder, write_bytes
    from engine.files import write_json as keep
    from mim4dd_tui.plots.analyses import draw

    private_folder(folder)
    table, data, figure = (folder / f"{document['analysis']}.{ending}" for ending in ("md", "json", "png"))
    write_bytes(table, (markdown(document) + "\n").encode())
    keep(data, document)
    write_bytes(figure, draw(document, folder / "cells"))
    as_any_new_file(folder)
    return [table, data, figure]
