"""What the dashboard's queue is to do with a run, for commands that only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.runs.called import called

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder


FILE = ".queue.json"
"""As :mod:`mim4dd_tui.dashboard.run_queue` calls it: where there is none the dashboard, slow to load, is not asked."""


def in_queue(folder: RunFolder) -> str:
    """``waits in the dashboard's queue, which continues it in its turn; ...`` with the command that does so at once;
    empty where the run does not wait there."""
    if not (folder.path.parent / FILE).exists():
        return ""
    from mim4dd_tui.dashboard.run_queue import RunQueue

    one = RunQueue(folder.path.parent).waiting(folder.name).get(folder.name)
    if one is None:
        return ""
    deed, command = "begins" if one.state == "queued" else "continues", f"mim4dd resume {called(folder.path)}"
    longer = ""
    if one.iterations is not None:
        longer, command = f", lengthened to {one.iterations:,} iterations,", f"{command} --iterations {one.iterations}"
    return f"waits in the dashboard's queue, which {deed} it{longer} in its turn; `{command}` does so at once"
