"""The two lines on top of a run: what it is, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from mim4dd_tui.dashboard.ink import Inked, Inks
from mim4dd_tui.fitting import shortened
from mim4dd_tui.plain import duration

STATES = {
    "running": ("●", "success"),
    "paused": ("‖", "warning"),
    "pausing": ("●", "warning"),
    "stopping": ("●", "warning"),
    "stopped": ("■", "warning"),
    "failed": ("✗", "error"),
    "done": ("✓", "success"),
    "queued": ("○", "secondary"),
    "starting": ("●", "secondary"),
}
"""Mark and theme colour of every state. Without such characters lists have its first letter, and beside its word there
is nothing: a star marks a run that is to be compared."""
LEAST_BAR = 12
"""Columns that the bar of the progress keeps beside what is told of it."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come in the phase it is in. ``total`` None where that is not known."""

    phase: str = "starting"
    done: int = 0
    total: int | None = None
    remaining: float | None = None  # seconds
    rate: str = ""
    detail: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Head:
    """What a run is."""

    name: str = ""
    preset: str = ""
    seed: int | None = None
    state: str = "starting"
    worked: float | None = None  # seconds at work, in all sittings
    elsewhere: str = ""  # host and pid of another process


class RunHead(Inked):
    """Name, state and time of the run, and under it the phase's progress."""

    DEFAULT_CSS = "RunHead { height: 2; width: 1fr; }"

    head: reactive[Head] = reactive(Head())
    progress: reactive[Progress] = reactive(Progress())

    def render_line(self, y: int) -> Strip:
        """The first or the second line."""
        inks = self.inks
        width = self.content_size.width
        left, right = self._first(inks, width) if y == 0 else self._second(inks, width)
        space = width - sum(s.cell_length for s in left) - sum(s.cell_length for s in right)
        middle = [Segment(" " * max(1, space), inks.base)]
        return Strip([*left, *middle, *right]).adjust_cell_length(width, inks.base)

    def _first(self, inks: Inks, width: int) -> tuple[list[Segment], list[Segment]]:
        """State and time always have their room; then the name, then what else is known of the run."""
        head = self.head
        mark, colour = STATES.get(head.state, ("●", "secondary"))
        unicode = getattr(self.app, "unicode", True)
        right = [Segment(f"{mark} {head.state}" if unicode else head.state, inks.colour(colour) + Style(bold=True))]
        if head.worked is not None:
            right += [Segment("  worked ", inks.muted), Segment(duration(head.worked), inks.base)]
        room = width - sum(s.cell_length for s in right) - 1
        notes = []
        if head.preset and head.name and not head.name.startswith(head.preset):
            notes.append(head.preset)
        if head.seed is not None:
            notes.append(f"seed {head.seed}")
        if head.elsewhere:
            notes.append(head.elsewhere)
        name = shortened(head.name or head.preset or "run", room)
        fewer = [notes[place:] for place in range(len(notes) + 1)]
        if head.seed is not None:  # where that has no room beside it, it has alone
            fewer.insert(-1, [f"seed {head.seed}"])
        notes = next(some for some in fewer if not some or len(name) + 2 + len(" · ".join(some)) <= room)
        left = [Segment(name, inks.base + Style(bold=True))]
        if notes:
            left.append(Segment("  " + " · ".join(notes), inks.muted))
        return left, right

    def _second(self, inks: Inks, width: int) -> tuple[list[Segment], list[Segment]]:
        progress = self.progress
        left = [Segment(f"{progress.phase} ", inks.colour("primary") + Style(bold=True))]
        texts = []
        if progress.total:
            share = min(1.0, progress.done / progress.total)
            texts.append(f"{progress.done}/{progress.total}")
            texts.append(f"{share * 100:.0f} %")
            if progress.remaining is not None and progress.done < progress.total:  # what follows is not known of
                texts.append(f"{duration(progress.remaining)} left")
        elif progress.done:
            texts.append(str(progress.done))
        if progress.rate and width >= 72:
            texts.append(progress.rate)
        used = len(progress.phase) + 2 + len("  ".join([*texts, progress.detail]))
        if progress.detail and not (progress.total and used + LEAST_BAR > width):
            texts.append(progress.detail)
        right = [Segment(" " + "  ".join(texts), inks.base)] if texts else []
        if progress.total:
            room = width - sum(s.cell_length for s in (*left, *right)) - 1
            left += self._bar(max(4, room), progress.done / progress.total, inks)
        elif progress.steps and width >= 72:
            left.append(Segment(" · ".join(progress.steps), inks.muted))
        return left, right

    def _bar(self, width: int, share: float, inks: Inks) -> list[Segment]:
        share = max(0.0, min(1.0, share))
        if not getattr(self.app, "unicode", True):
            full = round(share * width)
            return [Segment("#" * full, inks.colour("primary")), Segment("-" * (width - full), inks.muted)]
        halves = round(share * width * 2)
        full, half = divmod(halves, 2)
        bar = "━" * full + ("╸" if half else "")
        rest = "━" * (width - len(bar))
        return [Segment(bar, inks.colour("primary")), Segment(rest, inks.colour("foreground", faded=0.8))]
