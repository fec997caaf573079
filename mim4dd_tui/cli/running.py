"""``run`` and ``resume``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import MimError
from engine.runs.called import called, usual_runs_dir
from engine.runs.unforeseen import traceback_of
from mim4dd_tui.cli.detach import in_detached_process
from mim4dd_tui.cli.failures import PartlyFailedError, UnforeseenError, UsageError, require_torch
from mim4dd_tui.cli.headless import Supervisor
from mim4dd_tui.cli.options import (
    Changes,
    DataDir,
    Detach,
    Device,
    Headless,
    Json,
    Latest,
    Pixels,
    PresetOrFile,
    RunName,
    RunsDir,
    chosen_run,
    data_dir_of,
    graphics_of,
    locate,
    runs_dir_of,
    several_seeds,
)
from mim4dd_tui.cli.output import reporting, write_json
from mim4dd_tui.cli.over_seeds import over_seeds, print_seeds
from mim4dd_tui.cli.sequence import Later, later
from mim4dd_tui.cli.summary import print_result
from mim4dd_tui.cli.waiting import in_queue
from mim4dd_tui.plain import tell
from mim4dd_tui.signals import AbandonedError

if TYPE_CHECKING:
    from engine.config.load import Resolved
    from engine.config.schema import Config
    from engine.events import Event
    from engine.runs.control import Control
    from engine.runs.folder import RunFolder

Document = dict[str, Any]

NOT_RESUMED = (
    "not resumed: as it is, it would fail again; D takes its settings into a new run "
    "(where its objective's code was mended, `mim4dd resume RUN --headless` goes on)"
)
"""Of a run that diverged, where the dashboard opens."""
NOTHING = "there is nothing to resume"
RESUMABLE = ("queued", "paused", "stopped", "failed")
"""States from which ``resume --latest`` takes up a run; one whose process is gone counts as failed."""


@dataclass(frozen=True)
class Places:
    """Where runs are made and data sets found."""

    runs_dir: Path
    data_dir: Path

    @property
    def options(self) -> dict[str, Path | None]:
        """Options that name them to a command; None for one that it would find by itself."""
        runs, data = self.runs_dir.absolute(), self.data_dir.absolute()
        return {
            "--runs-dir": None if runs == usual_runs_dir().absolute() else runs,
            "--data-dir": None if data == data_dir_of(None).absolute() else data,
        }


def run(
    target: PresetOrFile,
    changes: Changes = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of the run.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="RANGE",
            help="Several runs, one after another (0-4 or 0,2,5); implies --headless.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the run's folder. Default: preset, seed and time."),
    ] = None,
    runs_dir: RunsDir = None,
    data_dir: DataDir = None,
    device: Device = None,
    graphics: Pixels = None,
    headless: Headless = False,
    detach: Detach = False,
    as_json: Json = False,
) -> int:
    """Distill a data set as a preset or file says.

    On a terminal the dashboard opens on the run; elsewhere, and with --headless or --json, progress goes to
    standard error as plain lines. Ctrl-C stops, to be resumed; a second one ends at once. When the terminal
    goes away the run goes on, unless execution.on_hangup is "stop"; mim4dd attach finds it again.
    """
    from engine.config.load import resolve
    from engine.errors import ConfigError
    from engine.runs.naming import require_free

    if seed is not None and seeds is not None:
        raise UsageError("--seed and --seeds exclude each other: use one of them")
    overrides = [*(changes or ()), *([f"execution.device={device}"] if device is not None else [])]
    several = several_seeds(seeds) if seeds is not None else None
    try:
        resolved = [resolve(target, overrides, seed=each) for each in (several if several is not None else [seed])]
    except ConfigError as error:  # what was typed is named, not what it stands for
        raise ConfigError(str(error).replace("--set: execution.device:", "--device:", 1)) from None
    places = Places(runs_dir_of(runs_dir), data_dir_of(data_dir))
    names = [] if name is None else [name] if several is None else [_of_seed(name, each) for each in several]
    possible = not (headless or as_json or detach) and _dashboard_possible()
    shown = possible and not several
    pixels = graphics_of(graphics, shown=shown)
    if possible and several:
        tell("--seeds runs in plain lines; for the dashboard's queue: `mim4dd`, then w")
    for each in names:
        require_free(places.runs_dir, each)
    if detach:
        chosen = {"--seeds": seeds, "--seed": seed if seeds is None else None, "--name": name, "--set": overrides}
        return _detached(["run", target], chosen, places, as_json)
    if shown:
        from mim4dd_tui.dashboard import run_dashboard

        if seed is not None:
            overrides.append(f"seed={seed}")
        return run_dashboard(
            runs_dir=places.runs_dir,
            data_dir=places.data_dir,
            preset=target,
            autostart=True,
            overrides=overrides,
            name=name,
            graphics=pixels,
        )
    if several is None:
        document, code, _ = _headless(_starting(resolved[0], name, places), places.runs_dir, resolved[0].config)
        _report(document, as_json)
        return code
    given = {"--name": name, "--set": overrides, "--detach": in_detached_process()}
    rest = [later(several[at + 1 :], ["run", _lasting(target)], given | places.options) for at in range(len(several))]
    return _one_after_another(resolved, several, rest, name, places, as_json)


def resume(
    name: RunName = None,
    latest: Latest = False,
    iterations: Annotated[
        int | None,
        typer.Option(
            "--iterations",
            metavar="N",
            min=1,
            help="Lengthen it to N iterations, also where it is done. As it is where it has N already.",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    data_dir: DataDir = None,
    graphics: Pixels = None,
    headless: Headless = False,
    detach: Detach = False,
    as_json: Json = False,
) -> int:
    """Continue a run from its last checkpoint, to exactly what it would have given without the pause.

    With --iterations one that is done goes on too, to what a run begun with so many would have given. A run that
    another process holds paused goes on there, and this command returns.
    """
    place = runs_dir_of(runs_dir)
    states = RESUMABLE if iterations is None else (*RESUMABLE, "done")
    folder = locate(place, chosen_run(name, latest, "resume", place), states=states)
    if iterations is not None:
        _lengthen(folder, iterations)
    if _paused_elsewhere(folder):
        from mim4dd_tui.cli.remote import lift_pause

        return lift_pause(folder, as_json)
    path, data = folder.path, data_dir_of(data_dir)
    shown = not (headless or as_json or detach) and _dashboard_possible()
    pixels = graphics_of(graphics, shown=shown)
    status = folder.status()
    done, diverged = status is not None and status.state == "done", status is not None and status.diverged
    if detach and not done:
        return _detached(["resume", str(path)], {}, Places(path.parent, data), as_json)
    if shown:
        from mim4dd_tui.dashboard import run_dashboard

        return run_dashboard(
            runs_dir=path.parent,
            data_dir=data,
            attach=path,
            autostart=not (done or diverged),
            notice=_over(folder, "I lengthens it") if done else NOT_RESUMED if diverged else "",
            graphics=pixels,
        )

    def work(observer: Callable[[Event], None], control: Control) -> Document:
        require_torch()
        from engine.run import resume as resume_run

        return resume_run(path, data_dir=data, observer=observer, control=control)

    if done:
        tell(_over(folder, "a larger --iterations lengthens it"))
    elif diverged:
        tell(f"{folder.name} diverged: as it is, it would fail again, unless the code of its objective was mended")
    document, code, _ = _headless(work, path.parent, folder.config())
    _report(document, as_json)
    return code


def _over(folder: RunFolder, way: str) -> str:
    """That a run is done, and how it goes on: by itself where it waits to be lengthened."""
    if queued := in_queue(folder):
        return f"{folder.name} is done: it {queued}"
    return f"{folder.name} is done: {NOTHING} ({way})"


def _lengthen(folder: RunFolder, iterations: int) -> None:
    """Give a run so many iterations, unless it has them: a job that begins anew says the same again."""
    from engine.runs.lengthening import lengthen

    before = folder.config().objective.iterations
    if iterations != before:
        lengthen(folder, iterations)
        tell(f"{folder.name} is lengthened from {before:,} to {iterations:,} iterations")


def _paused_elsewhere(folder: RunFolder) -> bool:
    """Whether another process holds the run paused.

    Raises:
        RunLocked: another process of this machine is at work on it.
    """
    from engine.errors import RunLocked
    from engine.runs.lock import refusal
    from engine.runs.status import host_name

    status = folder.status()
    if status is None or status.liveness() != "alive":
        return False
    if status.state == "paused":
        return True
    if status.host == host_name():  # of another machine the lock itself decides, which knows how old the claim is
        raise RunLocked(refusal(folder.path))
    return False


def _detached(command: list[str], options: dict[str, Any], places: Places, as_json: bool) -> int:
    """The same command in a process without a terminal; ``options`` that are None or empty are left out."""
    from mim4dd_tui.cli.detach import detach

    options = options | {"--runs-dir": places.runs_dir.absolute(), "--data-dir": places.data_dir.absolute()}
    for option, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            command += [] if each is None else [option, str(each)]
    return detach([*command, "--json" if as_json else "--headless"], as_json)


def _of_seed(name: str, seed: int) -> str:
    """A run's name among several of ``--seeds``."""
    return f"{name}-seed{seed}"


