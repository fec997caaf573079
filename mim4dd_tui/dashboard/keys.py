"""The one table of keys. Bindings, footer, help screen and dispatch are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

Scope = Literal["app", "home", "settings", "run", "plot", "pictures", "log", "dialog"]


@dataclass(frozen=True)
class Key:
    """One thing a key does. ``keys`` are Textual's names, comma-separated; ``face`` is how they are shown."""

    scope: Scope
    keys: str
    action: str
    label: str
    help: str
    face: str = ""
    footer: bool = False
    priority: bool = False

    def binding(self) -> Binding:
        """The Textual binding of this line."""
        return Binding(
            self.keys,
            self.action,
            self.label,
            show=self.footer,
            key_display=self.face or None,
            priority=self.priority,
            tooltip=self.help,
        )

    def shown(self) -> str:
        """The key as written in the help."""
        return self.face or self.keys.split(",")[0]


KEYS: tuple[Key, ...] = (
    # everywhere
    Key("app", "question_mark,f1", "help", "help", "This list of keys.", "?", footer=True),
    Key("app", "a", "toggle_ascii", "ascii", "Pictures as half-blocks or as ASCII."),
    Key("app", "t", "next_theme", "theme", "Next theme: dark, light, colour-blind safe, the terminal's own."),
    Key("app", "q", "leave", "quit", "Quit; asks first while a run goes on.", footer=True),
    Key("app", "ctrl+c", "interrupt", "quit", "As q; pressed again it stops the run with a checkpoint.", "^c",
        priority=True),
    Key("app", "ctrl+q", "leave", "quit", "As q, also while typing.", "^q", priority=True),
    # home
    Key("home", "s", "start", "start", "Start a run with the settings shown.", footer=True),
    Key("home", "e", "edit", "settings", "Go to the settings of the chosen preset.", footer=True),
    Key("home", "p", "presets", "presets", "Go to the presets.", footer=True),
    Key("home", "r", "runs", "runs", "Go to the runs.", footer=True),
    Key("home", "R", "resume", "resume", "Continue the chosen run from its last checkpoint.", "R"),
    Key("home", "D", "duplicate", "copy", "Take the chosen run's settings into a new one.", "D"),
    Key("home", "l", "show_live", "live run", "Back to the run that is going on."),
    # settings
    Key("settings", "slash", "search", "search", "Show only settings with the words typed.", "/", footer=True),
    Key("settings", "u", "undo", "undo", "Back to the preset's value."),
    Key("settings", "U", "undo_all", "undo all", "Back to the preset in every setting.", "U"),
    Key("settings", "c", "only_changed", "changed", "Show only what differs from the preset."),
    Key("settings", "left", "previous_choice", "before", "The choice before, where there are choices.", "←"),
    Key("settings", "right", "next_choice", "next", "The next choice, where there are choices.", "→"),
    # run
    Key("run", "space", "pause", "pause", "Pause the run, or let it go on.", "space", footer=True),
    Key("run", "x", "stop", "stop", "Stop with a checkpoint; the run can be resumed.", footer=True),
    Key("run", "R", "resume", "resume", "Continue a stopped or failed run from its last checkpoint.", "R"),
    Key("run", "e", "evaluate", "evaluate", "Evaluate the synthetic set now.", footer=True),
    Key("run", "k", "checkpoint", "checkpoint", "Write a checkpoint now."),
    Key("run", "v", "next_view", "view", "Next view: overview, curves, pictures, log.", footer=True),
    Key("run", "1", "view('overview')", "overview", "Everything at a glance."),
    Key("run", "2", "view('curves')", "curves", "All curves, large."),
    Key("run", "3", "view('pictures')", "pictures", "The synthetic images, large."),
    Key("run", "4", "view('log')", "log", "The log, large."),
    Key("run", "escape", "home", "home", "Back to presets and runs; the run goes on.", "esc", footer=True),
    # plots: the one in focus, or all where none is
    Key("plot", "y", "plot('log_y')", "log y", "Logarithmic y axis."),
    Key("plot", "X", "plot('log_x')", "log x", "Logarithmic x axis.", "X"),
    Key("plot", "w", "plot('smoother')", "smoother", "Smooth more (exponential average of all values)."),
    Key("plot", "W", "plot('rougher')", "rougher", "Smooth less.", "W"),
    Key("plot", "plus,equals_sign", "plot('in')", "zoom in", "Zoom in around the cursor.", "+"),
    Key("plot", "minus", "plot('out')", "zoom out", "Zoom out.", "-"),
    Key("plot", "h,left", "plot('left')", "left", "Move the cursor left; a zoomed view follows.", "h ←"),
    Key("plot", "l,right", "plot('right')", "right", "Move the cursor right.", "l →"),
    Key("plot", "H", "plot('far_left')", "far left", "Move the cursor ten columns left.", "H"),
    Key("plot", "L", "plot('far_right')", "far right", "Move the cursor ten columns right.", "L"),
    Key("plot", "0", "plot('reset')", "reset", "All of it again: no zoom, no cursor."),
    Key("plot", "z", "zoom_pane", "enlarge", "The curve in focus alone, or all again."),
    # pictures
    Key("pictures", "comma", "scrub(-1)", "earlier", "The snapshot before.", ","),
    Key("pictures", "full_stop", "scrub(1)", "later", "The next snapshot; the last follows the run.", "."),
    Key("pictures", "less_than_sign", "scrub(-1000000)", "first", "The first snapshot.", "<"),
    Key("pictures", "greater_than_sign", "scrub(1000000)", "newest", "The newest snapshot, and what follows.", ">"),
    Key("pictures", "n", "pictures_page(1)", "more images", "Further images, where not all fit."),
    Key("pictures", "N", "pictures_page(-1)", "images before", "The images before.", "N"),
    # log
    Key("log", "slash", "filter_log", "filter", "Show only lines with the words typed.", "/"),
)  # fmt: skip

TITLES: dict[Scope, str] = {
    "app": "Everywhere",
    "home": "Presets and runs",
    "settings": "Settings",
    "run": "Run",
    "plot": "Curves (the one in focus; tab moves the focus)",
    "pictures": "Pictures",
    "log": "Log",
    "dialog": "Questions",
}


def bindings(*scopes: Scope) -> list[BindingType]:
    """The bindings of some scopes, in the table's order."""
    return [key.binding() for key in KEYS if key.scope in scopes]


def keys_of(*scopes: Scope) -> list[tuple[str, list[Key]]]:
    """Title and lines of some scopes, for the help screen."""
    return [(TITLES[scope], [key for key in KEYS if key.scope == scope]) for scope in scopes]
