"""How the dashboard behaves while a real run trains: keys, bytes, processor time, first paint, redraw.

    python -m benchmarks.interface [--json FILE] [--keys 60] [--watch 20] [--pairs 10]

Everything but the redraw is measured from outside, on the dashboard in a pseudo-terminal of its own with a real run
(the built-in digits, its training going on in the same process):

    key to paint        from a key's byte being written to the last byte of its effect being there: milliseconds.
                        ? opens the help, for which the whole screen is painted anew; h puts the cursor on every curve
    bytes a second      what the dashboard writes while the run is watched and nobody types
    interface's share   processor time of the interface's thread over the whole process's, in the same span
    engine's speed      with the dashboard over without it, in interleaved pairs (--pairs, see benchmarks.pairs)
    first paint         from starting the process to the first screen with its words on it
    redraw              one curve of 20,000 points, drawn anew; processor time
    instrument          what it adds to a key's time: the same measurement of a program that only answers
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pairs
from benchmarks.terminal import Watched, settings

SIZES = ((80, 24), (160, 48))
SETTINGS = ("objective.iterations=100000", "evaluation.every=0", "execution.checkpoint_seconds=600")
"""A run that trains as long as it is watched."""


def opened_help(watched: Watched) -> float:
    """Milliseconds from the key until the help's text was painted; closes it again."""
    taken = watched.key(b"?", b"Pause the run")
    os.write(watched.master, b"q")
    return taken


def placed_cursor(watched: Watched) -> float:
    """Milliseconds from the key until the cursor's place was painted; takes it away again."""
    taken = watched.key(b"h", b"  at ")
    os.write(watched.master, b"0")
    return taken


KEYS: dict[str, Callable[[Watched], float]] = {"help": opened_help, "cursor": placed_cursor}


def spread(taken: list[float]) -> dict[str, Any]:
    """Milliseconds, as the document has them."""
    return {
        "median": round(statistics.median(taken), 1),
        "p95": round(statistics.quantiles(taken, n=20)[-1], 1),
        "largest": round(max(taken), 1),
        "first": round(taken[0], 1),
        "keys": len(taken),
    }


def watching(size: tuple[int, int], keys: int, seconds: float) -> dict[str, Any]:
    """Keys, bytes and processor time at one size, while the run trains."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        arguments = ["run", "digits-ipc1", *settings(*SETTINGS), "--runs-dir", str(folder / "runs")]
        watched = Watched(size, folder, arguments)
        try:
            watched.iterated(folder / "runs", pairs.WARM, 400)
            before, begun = watched.processor(), time.monotonic()
            written = len(watched.read(seconds))
            after, span = watched.processor(), time.monotonic() - begun
            taken = {name: [press(watched) for _ in range(keys)] for name, press in KEYS.items()}
        finally:
            watched.close()
    interface, whole = (b - a for a, b in zip(before, after, strict=True))
    return {
        "size": f"{size[0]}x{size[1]}",
        "key_to_paint_ms": {name: spread(times) for name, times in taken.items()},
        "bytes_per_second": round(written / span),
        "interface_share_percent": round(100 * interface / whole, 2) if whole else None,
        "process_cores": round(whole / span, 2),
        "watched_seconds": round(span, 1),
    }


def instrument(answers: int = 40) -> dict[str, Any]:
    """What the instrument itself takes for a key: a program that answers a byte with a screen of bytes at once."""
    program = (
        "import os, sys, tty; tty.setraw(0); os.write(1, b'ready')\n"
        "while os.read(0, 1): os.write(1, b' ' * 8000 + b'answer')"
    )
    watched = Watched((80, 24), Path(tempfile.gettempdir()), [], start=program)
    try:
        watched.until(b"ready", 30)
        return spread([watched.key(b"?", b"answer") for _ in range(answers)])
    finally:
        watched.close()


def first_paint() -> float:
    """Seconds from the process's start to the first screen."""
    with tempfile.TemporaryDirectory() as place:
        watched = Watched((80, 24), Path(place), ["--runs-dir", str(Path(place) / "runs")])
        try:
            return round(watched.until(b"digits-ipc1", 120), 2)
        finally:
            watched.close()


def redraw(points: int = 20_000) -> dict[str, float]:
    """Milliseconds of processor time to draw one curve anew, plain and with everything switched on."""
    from engine.events import Iteration
    from engine.runs.history import RunHistory
    from mim4dd_tui.dashboard import curves
    from mim4dd_tui.plots import Viewport, draw

    history, noise = RunHistory(), np.random.default_rng(0).standard_normal(points)
    for i, value in enumerate(noise.tolist(), 1):
        history.apply(Iteration(i, 2 + value, None, None, None, None, 0.1, 0.8 + value, 0.05, 0.1), time=float(i))

    def milliseconds(view: Viewport) -> float:
        taken = []
        for _ in range(25):
            begun = time.process_time()
            draw(curves.ratio(history), view, 80, 24)
            taken.append((time.process_time() - begun) * 1e3)
        return round(statistics.median(taken), 2)

    everything = Viewport(smoothing=0.9, log_x=True, log_y=True)
    return {"points": points, "plain_ms": milliseconds(Viewport()), "smoothed_log_ms": milliseconds(everything)}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the document to this file too")
    parser.add_argument("--keys", type=int, default=60, help="how often a key is pressed; 0: no watching")
    parser.add_argument("--watch", type=float, default=20.0, help="seconds")
    parser.add_argument("--pairs", type=int, default=10, help="turns with and without the dashboard; 0 for none")
    parser.add_argument("--turn", type=float, default=6.0, help="seconds of a turn, beside its lead")
    parser.add_argument("--size", choices=[f"{w}x{h}" for w, h in SIZES], help="this size only")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended then too
    if 0 < options.pairs < 6:
        parser.error("--pairs takes 6 or more: fewer say nothing about a median")
    if options.keys == 1:
        parser.error("--keys takes 2 or more: one says nothing about a spread")
    sizes = [size for size in SIZES if options.size in (None, f"{size[0]}x{size[1]}")]
    document: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "redraw": redraw(),
        "instrument_ms": instrument(),
        "first_paint_s": first_paint(),
        "watching": [watching(size, options.keys, options.watch) for size in sizes if options.keys],
    }
    if options.pairs:
        document["speed_with_over_without"] = {
            f"{size[0]}x{size[1]}": pairs.summary(pairs.measure(size, SETTINGS, options.pairs, options.turn))
            for size in sizes
        }
    text = json.dumps(document, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
