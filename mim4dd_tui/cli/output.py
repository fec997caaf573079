"""Standard output: tables for people, one JSON document for programs."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal, TextIO

from rich.cells import cell_len

from engine.errors import MimError
from mim4dd_tui.fitting import SHORTEST, fitted, shortened_apart, wrapped
from mim4dd_tui.plain import tell
from mim4dd_tui.terminal import columns

GAP = 2
"""Columns of a terminal between two columns of a table."""
_reserved: TextIO | None = None
"""Where the JSON document goes while standard output is kept free of anything else."""


class RefusedError(MimError):
    """Standard output does not take what is written to it: its disk is full, or its reader has ``gone``."""

    def __init__(self, cause: OSError) -> None:
        why = "it is closed" if cause.errno == errno.EBADF else cause.strerror or cause
        super().__init__(f"standard output cannot be written: {why}")
        self.gone = isinstance(cause, BrokenPipeError)


@contextmanager
def taking(stream: TextIO) -> Iterator[TextIO]:
    """A stream to write to; one that refuses is put out of the way, so that closing it does not try again.

    Raises:
        RefusedError: it refuses.
    """
    try:
        yield stream
    except OSError as error:
        discard(stream)
        raise RefusedError(error) from error


def discard(stream: TextIO) -> None:
    """Let whatever is written to a stream from now on, and what it still holds, go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Standard streams that were closed when this process began, as daemons leave them, are there again.

    Input ends at once, diagnostics go nowhere, and what is written to standard output is refused. Their descriptors
    are taken by that too: else the next file that is opened would get one, and what libraries print with it.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        os.set_inheritable(nowhere, nowhere == descriptor)
        setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8", closefd=False))


@contextmanager
def json_only() -> Iterator[None]:
    """Send everything that is written to standard output, by whatever library, to standard error.

    Only :func:`write_json` reaches the real standard output inside. Descriptor 1 is redirected too, so that
    compilers and C libraries are kept out.
    """
    global _reserved  # standard output is one per process, and so is its reservation
    stdout = sys.stdout
    with suppress(OSError, ValueError):
        stdout.flush()
    with ExitStack() as undo:
        try:
            real: TextIO = undo.enter_context(os.fdopen(os.dup(stdout.fileno()), "w", encoding="utf-8"))
        except (OSError, ValueError):  # no descriptor behind the stream
            real = stdout
        with suppress(OSError):
            saved = os.dup(1)
            undo.callback(os.close, saved)
            os.dup2(2, 1)
            undo.callback(os.dup2, saved, 1)
        _reserved, sys.stdout = real, sys.stderr
        try:
            yield
        finally:
            _reserved, sys.stdout = None, stdout


def descriptors() -> list[int]:
    """The descriptors that output goes to: 1, 2 and, where reserved, the one for the JSON document."""
    if _reserved is None:
        return [1, 2]
    with suppress(OSError, ValueError):
        return [1, 2, _reserved.fileno()]
    return [1, 2]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def write_json(document: Any) -> None:
    """Write the one JSON document; numbers that are not finite become null, paths become strings."""
    with taking(sys.stdout if _reserved is None else _reserved) as stream:
        stream.write(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        stream.flush()


def say(text: str = "") -> None:
    """A line of the result, on standard output, as it is."""
    with taking(sys.stdout) as stream:
        stream.write(text + "\n")


@contextmanager
def reporting() -> Iterator[None]:
    """What was done stays done where standard output does not take the report of it: that is told, and no error."""
    try:
        yield
        flush()
    except RefusedError as error:
        if not error.gone:
            tell(f"mim4dd: {error}; what was to be told there is lost")


def flush() -> None:
    """Have all that was said written."""
    with taking(sys.stdout) as stream:
        stream.flush()


def say_in_words(text: str) -> None:
    """A sentence of the result, on standard output, in lines as wide as the terminal."""
    say(fitted(text, sys.stdout))


def needed(lines: Sequence[Sequence[str]], shortest: tuple[int, int] | None = None) -> int:
    """Columns that a table of these lines (its headers among them) takes on a terminal.

    Args:
        shortest: index of a column whose texts may be shortened, and to how much.
    """
    widths = _widths(lines)
    if shortest is not None:
        widths[shortest[0]] = min(widths[shortest[0]], shortest[1])
    return sum(width + GAP for width in widths) - GAP


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_len(line[column]) for line in lines) for column in range(len(lines[0]))]


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    names: int | None = None,
    cut: bool = False,
) -> None:
    """A table on standard output: aligned columns, the last one wrapped where a terminal is narrow.

    Args:
        right: indices of the columns that are aligned to the right (numbers).
        names: index of the column whose texts are shortened in their middle where a terminal is narrow, so that
            the others keep their width.
        cut: the last column is shortened instead of wrapped.
    """
    if sys.stdout.isatty():
        _terminal_table(headers, rows, right, names, cut)
        return
    lines = [headers, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def blocks(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of numbers beside names: columns that a terminal has no room for follow below, beside the names again."""
    room, widths = columns(sys.stdout), _widths((headers, *rows))
    place = 1
    while place < len(headers):
        end, taken = place, widths[0]
        while end < len(headers) and (end == place or room is None or taken + GAP + widths[end] <= room):
            taken, end = taken + GAP + widths[end], end + 1
        if place > 1:
            say()
        shown = [0, *range(place, end)]
        for line in (headers, *rows):
            cells = [line[k].ljust(widths[k]) if k == 0 else line[k].rjust(widths[k]) for k in shown]
            say((" " * GAP).join(cells).rstrip())
        place = end


def _terminal_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], names: int | None, cut: bool
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    widths = _widths((headers, *rows))
    if names is not None:
        room = console.width - sum(widths) + widths[names] - GAP * (len(headers) - 1)
        mark = "…" if console.encoding.startswith("utf") else "~"
        kept = max(room, len(headers[names]), SHORTEST)
        short = shortened_apart([row[names] for row in rows], kept, mark)
        rows = [[*row[:names], name, *row[names + 1 :]] for name, row in zip(short, rows, strict=True)]
    drawn = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, name in enumerate(headers):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        last = column == len(headers) - 1
        # without a limit of its own for the last one, all would be cut alike
        most = max(console.width - sum(widths[:-1]) - GAP * column, SHORTEST) if cut and last else None
        drawn.add_column(
            name,
            justify=justify,
            no_wrap=cut or not last,
            overflow="ellipsis" if cut and last else "fold",
            max_width=most,
        )
    for row in rows:
        drawn.add_row(*(Text(text) for text in row))
    with taking(sys.stdout):
        console.print(drawn)


def pairs(items: Sequence[tuple[str, str]]) -> None:
    """Names and values in two aligned columns, on standard output; on a terminal long values take several lines."""
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        for line in _beside(name.ljust(width) + "  ", value, columns(sys.stdout)):
            say(line.rstrip())


def _beside(head: str, value: str, width: int | None) -> Iterator[str]:
    """A name and its value; what is longer than the room beside the name, as a path is, has lines of its own."""
    room = None if width is None else width - len(head)
    if room is None or room < SHORTEST:
        yield head + value
        return
    for line in wrapped(value, room):
        if cell_len(line) <= room:
            yield head + line
        else:
            yield from [head, line] if head.strip() else [line]
        head = " " * len(head)
