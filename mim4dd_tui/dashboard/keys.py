"""The one table of keys. Bindings, footer, help screen and dispatch are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType
from textual.screen import Screen

Scope = Literal[
    "app",
    "home",
    "runs",
    "compare",
    "queue",
    "table",
    "settings",
    "run",
    "plot",
    "panes",
    "pictures",
    "gallery",
    "log",
    "dialog",
]


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

    def shown(self, *, arrows: bool = True) -> str:
        """The key as written in the help, where the terminal has ``arrows`` or not."""
        face = self.face or self.keys.split(",")[0]
        return face if arrows else without_arrows(face)


ARROWS = {"←": "left", "→": "right", "↑": "up", "↓": "down"}


def without_arrows(face: str) -> str:
    """How a key is shown where arrows would come out as ``<`` and ``>``, which are keys too."""
    letters = [part for part in face.split() if part not in ARROWS]
    return " ".join(letters or [ARROWS[part] for part in face.split()])


KEYS: tuple[Key, ...] = (
    # everywhere
    Key("app", "question_mark,f1", "help", "help", "This list of keys.", "?", footer=True),
    Key("app", "ctrl+p,colon", "command_palette", "commands", "Everything that can be done here, by its name.", ":"),
    Key("app", "Q", "show_queue", "queue", "The runs that wait for their turn.", "Q"),
    Key("app", "C", "copy_path", "copy path",
        "The path of the run, or of the runs folder, to the terminal's clipboard (OSC 52). Some terminals take "
        "nothing: `mim4dd show` prints it too.", "C"),
    Key("app", "exclamation_mark", "next_attention", "notices",
        "What the end of a run sets off: notification, title and bell; the bell alone; nothing.", "!"),
    Key("app", "a", "toggle_ascii", "ascii", "Pictures as half-blocks or as ASCII."),
    Key("app", "P", "next_graphics", "graphics",
        "Pictures as characters, by kitty graphics (also through tmux), by sixel: what your terminal can do.", "P"),
    Key("app", "tab", "focus_next", "next part", "The next list, curve or part; shift+tab the one before."),
    Key("app", "t", "next_theme", "theme", "Next theme: dark, light, colour-blind safe, the terminal's own, yours."),
    Key("app", "ctrl+l", "redraw", "redraw", "Paint all anew, where the terminal has lost it.", "^l"),
    Key("app", "q", "leave", "quit", "Quit; asks first while a run goes on.", footer=True),
    Key("app", "ctrl+c", "interrupt", "quit", "As q; pressed again it stops the run, to be resumed.", "^c",
        priority=True),
    Key("app", "ctrl+z", "suspend", "suspend", "Back to the shell, whose fg comes back here; holds a run too.", "^z",
        priority=True),
    Key("app", "ctrl+q", "leave", "quit", "As q, also while typing.", "^q", priority=True),
    # home
    Key("home", "s", "start", "start", "Start a run with the settings shown.", footer=True),
    Key("home", "w", "enqueue", "queue",
        "Queue the settings shown, or the rest of the run under the cursor."),
    Key("home", "e", "edit", "settings", "Go to the settings of the chosen preset.", footer=True),
    Key("home", "slash", "search", "search", "Show only presets with the words typed.", "/", footer=True),
    Key("home", "p", "presets", "presets", "Go to the presets."),
    Key("home", "r", "runs", "runs", "Go to the runs.", footer=True),
    Key("home", "enter", "take", "open", "Open the run; of a preset, its settings; of a setting, its "
        "value: what is typed replaces it, an arrow keeps it."),
    Key("home", "escape", "leave_list", "back", "From the settings or the runs back to the presets.", "esc"),
    Key("home", "R", "resume", "resume", "Continue the run under the cursor from its last checkpoint.", "R"),
    Key("home", "I", "lengthen", "lengthen", "Give the run under the cursor more iterations, done or not.", "I"),
    Key("home", "D", "duplicate", "new run", "Take the settings of the run under the cursor into a new one.", "D"),
    Key("home", "X,delete", "delete", "delete preset", "Delete a preset of your own; asks first.", "X"),
    Key("home", "b", "browse", "browse", "All runs: sort, filter, search, compare, delete.", footer=True),
    Key("home", "j", "list('down')", "down", "The next line of the list."),
    Key("home", "k", "list('up')", "up", "The line before."),
    Key("home", "g", "list('first')", "top", "The first line."),
    Key("home", "G", "list('last')", "bottom", "The last line.", "G"),
    Key("home", "ctrl+d", "list('half_down')", "half down", "Half of what is seen of the list down.", "^d"),
    Key("home", "ctrl+u", "list('half_up')", "half up", "Half of what is seen of the list up.", "^u"),
    Key("home", "l", "show_live", "live run", "To the run of this dashboard, going on or over."),
    # runs
    Key("runs", "space", "mark", "mark",
        "Mark the run for comparing (up to eight) or take the mark off; on to the next.",
        footer=True),
    Key("runs", "c", "compare", "compare", "Compare the marked runs: one plot, one table.", footer=True),
    Key("runs", "u", "unmark", "unmark all", "Take all marks off."),
    Key("runs", "slash", "search", "search", "Show only runs with the words typed.", "/", footer=True),
    Key("runs", "f", "filter(1)", "filter", "Next filter: all, running or paused, queued, done, stopped, failed.",
        footer=True),
    Key("runs", "F", "filter(-1)", "filter back", "The filter before.", "F"),
    Key("runs", "s", "sort", "sort", "Next order: newest, accuracy, name, preset, state, progress.", footer=True),
    Key("runs", "S", "reverse", "reverse", "The same order from the other end.", "S"),
    Key("runs", "0", "all", "all", "All runs again: no search, no filter."),
    Key("runs", "R", "resume", "resume", "Continue the run from its last checkpoint.", "R"),
    Key("runs", "I", "lengthen", "lengthen", "Give the run, also one that is done, more iterations.", "I"),
    Key("runs", "w", "enqueue", "queue", "Queue the rest of the run."),
    Key("runs", "D", "duplicate", "new run", "Take the run's settings into a new one.", "D"),
    Key("runs", "X,delete", "delete", "delete", "Delete the marked runs, else this one, for good; asks first.", "X"),
    Key("runs", "escape", "close", "back", "Back to where you came from.", "esc", footer=True),
    # compare
    Key("compare", "m", "metric(1)", "metric", "Next metric: accuracy, losses, bound, rates, speed.", footer=True),
    Key("compare", "b", "metric(-1)", "metric back", "The metric before."),
    Key("compare", "M", "grid", "four", "Accuracy, objective, bound and contrastive loss at once, or one metric.", "M",
        footer=True),
    Key("compare", "d", "only_different", "differing", "All settings, or only those that differ.", footer=True),
    Key("compare", "c", "copy", "copy table",
        "The table, with tabs between its columns, to the terminal's clipboard; E writes it."),
    Key("compare", "E", "export", "export",
        "Plots seen (SVG, PNG), results and curves (CSV) to exports/ of the runs folder.", "E"),
    Key("compare", "escape", "close", "back", "Back to the runs.", "esc", footer=True),
    # queue
    Key("queue", "s", "go", "start", "Start what waits, one run after another.", footer=True),
    Key("queue", "p", "hold", "hold", "Start nothing more after the run that is going.", footer=True),
    Key("queue", "K", "shift(-1)", "earlier", "Move the run towards the front.", "K", footer=True),
    Key("queue", "J", "shift(1)", "later", "Move the run towards the end.", "J", footer=True),
    Key("queue", "X,delete", "take_out", "take out", "Take it out of the queue; asks first where that deletes it.", "X",
        footer=True),
    Key("queue", "escape", "close", "back", "Back to where the queue was opened from.", "esc", footer=True),
    # tables
    Key("table", "up,k", "cursor(-1)", "up", "The row above.", "k ↑"),
    Key("table", "down,j", "cursor(1)", "down", "The row below.", "j ↓"),
    Key("table", "home,g", "cursor(-1000000)", "top", "The first row.", "g"),
    Key("table", "end,G", "cursor(1000000)", "bottom", "The last row.", "G"),
    Key("table", "pageup,ctrl+b", "page(-1)", "page up", "A page up.", "pgup"),
    Key("table", "pagedown,ctrl+f", "page(1)", "page down", "A page down.", "pgdn"),
    Key("table", "ctrl+u", "page(-0.5)", "half up", "Half a page up.", "^u"),
    Key("table", "ctrl+d", "page(0.5)", "half down", "Half a page down.", "^d"),
    Key("table", "left", "columns(-1)", "columns", "The columns before, where not all have room.", "←", footer=True),
    Key("table", "right", "columns(1)", "columns", "The columns after these, where not all have room.", "→",
        footer=True),
    Key("table", "enter", "choose", "open", "Open the row.", "enter", footer=True),
    # settings
    Key("settings", "slash", "search", "search", "Show only settings with the words typed.", "/", footer=True),
    Key("settings", "u", "undo", "undo", "Back to the preset's value."),
    Key("settings", "U", "undo_all", "undo all", "Back to the preset in every setting; again: what that dropped.", "U"),
    Key("settings", "c", "only_changed", "changed", "Show only what differs from the preset."),
    Key("settings", "S", "save", "save as preset", "Keep the settings as a preset of your own.", "S"),
    Key("settings", "left", "previous_choice", "previous choice", "The choice before, where there are choices.", "←"),
    Key("settings", "right", "next_choice", "next choice", "The next choice, where there are choices.", "→"),
    # run
    Key("run", "space", "pause", "pause", "Pause the run, or let it go on.", "space", footer=True),
    Key("run", "x", "stop", "stop", "Stop, while it distils with a checkpoint; R resumes it.", footer=True),
    Key("run", "R", "resume", "resume", "Continue a stopped or failed run from its last checkpoint.", "R",
        footer=True),
    Key("run", "I", "lengthen", "lengthen", "Give a run that is over more iterations; asks how many.", "I",
        footer=True),
    Key("run", "e", "evaluate", "evaluate",
        "Evaluate the synthetic set now; the best iterate is chosen by the due evaluations alone.", footer=True),
    Key("run", "D", "duplicate", "new run", "Take the run's settings into a new one.", "D",
        footer=True),
    Key("run", "K", "checkpoint", "checkpoint", "Write a checkpoint now.", "K"),
    Key("run", "c", "copy", "copy values",
        "Values of the curve in focus at the cursor, else all numbers, to the terminal's clipboard; E writes all."),
    Key("run", "E", "export", "export",
        "The plot in focus, else those shown, else all (SVG, PNG), and all metrics (CSV), to exports/.", "E"),
    Key("run", "v", "next_view", "view", "Next view: overview, curves, pictures, log.", footer=True),
    Key("run", "1", "view('overview')", "overview", "Everything at a glance."),
    Key("run", "2", "view('curves')", "curves", "All curves, large."),
    Key("run", "3", "view('pictures')", "pictures", "The synthetic images, large."),
    Key("run", "4", "view('log')", "log", "The log, large."),
    Key("run", "escape", "back", "back", "Back to where you came from; a run at work goes on.", "esc", footer=True),
    # plots: the one in focus, or all where none is
    Key("plot", "h,left", "plot('left')", "cursor left", "Move the cursor left; a zoomed view follows.", "h ←",
        footer=True),
    Key("plot", "l,right", "plot('right')", "cursor right", "Move the cursor right.", "l →"),
    Key("plot", "H", "plot('far_left')", "cursor far left", "Move the cursor ten columns left.", "H"),
    Key("plot", "L", "plot('far_right')", "cursor far right", "Move the cursor ten columns right.", "L"),
    Key("plot", "plus,equals_sign", "plot('in')", "zoom in", "Zoom in around the cursor.", "+", footer=True),
    Key("plot", "minus", "plot('out')", "zoom out", "Zoom out.", "-"),
    Key("plot", "left_parenthesis", "plot('pan_left')", "pan left", "Move a zoomed view half its width left.", "("),
    Key("plot", "right_parenthesis", "plot('pan_right')", "pan right", "Move a zoomed view half its width right.", ")"),
    Key("plot", "y", "plot('log_y')", "log y", "Logarithmic y axis.", footer=True),
    Key("plot", "X", "plot('log_x')", "log x", "Logarithmic x axis.", "X"),
    Key("plot", "w", "plot('smoother')", "smoother", "Smooth more (exponential average of all values).", footer=True),
    Key("plot", "W", "plot('rougher')", "rougher", "Smooth less.", "W"),
    Key("plot", "0", "plot('reset')", "reset", "All of it again: no zoom, no cursor."),
    Key("plot", "z", "zoom_pane", "enlarge", "The curve in focus alone (tab: the next one), or all again.",
        footer=True),
    # panes: the one in focus, or the first
    Key("panes", "left_square_bracket", "divide('columns', -1)", "narrower", "Make the pane in focus narrower, or the "
        "first; the mouse drags what lies between two.", "["),
    Key("panes", "right_square_bracket", "divide('columns', 1)", "wider", "Make it wider.", "]"),
    Key("panes", "left_curly_bracket", "divide('rows', -1)", "lower", "Make it lower.", "{"),
    Key("panes", "right_curly_bracket", "divide('rows', 1)", "taller", "Make it taller.", "}"),
    Key("panes", "backslash", "divide_evenly", "even panes", "All panes of this view as they were at first.", "\\"),
    # pictures
    Key("pictures", "comma", "scrub(-1)", "earlier", "The snapshot before; the curves' cursors go with it.", ",",
        footer=True),
    Key("pictures", "full_stop", "scrub(1)", "later", "The next snapshot; the last follows the run.", ".", footer=True),
    Key("pictures", "p", "replay", "replay", "Play the run again from its first snapshot; again: stop there.",
        footer=True),
    Key("pictures", "less_than_sign", "scrub(-1000000)", "first", "The first snapshot.", "<"),
    Key("pictures", "greater_than_sign", "scrub(1000000)", "newest", "The newest snapshot, and what follows.", ">"),
    Key("pictures", "n", "pictures_page(1)", "more images", "Further images, where not all fit."),
    Key("pictures", "N", "pictures_page(-1)", "images before", "The images before.", "N"),
    # the pictures in focus (3, or tab)
    Key("gallery", "left,h", "select(-1, 0)", "image left", "The image to the left.", "h ←"),
    Key("gallery", "right,l", "select(1, 0)", "image right", "The image to the right.", "l →"),
    Key("gallery", "up,k", "select(0, -1)", "image above", "The image above.", "k ↑"),
    Key("gallery", "down,j", "select(0, 1)", "image below", "The image below.", "j ↓"),
    Key("gallery", "enter", "enlarge(1)", "larger", "The selected image's class, then the image alone.", "enter",
        footer=True),
    Key("gallery", "backspace", "enlarge(-1)", "smaller", "Back to the class, then to all images.", "bksp",
        footer=True),
    Key("gallery", "o", "beside", "origin", "Each image beside what it started from.", footer=True),
    # log
    Key("log", "j", "roll(1)", "line down", "A line down."),
    Key("log", "k", "roll(-1)", "line up", "A line up."),
    Key("log", "g", "roll(-1000000)", "first line", "The first line."),
    Key("log", "G", "roll(1000000)", "newest line", "The newest line, and what follows.", "G"),
    Key("log", "ctrl+d", "roll_page(0.5)", "half down", "Half a page down.", "^d"),
    Key("log", "ctrl+u", "roll_page(-0.5)", "half up", "Half a page up.", "^u"),
    Key("log", "slash", "filter_log", "filter", "Show only lines with the words typed.", "/", footer=True),
    Key("log", "ctrl+r", "filter_kind", "regex", "Filter by a regular expression, or by words again.", "^r",
        footer=True),
)  # fmt: skip

TITLES: dict[Scope, str] = {
    "app": "Everywhere",
    "home": "Presets and runs",
    "runs": "All runs",
    "compare": "Compared runs",
    "queue": "Queue",
    "table": "Lists",
    "settings": "Settings",
    "run": "Run",
    "plot": "Curves (the one in focus; tab moves the focus)",
    "panes": "Panes (the one in focus, or the first)",
    "pictures": "Pictures over time",
    "gallery": "Pictures in focus (3, or tab)",
    "log": "Log",
    "dialog": "Questions",
}


TYPING: dict[str, tuple[tuple[str, str, str], ...]] = {
    "presets-search": (("enter", "enter", "to the list"), ("escape", "esc", "all presets")),
    "settings-search": (("enter", "enter", "to the list"), ("escape", "esc", "all settings")),
    "settings-value": (("enter", "enter", "take it"), ("escape", "esc", "leave it as it was")),
    "runs-search": (("enter", "enter", "to the list"), ("escape", "esc", "all runs")),
    "log-filter": (("enter", "enter", "to the log"), ("escape", "esc", "all lines")),
}
"""What keys do while something is typed, by the field's id: Textual's name, how it is shown, and what it does. The
fields answer them themselves; the line of keys shows them before those that do the same everywhere."""

CHOOSING: dict[str, tuple[tuple[str, str, str], ...]] = {
    "settings-list": (
        ("enter", "enter", "edit"), ("right", "→", "next"), ("u", "u", "undo"), ("c", "c", "changed"),
        ("S", "S", "save"),
    ),
    "runs": (
        ("enter", "enter", "open"), ("R", "R", "resume"), ("I", "I", "lengthen"), ("w", "w", "queue"),
        ("D", "D", "new run"),
        ("p", "p", "presets"),
    ),
}  # fmt: skip
"""The same of lists whose keys come first while one is in them; a way there is then left out."""


def first_of(field: str | None) -> tuple[tuple[str, str, str], ...]:
    """Keys that the line of keys shows first while this field has the focus."""
    return TYPING.get(field or "", ()) or CHOOSING.get(field or "", ())


def scopes_at(screen: Screen[object]) -> tuple[Scope, ...]:
    """The scopes of a screen; first that of the part of it in focus, where it has one (``SCOPE``)."""
    scopes: tuple[Scope, ...] = getattr(screen, "SCOPES", ("app",))
    around = screen.focused.ancestors_with_self if screen.focused is not None else []
    here: list[Scope] = [scope for node in around if (scope := getattr(node, "SCOPE", None)) in scopes][:1]
    return (*here, *(scope for scope in scopes if scope not in here))


def bindings(*scopes: Scope) -> list[BindingType]:
    """The bindings of some scopes, in the table's order."""
    return [key.binding() for key in KEYS if key.scope in scopes]


def keys_of(*scopes: Scope) -> list[tuple[str, list[Key]]]:
    """Title and lines of some scopes, for the help screen."""
    return [(TITLES[scope], [key for key in KEYS if key.scope == scope]) for scope in scopes]
