"""Why a run failed or could not go on, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.widgets import Static

from engine.runs.folder import RunFolder
from engine.runs.unforeseen import traceback_of
from mim4dd_tui.fitting import first_lines, homely, wrapped


class Problem(Static):
    """The reason: as many whole lines as there is room for, and a mark where some are left out."""

    def tell(self, reason: str) -> None:
        """Show this reason, broken to the screen's width; call it again where that is another."""
        room = max(1, self.screen.size.width - self.gutter.width)
        most = self.styles.max_height
        lines = wrapped(reason, room, within_paths=True)
        if most is not None:
            lines = first_lines(lines, max(1, int(most.value)), room)
        self.update(Text("\n".join(lines)))


def ways(path: Path | None, *, diverged: bool, waits: bool, log_seen: bool, done: bool = False) -> str:
    """What helps, and where the log is.

    Args:
        path: the run's folder; None where it never had one.
        diverged: it would fail again as it is.
        waits: it waits in the queue.
        log_seen: the log is on the screen anyway.
        done: it has all its iterations, and could not be given more.
    """
    if path is None:
        return "it has not begun, and there is no folder of it: esc goes back to its settings"
    kept = [file.stem.split("-") for file in sorted(RunFolder(path).checkpoints.glob("*-*.safetensors"))]
    helps = f"R resumes at iteration {int(kept[-1][1])}" if kept else "R begins it again"
    if done:
        helps = "it is done as it was; I lengthens it"
    if waits:
        helps = "it goes on when its turn in the queue comes (Q)"
    if diverged:
        helps = "D makes a new run of its settings"
    report = traceback_of(path)
    where = "journal.jsonl" if report is None else report.name
    # the folder last: of a long one C copies the end
    return f"{helps}{'' if log_seen else ' · 4 shows the whole log'}\nlog: {where} in {homely(str(path))}"
