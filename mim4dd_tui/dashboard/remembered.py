"""What the dashboard remembers from one time to the next: looks, orders, the last settings. Never a result.

One small JSON file in the user's state folder, replaced as a whole. A file that cannot be read, or a value in
it that makes no sense, counts as not there: remembering is a comfort, and no reason for an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from platformdirs import user_state_path

from engine.errors import MimError
from engine.files import private_folder, read_json_object, write_json
from mim4dd_tui.dashboard.shelf import SORTS, Sort
from mim4dd_tui.dashboard.widgets.panes import plausible
from mim4dd_tui.graphics.choice import NAMES, Graphics, here, named
from mim4dd_tui.plots.figure import Viewport

Attention = Literal["all", "bell", "off"]
ATTENTION: tuple[Attention, ...] = get_args(Attention)
VIEWS = ("overview", "curves", "pictures", "log")
LOOKS = ("log_x", "log_y", "smoothing")
"""What of a plot's view is remembered: not the zoom, which belongs to one run."""


SMOOTHING = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Steps of the smoothing key."""


def state_file() -> Path:
    """Where it is kept."""
    return user_state_path("mim4dd", appauthor=False) / "dashboard.json"


@dataclass
class Remembered:
    """The remembered values, each with what holds where nothing is remembered.

    Attributes:
        theme: name of a theme; empty for the one that fits the terminal.
        ascii, ascii_here: pictures as ASCII, and the kind of terminal that was chosen on; None where that decides.
        graphics, graphics_here: how pictures are sent, and the kind of terminal that was chosen on.
        view: the run screen's view.
        sort, reverse: order of the browser.
        metric, grid: the comparison's: one metric, or four at once.
        attention: how the end of a run is told.
        preset, changes: the last settings that a run was started with, as changes to a preset.
        plots: by pane, the looks of a plot.
        panes: by view, how columns and rows of panes were moved (``widgets.panes.Sizes``).
    """

    theme: str = ""
    ascii: bool | None = None
    graphics: str = "off"
    graphics_here: str = ""
    ascii_here: str = ""
    view: str = "overview"
    sort: Sort = "newest"
    reverse: bool = False
    metric: str = "accuracy"
    grid: bool = False
    attention: Attention = "all"
    preset: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, dict[str, Any]] = field(default_factory=dict)
    panes: dict[str, list[int]] = field(default_factory=dict)

    @staticmethod
    def load(path: Path | None = None) -> Remembered:
        """From the file; what is missing or makes no sense is left as it is by default."""
        values = read_json_object(path or state_file()) or {}
        kept = Remembered()
        for each in fields(Remembered):
            if each.name in values and _plausible(each.name, values[each.name]):
                setattr(kept, each.name, values[each.name])
        return kept

    def chosen_pictures(self, environ: Mapping[str, str] | None = None) -> str:
        """How the dashboard shows pictures where that was chosen there for this kind of terminal; else nothing."""
        place = here(environ)
        graphics = named(self.graphics) if self.graphics_here == place else None
        if graphics is not None and graphics is not Graphics.OFF:
            return f"{NAMES[graphics]}, as chosen in the dashboard (P)"
        if self.ascii is not None and self.ascii_here == place:
            return f"{'ascii' if self.ascii else 'half-blocks'}, as chosen in the dashboard (a)"
        return ""

    def save(self, changed: Iterable[str] | None = None, path: Path | None = None) -> str:
        """Write these of the values (None: all), and leave the others as another dashboard may have written them
        meanwhile; what stands against that, where something does."""
        target, own = path or state_file(), asdict(self)
        written = own if changed is None else {name: own[name] for name in changed}
        try:
            private_folder(target.parent)
            write_json(target, asdict(Remembered.load(target)) | written, durable=False)
        except (MimError, ValueError, TypeError) as error:
            return str(error)
        return ""


def looks(view: Viewport) -> dict[str, Any]:
    """What of a view is remembered."""
    return {name: getattr(view, name) for name in LOOKS}


def seen_as(view: Viewport, remembered: dict[str, Any]) -> Viewport:
    """The view with the looks remembered for it."""
    return view.changed(**remembered)


def _plausible(name: str, value: Any) -> bool:
    if name in ("theme", "preset", "metric", "graphics", "graphics_here", "ascii_here"):
        return isinstance(value, str) and len(value) <= 200
    if name == "ascii":
        return value is None or isinstance(value, bool)
    if name in ("reverse", "grid"):
        return isinstance(value, bool)
    known = {"view": VIEWS, "sort": SORTS, "attention": ATTENTION}
    if name in known:
        return isinstance(value, str) and value in known[name]
    if name == "changes":
        plain = (str, int, float, bool)
        return isinstance(value, dict) and all(isinstance(v, plain) for v in value.values())
    if name == "panes":
        return plausible(value)
    return isinstance(value, dict) and all(_plausible_looks(looks) for looks in value.values())


def _plausible_looks(looks: Any) -> bool:
    if not isinstance(looks, dict) or not set(looks) <= set(LOOKS):
        return False
    smoothing = looks.get("smoothing", 0.0)
    return (
        isinstance(looks.get("log_x", False), bool)
        and isinstance(looks.get("log_y", False), bool)
        and smoothing in SMOOTHING
    )
