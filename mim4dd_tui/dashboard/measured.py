"""What earlier runs took on this machine, by their journals: seconds, memory, bytes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.schema import Config
from engine.errors import MimError
from engine.files import default_cache_dir
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import MalformedLineError, Record, parse_line
from engine.runs.status import host_name
from engine.trained import there

NEWEST = 120
"""Runs that are looked through for measurements, the newest first; those that only wait do not count."""
HEAD_BYTES, TAIL_BYTES = 1 << 18, 1 << 16
"""How much of a journal is read at most."""
WARM_UP, ENOUGH = 3, 20
"""Iterations at a run's beginning that are not measured by, and iterations after them that tell the time of one."""


@dataclass(frozen=True)
class Measured:
    """What one run on this machine took. Seconds, or None where it did not come so far.

    ``networks`` maps a protocol to the seconds of one of its networks; ``peak`` is in MiB, where it is ``shared`` with
    what earlier runs had left in the process. One that is not ``whole`` may have needed more later, and so may
    one of few iterations (``over`` is how many were measured).
    """

    name: str
    config: Config
    iteration: float | None = None
    epoch: float | None = None
    experts: int = 0  # of how many experts the end was seen, trained or found
    networks: dict[str, float] = field(default_factory=dict)
    peak: float | None = None
    shared: bool = False
    whole: bool = True
    over: int = ENOUGH

    @property
    def brief(self) -> bool:
        """Whether it is a trial rather than a run."""
        return self.over < ENOUGH


def measured(folder: RunFolder) -> Measured | None:
    """What a run's journal tells about this machine; None where it ran elsewhere or cannot be read."""
    try:
        config = folder.config()
        history = RunHistory.of(_excerpt(folder.journal_path))
    except (MimError, OSError):
        return None
    if history.started is None or history.started.host != host_name():
        return None
    trained = [e.last for e in history.experts.values() if e.last.epoch >= e.last.epochs]
    epochs = [last.seconds for last in trained if not last.reused and last.seconds > 0]
    seconds = _values(history, "seconds")
    networks: dict[str, list[float]] = {}
    for event in history.evaluations:
        if event.accuracies and event.seconds > 0 and event.subject in ("live", "best", "last", "request"):
            networks.setdefault(event.protocol, []).append(event.seconds / len(event.accuracies))
    return Measured(
        name=folder.name,
        config=config,
        iteration=_typical(seconds),
        epoch=statistics.median(epochs) if epochs else None,
        experts=len(trained),
        networks={protocol: statistics.median(seconds) for protocol, seconds in networks.items()},
        peak=history.peak,
        shared=history.shared,
        whole=history.state == "done",
        over=max(0, len(seconds) - WARM_UP),
    )


def _excerpt(journal: Path) -> list[Record]:
    """The records at the journal's beginning and end: enough to measure by, however long the run was."""
    with journal.open("rb") as file:
        head = file.read(HEAD_BYTES)
        middle = max(file.tell(), file.seek(0, 2) - TAIL_BYTES)
        file.seek(middle)
        tail = file.read()
    lines = head[: head.rfind(b"\n") + 1].split(b"\n")
    lines += tail.split(b"\n")[1 if middle > len(head) else 0 :]
    records = []
    for line in lines:
        with suppress(MalformedLineError):
            records.append(parse_line(line))
    return records


def _values(history: RunHistory, name: str) -> list[float]:
    series = history.series.get(name)
    return series.values if series is not None else []


def _typical(seconds: list[float]) -> float | None:
    """The middle one; the first iterations, which compile and warm up, count only where there are no others."""
    later = [s for s in seconds[WARM_UP:] if s > 0] or [s for s in seconds if s > 0]
    return statistics.median(later) if later else None


class Measurements:
    """The measurements of a folder's runs; a journal that has not grown is not read again."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, Measured | None]] = {}

    def of(self, folders: Sequence[RunFolder]) -> list[Measured]:
        """Those of the newest runs (``folders`` newest first). Reads files: call it on a worker thread."""
        out = []
        read = 0
        for folder in folders:
            try:
                size = folder.journal_path.stat().st_size
            except OSError:  # it has not begun
                continue
            if read == NEWEST:
                break
            read += 1
            known = self._known.get(folder.path)
            if known is None or known[0] != size:
                known = self._known[folder.path] = (size, measured(folder))
            if known[1] is not None:
                out.append(known[1])
        return out


def kept_experts() -> list[Measured]:
    """Experts in the cache, also of runs that are deleted or were not looked through. Reads files too."""
    with suppress(MimError, OSError):  # a run says what is wrong with the folder
        return [Measured("", config, experts=count) for config, count in there(default_cache_dir())]
    return []
