"""The memory there is: what may still be taken, what this process has taken, now and at most. Imports no torch."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path


def available(system: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes this process may still take: free on the machine, and left under the limits of its control groups."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left(system, own)])


def _left(system: Path, own: Path) -> list[int]:
    """Bytes left under each limit on this process (version 2 and version 1), caches counted as free."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            base, names = system, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = system / "memory"
        else:
            continue
        group = base / path.strip("/")
        for folder in (group, *group.parents):  # a limit on any of them holds
            if folder.is_relative_to(base):
                found += _room(folder, *names)
    return found


def _room(folder: Path, limit: str, usage: str, cache: str) -> list[int]:
    try:
        most, now = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, usage))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        freed = {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}.get(cache, 0)
    except (OSError, ValueError):  # no such group from here, or no limit ("max")
        return []
    return [max(0, most - now + freed)]


def resident() -> int:
    """Bytes this process has taken already."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """The most bytes that this process had taken at once since :func:`reset_peak`, by what the system has counted;
    what it has now where the system counts nothing."""
    with suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii")):
            return int(found[1]) * 1024
    return resident()


def reset_peak() -> None:
    """Have the system count :func:`peak` from now on, where it can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def give_back() -> None:
    """Have the C library return to the machine what was freed in this process, where it can (glibc): it keeps much of a
    finished run's memory for itself otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def there() -> int:
    """Bytes a run in this process could have: what can still be taken, and what the process has taken already."""
    return available() + resident()
