"""Every screen as text, always the same: what the tests compare with files and what makes the files.

    python -m tests.dashboard.pictured

writes ``tests/dashboard/screens/*.txt`` anew; look at the difference before keeping it.
"""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from textual.pilot import Pilot

from engine.config.load import list_presets
from engine.events import CheckpointWritten, Evaluation, ExpertEpoch, Iteration, Phase, RunEnded, RunStarted
from engine.events import Snapshot as Picture
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import text, until, words
from tests.dashboard.shelves import make_run

FOLDER = Path(__file__).parent / "screens"
POOR = Abilities("xterm-256color", Colours.PALETTE, True, True, True, False, "")
"""No colours, so that pictures are characters; but braille, so that curves are what they are."""
DAY = 86_400.0

Step = Callable[[Pilot[Leave]], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """A screen: the keys that lead there, and words that stand on it when it is complete.

    Attributes:
        attach: the run it is opened on, instead of the first screen.
        bare: there are no runs.
        long: not looked at in the quick suite.
    """

    name: str
    keys: tuple[str, ...]
    complete: str
    attach: str = ""
    bare: bool = False
    long: bool = False


NORM = ("e", "slash", *"network.norm", "enter", "right")
"""Keys that change a setting."""


SCENES = (
    Scene("home", (), "one-image"),
    Scene("empty", (), "none yet", bare=True),
    Scene("search", ("slash", *"mnist"), "1 of 2"),
    Scene("settings", (*NORM, "enter"), "changed"),
    Scene(
        "wrong", ("e", "slash", *"student_steps", "enter", "enter", "backspace", "backspace", *"-3"), "is not allowed"
    ),
    Scene("save", (*NORM, "S", *"mine"), "by 1 setting"),
    Scene("save-taken", (*NORM, "S", *"digits-ipc1"), "is a preset that comes", long=True),
    Scene("home-run", ("r",), "enter opens it"),
    Scene("seeds", ("w",), "one run for each seed"),
    Scene("help", ("question_mark",), "Presets and runs"),
    Scene("help-run", ("question_mark",), "Write a checkpoint now", attach="zebra", long=True),
    Scene("palette", ("colon", *"queue"), "wait for their turn"),
    Scene("quit", ("s", "q"), "Let it run on"),
    Scene("runs", ("b",), "elephant"),
    Scene("no-runs", ("b",), "no runs yet", bare=True, long=True),
    Scene("compare", ("b", "space", "space", "c"), "A 80.0"),
    Scene("four", ("b", "space", "space", "c", "M"), "contrastive loss"),
    Scene("delete", ("b", "X"), "Delete it for good"),
    Scene("longer", ("b", "I"), "iterations in all", long=True),
    Scene("queue", ("Q",), "2 waiting"),
    Scene("no-queue", ("Q",), "nothing waits", bare=True, long=True),
    Scene("offer", (), "Go on with the queue", long=True),
    Scene("take-out", ("Q", "X"), "Take it out", long=True),
    Scene("run", ("1",), "images  iteration 50", attach="zebra"),
    Scene("failed", ("1",), "log: journal.jsonl", attach="lion"),
    Scene("curves", ("2",), "iterations a minute", attach="zebra"),
    Scene("alone", ("1", "z"), "20     25", attach="zebra", long=True),
    Scene("pictures", ("3", "o"), "left: ", attach="zebra"),
    Scene("enlarged", ("3", "right", "right", "enter"), "class 2", attach="zebra", long=True),
    Scene("log", ("4",), "expert 1 of 1 trained", attach="zebra"),
    Scene("filter", ("4", "slash", "ctrl+r", *"expert [12"), "unterminated", attach="zebra"),
    Scene("earlier", ("1", "comma", "comma"), "at 30", attach="zebra"),
)
QUEUED = ("queue", "offer", "take-out")
"""Scenes with two runs that wait."""
PLACE = "pictured"
"""What the folder is called after ``mim4dd-``, instead of the letters that chance gave it: as many."""


def furnish(runs: Path) -> RunFolder:
    """Runs that look the same whenever they are made: ages in days, times from a clock of their own."""
    make_run(runs, "elephant", accuracy=0.8, age=3 * DAY, objective__student_steps=7)
    make_run(runs, "tapir", state="stopped", accuracy=0.6, age=5 * DAY, seed=1)
    shown = make_run(runs, "zebra", accuracy=0.9, age=9 * DAY, journal=False)
    ticks = iter(range(1_000_000))
    (shown.path / "snapshots").mkdir(exist_ok=True)
    with JournalWriter(shown.journal_path, clock=lambda: 1_000_000.0 + next(ticks)) as journal:
        journal.append(RunStarted("zebra", "digits-ipc1", 0, 10, 50, "here", 1, "0", {"device": "cpu", "threads": 2}))
        journal.append(ExpertEpoch(0, 1, 2, 2, 0.1, 0.99, 0.97, 1.0))
        for subject, mean in (("full_set", 0.97), ("random_selection", 0.55)):
            journal.append(Evaluation(0, subject, "quick-100", mean, 0.01, [mean, mean], "none", "test", 1.0))
        journal.append(Phase("distill", 50))
        for i in range(51):
            if i:
                along, wave = i / 50, math.sin(i)
                bound, bounds = (2 * along, [1.5 * along, 2 * along]) if i % 5 == 0 else (None, None)
                objective, nce = math.exp(-2 * along) + 0.05 * wave, 4 - along + 0.1 * wave
                ceiling, ratio, step = math.log(10) if bound else None, 0.8 + 0.1 * wave, 0.05 - 0.01 * along
                event = Iteration(i, objective, nce, bound, ceiling, bounds, 0.1, ratio, step, 0.1, 600.0)
                journal.append(event)
            if i % 10 == 0:
                path = shown.snapshot_path(i)
                np.save(path, digits(min(1.0, 0.1 + i / 50)))
                journal.append(Picture(i, shown.relative(path), 10, 1, "clipped to 0..1"))
                mean = 0.5 + 0.4 * i / 50
                journal.append(Evaluation(i, "live", "quick-100", mean, 0.02, [mean], "test", "test", 1.0, True))
        journal.append(CheckpointWritten(50, "checkpoints/x.safetensors", 0.01))
        journal.append(RunEnded("done", "", {}))
    return shown


async def capture(scene: Scene, size: tuple[int, int]) -> str:
    """The characters of a scene, each line without blanks at its end."""
    # on every machine a folder's name is as long, so that it is wrapped at the same place where it is shown
    with tempfile.TemporaryDirectory(prefix="mim4dd-", dir="/tmp") as place:
        root = Path(place)
        surroundings = {"XDG_STATE_HOME": str(root / "state"), "MIM4DD_CONFIG_DIR": str(root / "config")}
        with mock.patch.dict(os.environ, surroundings), _still():
            shown = await _captured(scene, size, root / "runs")
    return shown.replace(root.name, f"mim4dd-{PLACE}")


async def _captured(scene: Scene, size: tuple[int, int], runs: Path) -> str:
    if not scene.bare:
        furnish(runs)
    if scene.attach == "lion":
        why = "the loss is not a number at iteration 25: lower objective.pixel_rate"
        make_run(runs, "lion", state="failed", message=why)
    engine = FakeEngine(iterations=50, hold=True)
    attach = runs / scene.attach if scene.attach else None
    app = DashboardApp(runs_dir=runs, abilities=POOR, launch=engine, attach=attach, name="tiger")
    if scene.name in QUEUED:
        for name in ("first", "second"):
            folder = make_run(runs, name, state="queued")
            with app.turns.queue._changing() as kept:
                kept.names.append(folder.name)
        if scene.keys:
            app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await _ready(app, pilot, scene, size)
        for key in scene.keys:
            await pilot.press(key)
            await pilot.pause()
            if key == "b" and not scene.bare:
                await until(pilot, lambda: "elephant" in text(app))
            elif key == "s" and scene.name == "quit":
                await until(pilot, lambda: app.session is not None and "tiger" in text(app))
        await until(pilot, lambda: scene.complete in text(app) or scene.complete in words(app))
        await pilot.pause(0.3)
        shown = "\n".join(line.rstrip() for line in text(app).splitlines()) + "\n"
    if app.session is not None:
        app.session.request("stop")
        assert app.session.join(5)
    return shown


async def _ready(app: DashboardApp, pilot: Pilot[Leave], scene: Scene, size: tuple[int, int]) -> None:
    """Wait until what the keys are pressed on is there."""
    if scene.name == "offer":
        return
    ready = scene.attach or "digits-ipc1"
    await until(pilot, lambda: ready in text(app))
    if scene.attach:
        await until(pilot, lambda: "failed" in text(app) if scene.attach == "lion" else "50/50" in text(app))
    else:
        await until(pilot, lambda: scene.bare or "zebra" in text(app) or size[1] < 22)


@contextmanager
def _still() -> Iterator[None]:
    """What changes from machine to machine, or with every new preset, is held still."""
    known = [info for info in list_presets() if info.name in ("digits-ipc1", "mnist-ipc1")]
    with (
        mock.patch("mim4dd_tui.dashboard.widgets.presets.list_presets", return_value=known),
        mock.patch("mim4dd_tui.dashboard.widgets.summary.estimate", _Estimates()),
        mock.patch("mim4dd_tui.dashboard.widgets.summary.find", return_value=FOLDER),  # every data set is here
    ):
        yield


class _Estimates:
    """Stands where the estimates are made."""

    from mim4dd_tui.dashboard.measured import Measured, Measurements

    @staticmethod
    def estimate(_config: object, _measured: object) -> None:
        """Nothing is estimated."""

    @staticmethod
    def waiting() -> list[str]:
        """Not even before that."""
        return _Estimates.in_words(None)

    @staticmethod
    def room(_runs_dir: Path) -> dict[str, object]:
        """Nor looked up."""
        return {}

    @staticmethod
    def in_words(_found: None, **_room: object) -> list[str]:
        """Always the same."""
        return ["one-image run, about 1:30 here", "memory 612 MiB · disk 1.2 MiB"]

    @staticmethod
    def in_a_line(_found: None, **_room: object) -> str:
        """The same in brief."""
        return "about 1:30 · 612 MiB"


def path_of(scene: Scene, size: tuple[int, int]) -> Path:
    """File of a scene."""
    return FOLDER / f"{scene.name}-{size[0]}x{size[1]}.txt"


SMALL, LARGE = (60, 20), (160, 48)
SIZES = {name: [SMALL, LARGE] for name in ("home", "run", "runs", "four", "failed", "palette", "quit")} | {
    name: [SMALL]
    for name in ("search", "settings", "wrong", "save", "empty", "help", "delete", "queue", "curves", "pictures")
}
"""Sizes beside 80x24 that a scene is kept in."""


def main() -> None:
    """The command."""
    FOLDER.mkdir(exist_ok=True)
    for scene in SCENES:
        for size in [(80, 24), *SIZES.get(scene.name, [])]:
            path = path_of(scene, size)
            path.write_text(asyncio.run(capture(scene, size)))
            print(path.name)


if __name__ == "__main__":
    main()
