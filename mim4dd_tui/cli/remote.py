"""``attach``, ``stop``, ``pause`` and ``request``: a run that another process works on, through its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.runs.called import called, option
from mim4dd_tui.cli.failures import NotRunningError, RefusedError, UnansweredError, UsageError
from mim4dd_tui.cli.options import (
    Headless,
    Json,
    Latest,
    Pixels,
    RunName,
    RunsDir,
    chosen_run,
    complete_run,
    graphics_of,
    locate,
    runs_dir_of,
)
from mim4dd_tui.cli.output import reporting, say_in_words, write_json
from mim4dd_tui.cli.sequence import Later
from mim4dd_tui.cli.waiting import in_queue
from mim4dd_tui.plain import ago, percent, tell
from mim4dd_tui.seeds import named

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder
    from engine.runs.status import Status

LIVE = ("running", "paused")
LOOK_SECONDS = 0.1
REQUESTS = ("checkpoint", "evaluate")

Wait = Annotated[bool, typer.Option("--wait", help="Return when it is done, not when it is asked for.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="With --wait: give up after so long, with exit code 1."),
]


def complete_request(incomplete: str) -> list[str]:
    """What a run can be asked for that begins so, for the shell."""
    return [what for what in REQUESTS if what.startswith(incomplete)]


def complete_run_or_request(incomplete: str) -> list[str]:
    """Names of runs, and what the latest one can be asked for."""
    return [*complete_run(incomplete), *complete_request(incomplete)]


def attach(
    name: RunName = None,
    latest: Latest = False,
    headless: Headless = False,
    graphics: Pixels = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Watch and steer a run that another process works on, or look at one that is over.

    Without a name it is the run that is going on, or else the last one, which is said. On a terminal the dashboard
    opens; elsewhere, and with --headless or --json, its progress is printed until it ends. Ctrl-C leaves the run alone.
    """
    from mim4dd_tui.terminal import abilities

    place = runs_dir_of(runs_dir)
    if name is None and not latest:
        folder, which = _going_on(place) or _newest(place)
    else:
        folder, which = locate(place, chosen_run(name, latest, "attach", place)), ""
    shown = not (headless or as_json) and abilities().dashboard
    pixels = graphics_of(graphics, shown=shown)
    if shown:
        from mim4dd_tui.dashboard import run_dashboard

        return run_dashboard(runs_dir=folder.path.parent, attach=folder.path, notice=which, graphics=pixels)
    if which:
        tell(which)
    return _follow(folder, as_json)


def stop(
    name: RunName = None,
    latest: Latest = False,
    wait: Wait = False,
    timeout: Timeout = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Stop a run, while it distils with a checkpoint; `mim4dd resume` continues it.

    Of several --seeds it ends them all, and says which do not follow and what begins them.
    """
    from engine.runs.lock import free

    folder = _live(name, latest, "stop", runs_dir)

    def given_back() -> bool:
        now = folder.status()
        return now is not None and now.liveness() == "ended" and free(folder.path)

    return _have(folder, "stop", given_back, wait, timeout, as_json)


def pause(
    name: RunName = None,
    latest: Latest = False,
    wait: Wait = False,
    timeout: Timeout = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Hold a run where it is, in its process and its memory; `mim4dd resume` lets it go on."""
    folder = _live(name, latest, "pause", runs_dir)
    return _have(folder, "pause", lambda: _state(folder) == "paused", wait, timeout, as_json)


def request(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="A run's name, or its folder's path.", autocompletion=complete_run_or_request
        ),
    ] = None,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="checkpoint|evaluate", help="What it is to do between iterations.", autocompletion=complete_request
        ),
    ] = None,
    latest: Latest = False,
    wait: Wait = False,
    timeout: Timeout = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> int:
    """Have a run write a checkpoint, or evaluate its synthetic set, now.

    The run is named first; with --latest, which takes its place, only what it is to do.
    """
    from engine.events import CheckpointWritten, Evaluation, Notice
    from engine.runs.journal import JournalReader

    name, what = _requested(name, what, latest)
    folder = _live(name, latest, "request", runs_dir)
    reader = JournalReader(folder.journal_path)
    reader.poll()

    found: dict[str, Any] = {}

    def answered() -> bool:
        for event in [record.event for record in reader.poll()]:
            if what == "checkpoint" and isinstance(event, CheckpointWritten):
                found.update(iteration=event.iteration)
            elif what == "evaluate" and isinstance(event, Evaluation) and event.subject == "request":
                score = {"accuracy": event.mean, "accuracy_std": event.std, "protocol": event.protocol}
                found.update(score, measured_on=event.measured_on, iteration=event.iteration)
            elif isinstance(event, Notice) and event.refused == what:
                raise RefusedError(f"run {folder.name}: {event.message}")
        return bool(found)

    return _have(folder, what, answered, wait, timeout, as_json, found)


