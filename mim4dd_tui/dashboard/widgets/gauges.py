"""One line that says how busy the machine is while a run goes on in it."""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, cast

from rich.segment import Segment
from textual import on, work
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mim4dd_tui.dashboard.gauges import Sample
from mim4dd_tui.dashboard.glance import LEVELS
from mim4dd_tui.dashboard.ink import Inks

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

SECONDS = {False: 2.0, True: 5.0}
"""Time between two samples; the longer one over SSH."""
PAST = 12
"""Samples in a history bar."""
GIB = 2**30


class GaugesLine(Widget):
    """Samples itself, on a thread, only while it is seen and the run goes on in this machine."""

    DEFAULT_CSS = "GaugesLine { height: 1; width: 1fr; }"

    class Taken(Message):
        """A sample."""

        def __init__(self, sample: Sample) -> None:
            super().__init__()
            self.sample = sample

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sample: Sample | None = None
        self._pid: int | None = None
        self._cpu: deque[float] = deque(maxlen=PAST)
        self._gpu: deque[float] = deque(maxlen=PAST)

    def follow(self, host: str, pid: int, *, alive: bool) -> None:
        """Watch a run's process, if it is alive and of this machine; else there is nothing to see."""
        live = alive and host in (socket.gethostname(), "")
        self._pid = pid if live else None
        self.set_class(live, "-live")

    def on_mount(self) -> None:
        """Sample now and again."""
        app = cast("DashboardApp", self.app)
        self.set_interval(SECONDS[app.slow_link], self._sample)

    def _sample(self) -> None:
        app = cast("DashboardApp", self.app)
        if self._pid is not None and self.display and not app.closing and app.screen is self.screen:
            self._take(self._pid)

    @work(thread=True, exclusive=True, group="gauges", exit_on_error=False)
    def _take(self, pid: int) -> None:
        self.post_message(self.Taken(cast("DashboardApp", self.app).gauges.sample(pid)))

    @on(Taken)
    def _taken(self, message: Taken) -> None:
        message.stop()
        self.sample = message.sample
        if message.sample.cpu is not None:
            self._cpu.append(message.sample.cpu)
        if message.sample.gpus and message.sample.gpus[0].busy is not None:
            self._gpu.append(message.sample.gpus[0].busy)
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """The gauges that fit, the most important first; their pasts where room is left."""
        inks, width = Inks(self), self.content_size.width
        shown, room = [], width
        for name, bar, value in self._gauges():
            length = len(name) + len(value) + 4
            if length <= room:
                shown.append((name, bar, value))
                room -= length
        segments: list[Segment] = []
        for name, bar, value in shown:
            segments.append(Segment(f"{name} ", inks.muted))
            if bar and len(bar) < room:
                segments.append(Segment(f"{bar} ", inks.colour("primary")))
                room -= len(bar) + 1
            segments.append(Segment(f"{value}   ", inks.base))
        return Strip(segments).adjust_cell_length(width, inks.base)

    def _gauges(self) -> list[tuple[str, str, str]]:
        """Name, history bar and value of each."""
        now = self.sample
        if now is None:
            return []
        out = [] if now.cpu is None else [("cpu", self._bar(self._cpu), f"{now.cpu * 100:3.0f} %")]
        out.append(("memory", "", f"{now.used / GIB:.1f}/{now.total / GIB:.1f} GiB"))
        if now.process_memory is not None:
            share = "" if now.process_cpu is None else f", {now.process_cpu:.1f} cpus"
            out.append(("run", "", f"{now.process_memory / GIB:.1f} GiB{share}"))
        gpus: list[tuple[str, str, str]] = []
        for index, gpu in enumerate(now.gpus):
            busy = "" if gpu.busy is None else f"{gpu.busy * 100:3.0f} %, "
            name = f"GPU {index}" if len(now.gpus) > 1 else "GPU"
            memory = f"{gpu.used / GIB:.1f}/{gpu.total / GIB:.1f} GiB"
            gpus.append((name, self._bar(self._gpu) if not index else "", busy + memory))
        before = 0 if now.cpu is None else 1
        return out[:before] + gpus + out[before:]

    def _bar(self, past: deque[float]) -> str:
        if len(past) < 2:
            return ""
        levels = LEVELS[0 if getattr(self.app, "unicode", True) else 1]
        return "".join(levels[min(len(levels) - 1, int(max(0.0, share) * len(levels)))] for share in past)