def _lasting(target: str) -> str:
    """A preset's name, or a file as it is found from every folder."""
    return str(Path(target).absolute()) if Path(target).is_file() else target


def _dashboard_possible() -> bool:
    from mim4dd_tui.terminal import abilities

    return abilities().dashboard


def _starting(
    resolved: Resolved, name: str | None, places: Places
) -> Callable[[Callable[[Event], None], Control], Document]:
    def work(observer: Callable[[Event], None], control: Control) -> Document:
        require_torch()
        from engine.run import start

        return start(
            resolved.config,
            runs_dir=places.runs_dir,
            data_dir=places.data_dir,
            name=name,
            preset=resolved.preset,
            origins=resolved.origins,
            observer=observer,
            control=control,
        )

    return work


def _headless(
    work: Callable[[Callable[[Event], None], Control], Document],
    runs_dir: Path,
    config: Config,
    rest: Later | None = None,
) -> tuple[Document, int, int]:
    """Run the engine with plain progress lines; the result, the exit code it means, and that of a signal which
    asked for a stop, also where the run was done before it could (0: there was none).

    Args:
        rest: what this process begins after the run.
    """
    from engine.events import RunStarted
    from engine.runs.control import Control
    from mim4dd_tui.cli.detach import observing
    from mim4dd_tui.plain import PlainObserver

    control, begun = Control(), list[Path]()
    supervisor = Supervisor(control, stop_on_hangup=config.execution.on_hangup == "stop")
    observer = observing(PlainObserver(reasons=False), runs_dir, rest)

    def hear(event: Event) -> None:
        if isinstance(event, RunStarted):
            begun.append(runs_dir / event.run)
            if rest is not None:
                rest.keep(begun[-1])
        observer(event)

    try:
        document = supervisor.run(lambda: work(hear, control))
    except AbandonedError as error:
        control.abandon(f"{error} (Ctrl-C)")
        again = [f"; `mim4dd resume {called(path)}` goes on from the last one" for path in begun]
        raise AbandonedError("".join([str(error), *again, f"; {rest.left}" if rest is not None else ""])) from None
    except MimError:
        raise
    except (Exception, SystemExit) as error:
        report = traceback_of(begun[-1]) if begun else None
        if report is None:
            raise
        raise UnforeseenError(error, report) from error
    return document, supervisor.exit_code if document.get("state") == "stopped" else 0, supervisor.exit_code