def lift_pause(folder: RunFolder, as_json: bool) -> int:
    """Let a paused run of another process go on, and wait until it does."""
    return _have(folder, "resume", lambda: _state(folder) == "running", True, None, as_json)


def _going_on(runs_dir: Path) -> tuple[RunFolder, str] | None:
    """The run a process works on; of several the one heard of last, and that it is one of them."""
    from engine.runs.finding import list_runs

    alive = []
    for folder in list_runs(runs_dir):
        status = folder.status()
        if status is not None and status.liveness() == "alive":
            alive.append((status.heartbeat, folder.name, folder))
    if not alive:
        return None
    chosen = max(alive)[2]
    if len(alive) == 1:
        return chosen, ""
    return chosen, f"{len(alive)} runs are going on; this is {chosen.name}, `mim4dd runs{option(runs_dir)}` lists them"


def _newest(runs_dir: Path) -> tuple[RunFolder, str]:
    """The run that was active last, and that it no longer is."""
    folder = locate(runs_dir, "--latest")
    status = folder.status()
    left = "its status cannot be read" if status is None else _left(status)
    return folder, f"no run is going on; this is the last one, {folder.name}: {left}"


def _left(status: Status) -> str:
    """The state that a run was left in, and how long ago."""
    return f"{status.effective_state()} {ago(time.time() - status.heartbeat)}"


def _follow(folder: RunFolder, as_json: bool) -> int:
    from engine.runs.result import document
    from mim4dd_tui.cli.following import follow
    from mim4dd_tui.cli.summary import print_result
    from mim4dd_tui.plain import PlainObserver

    try:
        state = follow(folder, PlainObserver())
    except KeyboardInterrupt:
        tell(f"{folder.name} goes on")
        raise
    if state == "queued":
        raise NotRunningError(_never_begun(folder))
    if state in LIVE:
        raise NotRunningError(f"the status of run {folder.name} cannot be read; `mim4dd show {called(folder.path)}`")
    status = folder.status()
    if status is None or status.liveness() == "crashed":
        raise NotRunningError(_gone(folder))
    result = document(folder.path)
    if as_json:
        write_json(result)
    else:
        print_result(result, queued=in_queue(folder))
    return 1 if state == "failed" else 0


def _requested(first: str | None, second: str | None, latest: bool) -> tuple[str | None, str]:
    """The run's name and what it is to do: of one word alone, that is the latter.

    Raises:
        UsageError: it is not said what, or that is nothing a run can be asked for.
    """
    alone = second is None and (latest or first in REQUESTS)
    name, what = (None, first) if alone else (first, second)
    if what not in REQUESTS:
        wrong = "say what the run is to do" if what is None else f"{what!r} is nothing a run can be asked for"
        raise UsageError(
            f"{wrong}; write `mim4dd request RUN checkpoint` (or evaluate), or `mim4dd request checkpoint --latest`"
        )
    return name, what


def _live(name: str | None, latest: bool, command: str, runs_dir: Path | None) -> RunFolder:
    """The run that a command names; for ``--latest`` the last one begun of those that go on."""
    place = runs_dir_of(runs_dir)
    return locate(place, chosen_run(name, latest, command, place), states=LIVE)


def _state(folder: RunFolder) -> str | None:
    status = folder.status()
    return None if status is None else status.state


def _have(
    folder: RunFolder,
    what: str,
    answered: Callable[[], bool],
    wait: bool,
    timeout: float | None,
    as_json: bool,
    found: Mapping[str, Any] | None = None,
) -> int:
    """Ask a run for something, wait for its answer where that is wanted, and say what came of it, with what is
    ``found`` then.

    Raises:
        UsageError: there is a timeout without a wait.
        NotRunningError: no process works on the run, or it died meanwhile.
        UnansweredError: the time is over, or the run ended without an answer.
        RefusedError: the run could not do it.
    """
    if timeout is not None and not wait:
        raise UsageError("--timeout says how long to wait: add --wait")
    already = what == "pause" and answered()
    status = _ask(folder, what)
    if wait:
        status = _awaited(folder, what, answered, timeout)
    _conclude(folder, what, status, wait or already, as_json, found or {})
    return 0


def _ask(folder: RunFolder, what: str) -> Status:
    """Leave a request in a run's folder; its status at that moment.

    Raises:
        NotRunningError: no process works on the run, so that nobody would hear it.
    """
    from engine.runs.control import post
    from engine.runs.lock import free

    status = folder.status()
    if status is not None and status.liveness() != "alive" and not free(folder.path):
        raise NotRunningError(_between(folder, status))
    if status is None or status.liveness() == "crashed":
        raise NotRunningError(_gone(folder))
    if status.liveness() == "queued":
        raise NotRunningError(_never_begun(folder))
    if status.liveness() == "ended":
        raise NotRunningError(_over(folder, status, what))
    if status.state == "paused" and what in REQUESTS:
        tell(f"{folder.name} is paused and answers once it goes on (`mim4dd resume {called(folder.path)}`)")
    post(folder.control_path, what)
    return status


