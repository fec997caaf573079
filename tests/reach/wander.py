"""Dashboards and commands in a random order over one runs folder; after every step it is looked whether all is well.

    python -m tests.reach.wander --seeds 20 --steps 60

A seed gives the order of what is done, and chance of the machine the moment at which it is done: a walk is not the
same twice. What was found is printed with the steps that led there and the screens as they stood.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.reach import invariants
from tests.reach.desk import Command, Desk, command
from tests.reach.places import Camp

SIZES = ((80, 24), (60, 20), (120, 36))
HEADLESS_KEYS = {"ctrl+z", "ctrl+q", "q"}
"""Keys that are pressed by an action of their own alone."""


class Ground(Camp):
    """A camp with a preset of its own."""

    @property
    def presets(self) -> Path:
        """Where it lies."""
        return self.path / "config" / "presets"

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        return super().env | {"MIM4DD_CONFIG_DIR": str(self.presets.parent)}


class Found(AssertionError):
    """Something that must hold does not."""


@dataclass
class Walk:
    """One walk: a camp, who is at work in it, and what was done."""

    camp: Ground
    draw: random.Random
    desks: list[Desk] = field(default_factory=list)
    all_desks: list[Desk] = field(default_factory=list)
    beside: dict[str, Command] = field(default_factory=dict)
    computed: invariants.Computed = field(default_factory=invariants.Computed)
    trail: list[str] = field(default_factory=list)
    commands: int = 0
    killed: bool = False
    begun: float = field(default_factory=time.monotonic)

    def note(self, what: str) -> None:
        """Keep what was done."""
        self.trail.append(f"{time.monotonic() - self.begun:6.1f} s  {what}")

    @property
    def desk(self) -> Desk:
        """One of the dashboards; opened where there is none."""
        self.desks = [desk for desk in self.desks if desk.running and desk.look() is not None]
        if not self.desks:
            open_dashboard(self)
        return self.draw.choice(self.desks)

    def any_run(self) -> str | None:
        """The name of some run."""
        runs = sorted(invariants.runs_of(self.camp))
        return self.draw.choice(runs) if runs else None

    def say(self, *arguments: str) -> None:
        """A command to its end."""
        self.commands += 1
        self.note(f"mim4dd {' '.join(arguments)}")
        ended = command(self.camp, f"{self.commands}", *arguments).ended()
        first = (ended.err.strip() or ended.out.strip()).splitlines()[:1]
        self.note(f"  -> {ended.code} {' '.join(first)}")
        self.require(invariants.said_well(" ".join(arguments), ended))

    def begin(self, *arguments: str) -> None:
        """A command that goes on beside."""
        self.commands += 1
        self.note(f"mim4dd {' '.join(arguments)} &")
        self.beside[f"{self.commands}: {' '.join(arguments)}"] = command(self.camp, f"{self.commands}", *arguments)

    def require(self, wrong: list[str]) -> None:
        """Fail where anything is wrong."""
        if wrong:
            raise Found("\n".join(wrong))


# ---- what is done


def open_dashboard(walk: Walk) -> None:
    """A dashboard; the first one offers what waits."""
    size = walk.draw.choice(SIZES)
    walk.note(f"open a dashboard of {size[0]}x{size[1]}")
    _open(walk, size)


def _open(walk: Walk, size: tuple[int, int], *arguments: str) -> None:
    desk = Desk(walk.camp, size, *arguments)
    walk.desks.append(desk)
    walk.all_desks.append(desk)


def second_dashboard(walk: Walk) -> None:
    """Beside the first."""
    if len([desk for desk in walk.desks if desk.running]) < 2:
        open_dashboard(walk)


def press(walk: Walk, *keys: str, desk: Desk | None = None) -> Desk:
    """Keys, at one of the dashboards."""
    desk = desk or walk.desk
    walk.note(f"desk {walk.desks.index(desk)}: {' '.join(keys)}")
    desk.press(*keys)
    return desk


def home(walk: Walk) -> Desk:
    """Escape until the first screen is there: it always comes."""
    desk = walk.desk
    for _ in range(12):
        seen = desk.look()
        if seen is None:
            return walk.desk
        if seen.screen == "HomeScreen":
            press(walk, "escape", desk=desk)
            return desk
        press(walk, "escape", desk=desk)
        time.sleep(0.1)
    raise Found("escape does not lead home")


def start(walk: Walk) -> None:
    """A new run from the first screen."""
    press(walk, "s", desk=home(walk))


def enqueue(walk: Walk) -> None:
    """Runs of one or two seeds into the queue."""
    desk = home(walk)
    press(walk, "w", desk=desk)
    seeds = walk.draw.choice(("0", "0-1", "3"))
    press(walk, "ctrl+u", *seeds, "enter", desk=desk)


def at_a_run(walk: Walk) -> Desk:
    """The list of all runs, somewhere in it."""
    desk = home(walk)
    press(walk, "b", *["down"] * walk.draw.randrange(4), desk=desk)
    return desk


def in_the_browser(walk: Walk) -> None:
    """One of its keys."""
    desk = at_a_run(walk)
    press(walk, walk.draw.choice(["R", "w", "R", "w", "enter", "space", "f", "s", "S", "D"]), desk=desk)


def lengthen(walk: Walk) -> None:
    """More iterations for some run."""
    desk = at_a_run(walk)
    press(walk, "I", desk=desk)
    seen = desk.look()
    if seen is not None and seen.screen == "NameScreen":
        press(walk, "ctrl+u", *walk.draw.choice(["160", "240", "300", "5", "x"]), "enter", desk=desk)
        seen = desk.look()
        if seen is not None and seen.screen == "NameScreen":
            press(walk, "escape", desk=desk)


def delete(walk: Walk) -> None:
    """Some run, asked and answered."""
    desk = at_a_run(walk)
    press(walk, "X", desk=desk)
    seen = desk.look()
    if seen is not None and seen.screen == "ConfirmScreen":
        press(walk, walk.draw.choice(["y", "y", "n"]), desk=desk)


def compare(walk: Walk) -> None:
    """The first runs of the list."""
    desk = home(walk)
    press(walk, "b", "u", "space", "space", "space", "c", desk=desk)
    press(walk, *walk.draw.choices(["m", "b", "M", "d", "right", "left", "tab"], k=3), desk=desk)


def in_the_queue(walk: Walk) -> None:
    """One of its keys."""
    desk = home(walk)
    press(
        walk,
        "Q",
        *["down"] * walk.draw.randrange(3),
        walk.draw.choice(["s", "s", "p", "K", "J", "X", "enter"]),
        desk=desk,
    )
    seen = desk.look()
    if seen is not None and seen.screen == "ConfirmScreen":
        press(walk, walk.draw.choice(["y", "n"]), desk=desk)


def at_the_live_run(walk: Walk) -> None:
    """To the run of this dashboard, and one of its keys."""
    desk = home(walk)
    press(walk, "l", walk.draw.choice(["space", "space", "x", "K", "e", "R", "I", "v", "z", "D"]), desk=desk)


def at_any_run(walk: Walk) -> None:
    """To some run, and some of its keys."""
    desk = at_a_run(walk)
    press(walk, "enter", *walk.draw.choices(["space", "x", "K", "e", "R", "v", "E", "c"], k=2), desk=desk)


def offered_key(walk: Walk) -> None:
    """A key that the bottom line offers does something, or says why not."""
    desk = walk.desk
    before = desk.look()
    if before is None:
        return
    keys = [key for key in before.keys if key[0] not in HEADLESS_KEYS and key[2] not in ("leave", "copy_path")]
    if not keys:
        return
    key = walk.draw.choice(keys)
    walk.note(f"desk {walk.desks.index(desk)}: the offered {key[0]} ({key[1]}) on {before.screen}")
    desk.press(key[0])
    end = time.monotonic() + 4
    while time.monotonic() < end:
        after = desk.look()
        if after != before:
            return
        time.sleep(0.2)
    raise Found(f"{key[0]} ({key[1]}) is offered on {before.screen} and nothing comes of it")


def wander_about(walk: Walk) -> None:
    """Any keys."""
    keys = [
        "j",
        "k",
        "tab",
        "enter",
        "escape",
        "v",
        "1",
        "2",
        "3",
        "4",
        "question_mark",
        "t",
        "a",
        "r",
        "p",
        "e",
        "l",
        "Q",
        "b",
    ]
    press(walk, *walk.draw.choices(keys, k=4))


def resize(walk: Walk) -> None:
    """Another size of the terminal."""
    desk, size = walk.desk, walk.draw.choice(SIZES)
    walk.note(f"desk {walk.desks.index(desk)}: {size[0]}x{size[1]}")
    desk.resize(size)


def leave(walk: Walk) -> None:
    """Quit, with one of the answers where it is asked."""
    desk = home(walk)
    press(walk, "q", desk=desk)
    end = time.monotonic() + 10
    while (seen := desk.look()) is not None:
        if seen.screen == "QuitScreen":
            press(walk, walk.draw.choice(["s", "r", "c"]), desk=desk)
            return
        if time.monotonic() > end:
            raise Found("q does not leave the first screen")
        time.sleep(0.2)


def hang_up(walk: Walk) -> None:
    """The terminal of a dashboard goes."""
    desk = walk.desk
    walk.note(f"desk {walk.desks.index(desk)}: hangs up")
    desk.hang_up()
    walk.desks.remove(desk)


def kill_dashboard(walk: Walk) -> None:
    """SIGKILL, or SIGTERM."""
    desk, number = walk.desk, walk.draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    walk.note(f"desk {walk.desks.index(desk)}: {number.name}")
    walk.killed = True
    desk.kill(number)
    desk.wait(60)
    walk.desks.remove(desk)


def kill_owner(walk: Walk) -> None:
    """Of a run that goes on beside."""
    alive = [name for name, one in walk.beside.items() if one.running]
    if alive:
        name = walk.draw.choice(alive)
        walk.note(f"SIGKILL: {name}")
        walk.killed = True
        walk.beside[name].kill()


def steer(walk: Walk) -> None:
    """A command on some run."""
    name = walk.any_run()
    if name is not None:
        what = walk.draw.choice([["stop"], ["pause"], ["resume"], ["request", "checkpoint"], ["request", "evaluate"]])
        info = invariants.runs_of(walk.camp)[name]
        if what == ["resume"] and info.state != "paused":
            walk.begin("resume", name, "--headless")
        else:
            walk.say(what[0], name, *what[1:])


def at_once(walk: Walk) -> None:
    """A command, and before it has begun something at a dashboard."""
    name = walk.any_run()
    if name is not None:
        what = walk.draw.choice(
            ["stop", "pause", "resume", "resume --headless", "request checkpoint", "request evaluate"]
        )
        first, *more = what.split()
        walk.begin(first, name, *more)
        walk.draw.choice([start, in_the_browser, lengthen, in_the_queue, at_the_live_run, at_any_run, delete, leave])(
            walk
        )


def resume_longer(walk: Walk) -> None:
    """With more iterations, from the command line."""
    name = walk.any_run()
    if name is not None:
        walk.begin("resume", name, "--headless", "--iterations", str(walk.draw.choice([140, 200, 260])))


def run_beside(walk: Walk) -> None:
    """A run of the command line, once in a while of two seeds."""
    more = ["--seeds", "0-1"] if walk.draw.random() < 0.3 else []
    walk.begin("run", "tiny", "--headless", *more)


def rest(walk: Walk) -> None:
    """Let the machine work."""
    seconds = walk.draw.choice([0.3, 1.0, 3.0])
    walk.note(f"rest {seconds:g} s")
    time.sleep(seconds)


ACTIONS: dict[Callable[[Walk], None], int] = {
    start: 3, enqueue: 3, in_the_browser: 4, lengthen: 3, delete: 2, compare: 2, in_the_queue: 5, at_the_live_run: 4,
    at_any_run: 3, offered_key: 6, wander_about: 4, resize: 1, leave: 2, hang_up: 1, kill_dashboard: 1, kill_owner: 1,
    steer: 6, at_once: 6, resume_longer: 1, run_beside: 1, rest: 4, second_dashboard: 2,
}  # fmt: skip


# ---- the walk


def check(walk: Walk, *, thorough: bool) -> None:
    """Whether all is well: folders and the screens that are shown; thoroughly, every list as well."""
    walk.require(invariants.no_traceback(walk.camp))
    walk.require([one for desk in walk.all_desks for one in invariants.parted_well(desk)])
    for name, one in walk.beside.items():
        if not one.running and one.process.exitcode != -signal.SIGKILL:
            walk.require(invariants.said_well(name, one.ended()))
    walk.require(walk.computed.kept_all(walk.camp))
    walk.require(invariants.settled(lambda: invariants.ends_are_whole(walk.camp, killed=walk.killed)))
    for desk in [desk for desk in walk.desks if desk.running]:
        walk.require(invariants.settled(lambda desk=desk: invariants.screen_agrees(desk, walk.camp)))  # type: ignore[misc]
        walk.require(invariants.settled(lambda desk=desk: invariants.whole_lines(desk)))  # type: ignore[misc]
    if thorough:
        look_everywhere(walk)


def look_everywhere(walk: Walk) -> None:
    """The lists of a dashboard, and those of the command line."""
    desk = home(walk)
    for keys in (("r",), ("b", "0"), ("Q",), ("escape",), ("b", "enter")):
        press(walk, *keys, desk=desk)
        walk.require(invariants.settled(lambda: invariants.screen_agrees(desk, walk.camp)))
        walk.require(invariants.settled(lambda: invariants.whole_lines(desk)))
    home(walk)
    walk.require(invariants.settled(lambda: _told_alike(walk)))


def _told_alike(walk: Walk) -> list[str]:
    walk.commands += 1
    listed = command(walk.camp, f"{walk.commands}-runs", "runs", "--json")
    names = sorted(invariants.runs_of(walk.camp))
    shown = {name: command(walk.camp, f"{walk.commands}-{name}", "show", name, "--json") for name in names}
    return invariants.lists_agree(walk.camp, listed.ended(), {name: one.ended() for name, one in shown.items()})


def wander(camp: Ground, seed: int, steps: int) -> str:
    """Walk; what was found, with the way there, or nothing."""
    invariants.written(camp.presets)
    walk = Walk(camp, random.Random(seed))
    try:
        _open(walk, walk.draw.choice(SIZES), "run", "tiny")
        walk.note("open a dashboard with a run")
        for step in range(steps):
            (action,) = walk.draw.choices(list(ACTIONS), weights=list(ACTIONS.values()))
            action(walk)
            check(walk, thorough=step % 10 == 9)
        finish(walk)
    except Exception as error:
        return _report(walk, seed, error)
    finally:
        clear(walk)
    return ""


def finish(walk: Walk) -> None:
    """Everything comes to its end: stopped from outside, looked at once more, left with q."""
    for name, run in invariants.runs_of(walk.camp).items():
        if run.alive:
            walk.say("stop", name)
    check(walk, thorough=True)
    desk = home(walk)
    press(walk, "Q", "s", desk=desk)
    invariants.settled(
        lambda: [name for name, run in invariants.runs_of(walk.camp).items() if run.alive or run.waits], 90
    )
    check(walk, thorough=True)
    desk = home(walk)
    press(walk, "q", desk=desk)
    if desk.look() is not None and not desk.wait(3):
        press(walk, "s", desk=desk)
    if not desk.wait(60):
        raise Found("q does not leave at the end")
    walk.require(invariants.parted_well(desk))


def clear(walk: Walk) -> None:
    """End whatever goes on still."""
    for desk in walk.all_desks:
        desk.kill()
    for one in walk.beside.values():
        one.kill()
    for run in invariants.runs_of(walk.camp).values():  # whose terminal went
        status = run.folder.status()
        if status is not None and status.liveness() == "alive":
            with suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGKILL)


def _report(walk: Walk, seed: int, error: Exception) -> str:
    told = [f"seed {seed}: {error or repr(error)}", "", *walk.trail]
    for number, desk in enumerate(walk.desks):
        with suppress(AssertionError):
            seen = desk.look(5)
            if seen is not None:
                told += ["", f"desk {number}, {seen.screen}, {desk.title!r}, notices {seen.notices}", seen.text]
            else:
                told += [
                    "",
                    f"desk {number} ended with {desk.code}: {bytes(desk.said[-1500:]).decode(errors='replace')}",
                ]
    for name, run in invariants.runs_of(walk.camp).items():
        told.append(f"{name}: {run.state} {run.progress} {run.score} {run.message} alive {run.alive}")
    return "\n".join(told)


def main() -> int:
    """Walk as often as asked for; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.reach.wander", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="walk in folders below this one, which stay")
    asked = parser.parse_args()
    found = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            place = asked.keep / f"{seed}" if asked.keep else Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            told = wander(Ground(place), seed, asked.steps)
        print(told or f"seed {seed}: all is well", flush=True)
        found += bool(told)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