def _report(document: Document, as_json: bool) -> None:
    with reporting():
        if as_json:
            write_json(document)
        else:
            print_result(document)


def _one_after_another(
    resolved: Sequence[Resolved],
    seeds: Sequence[int],
    rests: Sequence[Later | None],
    name: str | None,
    places: Places,
    as_json: bool,
) -> int:
    """One run a seed; what is finished is reported also where a later one fails or is stopped.

    Args:
        rests: what is to follow each.
    """
    documents: list[Document] = []
    code = 0
    for each, seed, rest in zip(resolved, seeds, rests, strict=True):
        own_name = None if name is None else _of_seed(name, seed)
        try:
            document, code, asked = _headless(_starting(each, own_name, places), places.runs_dir, each.config, rest)
        except AbandonedError:
            raise
        except MimError as error:
            if rest is not None:
                tell(rest.left)
            raise PartlyFailedError(error, over_seeds(documents)) from error
        documents.append(document)
        if document.get("state") == "stopped":
            run = called(Path(document["path"]))
            left = f"; {rest.left}" if rest is not None else ""
            tell(f"stopped at seed {seed}: `mim4dd resume {run}` continues it{left}")
            break
        if asked and rest is not None:
            tell(f"seed {seed} was done before it could be stopped; {rest.left}")
            code = asked
            break
    with reporting():
        if as_json:
            write_json(over_seeds(documents))
        else:
            for document in documents:
                print_result(document)
            print_seeds(over_seeds(documents))
    return code