def _between(folder: RunFolder, status: Status) -> str:
    from engine.runs.lock import holder

    claim, state = holder(folder.path), status.effective_state()
    who = claim.describe() if claim is not None else "another process"
    return f"run {folder.name} is {state}, and {who} holds it: it begins or goes on soon, or has just ended; try again"


def _over(folder: RunFolder, status: Status, what: str) -> str:
    run = called(folder.path)
    queued = in_queue(folder)
    ways = [f"it {queued}"] if queued else [] if status.state == "done" else [f"`mim4dd resume {run}` continues it"]
    if what == "evaluate" and folder.distilled_path("best").is_file():
        ways.append(f"`mim4dd evaluate {run}` measures its distilled set")
    nothing = "" if what == "evaluate" else f", so there is nothing to {what}"
    return f"run {folder.name} is over ({status.state}){nothing}" + "".join(f"; {way}" for way in ways)


def _never_begun(folder: RunFolder) -> str:
    if queued := in_queue(folder):
        return f"run {folder.name} {queued}"
    return f"run {folder.name} was never begun: `mim4dd resume {called(folder.path)}` begins it"


def _gone(folder: RunFolder) -> str:
    status, run = folder.status(), called(folder.path)
    if status is None:
        return f"the status file of run {folder.name} is missing or damaged; `mim4dd resume {run}` repairs it"
    where = f"process {status.pid} on {status.host}"
    queued = in_queue(folder)
    way = f"it {queued}" if queued else f"`mim4dd resume {run}` continues it from its last checkpoint"
    return f"no process works on run {folder.name} any more ({where} is gone): {way}"


def _awaited(folder: RunFolder, what: str, answered: Callable[[], bool], timeout: float | None) -> Status:
    """The run's status once ``answered``.

    Raises:
        UnansweredError: the time is over, or the run ended without an answer.
        NotRunningError: its process died meanwhile.
    """
    begun = time.monotonic()
    while True:
        status = folder.status()
        liveness = status.liveness() if status is not None else "alive"  # being replaced on a slow file system
        done = answered()  # after the status: a run that answers and ends at once has answered
        if done:
            found = folder.status() or status
            if found is not None:
                return found
        elif liveness == "crashed":
            raise NotRunningError(_gone(folder))
        elif liveness == "ended" and what != "stop":
            raise UnansweredError(
                f"run {folder.name} ended before it could {what}; `mim4dd show {called(folder.path)}`"
            )
        if timeout is not None and time.monotonic() - begun > timeout:
            who = f"process {status.pid} on {status.host}" if status is not None else "its process"
            raise UnansweredError(
                f"run {folder.name} has not answered within {timeout:g} s; {who} holds it, and hears the request "
                "as soon as it can"
            )
        time.sleep(LOOK_SECONDS)


ASKED = {
    "stop": "is asked to stop",
    "pause": "is asked to pause; `mim4dd resume {called}` lets it go on",
    "checkpoint": "is asked for a checkpoint",
    "evaluate": "is asked for an evaluation",
}
DONE = {
    "stop": "has ended ({state}) at iteration {iteration}",
    "pause": "is paused at iteration {iteration}; `mim4dd resume {called}` lets it go on",
    "resume": "goes on in process {pid} on {host}; `mim4dd attach {called}` shows it",
    "checkpoint": "has written a checkpoint at iteration {iteration}",
    "evaluate": "was evaluated at iteration {iteration}: {score} ({protocol}, on {measured_on} images)",
}


def _conclude(
    folder: RunFolder, what: str, status: Status, answered: bool, as_json: bool, found: Mapping[str, Any]
) -> None:
    rest = Later.read(folder.path, status) if what == "stop" else None
    document = {
        "run": folder.name,
        "path": folder.path,
        "request": what,
        "answered": answered,
        "state": status.effective_state(),
        "iteration": status.iteration,
        "host": status.host,
        "pid": status.pid,
        **found,
        **({} if rest is None else {"later": rest.document}),
    }
    with reporting():
        if as_json:
            write_json(document)
            return
        score = percent(found["accuracy"], found["accuracy_std"]) if "accuracy" in found else ""
        text = (DONE if answered else ASKED)[what].format(**document, called=called(folder.path), score=score)
        say_in_words(f"{folder.name} {text}")
        if rest is not None:
            done = answered and status.state == "done"  # before it was asked: the process goes on with the next
            say_in_words(f"{named(rest.seeds)} to follow" if done else rest.left)
