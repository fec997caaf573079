"""From a run's history to the figures and facts of the run screen. Pure: no widget, no terminal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.config.schema import Config
from engine.config.selection import selected_on
from engine.events import Evaluation
from engine.runs.history import RunHistory
from engine.wording import counted
from mim4dd_tui.dashboard.growing import Growing, grown
from mim4dd_tui.dashboard.widgets.facts import Fact
from mim4dd_tui.plain import percent, score
from mim4dd_tui.plots.figure import DEVIATION, Band, Figure, Floats, Level, Moment, Series, Side
from mim4dd_tui.quantities import bound_of, nats, number

OBJECTIVE, NCE, BOUND, ACCURACY, RANDOM, FULL, RATIO, STEP, ASKED = 1, 2, 3, 5, 8, 4, 7, 6, 2
"""Inks: one meaning, one colour, on all curves and in all numbers; the accuracies asked for are on no plot with NCE."""

LAYERS = (5, 6, 7, 8, 1, 2, 4)
"""Inks of the single layers' bounds: as many as the deepest network has, its logits included."""


def _curve(history: RunHistory, name: str, label: str, ink: int, *, side: Side = "left") -> list[Series]:
    kept = grown(history, name)
    return [_of(kept, label, ink, side)] if len(kept.x) else []


def _of(kept: Growing, label: str, ink: int, side: Side = "left") -> Series:
    known = len(kept.x)

    def smoothed(weight: float) -> Floats:
        return kept.smoothed(weight)[:known]

    return Series(label, kept.x, kept.y, ink, side, smoother=smoothed)


def losses(history: RunHistory) -> Figure:
    """Objective on the left axis, contrastive loss on the right; before the first iteration the experts' loss."""
    if training(history):
        return experts_loss(history)
    series = _curve(history, "objective", "objective", OBJECTIVE)
    # first, so that the objective is drawn over it
    return Figure(
        (*_curve(history, "nce", "nce", NCE, side="right" if series else "left"), *series), empty="no iteration yet"
    )


def training(history: RunHistory) -> bool:
    """Whether experts are being trained: of those from the cache there is one reading each, and no curve."""
    return not history.iteration and any(not expert.last.reused for expert in history.experts.values())


def experts_loss(history: RunHistory) -> Figure:
    """Every expert's training loss over its epochs; the newest is drawn strongest."""
    newest = max(history.experts)
    series = []
    for place, expert in sorted(history.experts.items())[-24:]:
        epochs = np.array(expert.loss.iterations, dtype=float)
        values = np.array(expert.loss.values, dtype=float)
        name = f"expert {place + 1}" if place == newest else ""
        series.append(Series(name, epochs, values, OBJECTIVE if place == newest else OBJECTIVE + 100))
    return Figure(tuple(s for s in series if len(s.x)), x_name="epoch", empty="no epoch yet")


OVER = ("done", "failed")
"""States of runs from which nothing more comes, as they are."""
OFF = "the term is off (information.weight 0)"
"""What stands in place of its curves."""


def off(history: RunHistory) -> bool:
    """Whether the run is without the term, as a change of its settings or its iterations say."""
    changes = history.started.changes if history.started is not None else {}
    return changes.get("information.weight") == 0 or (history.iteration > 0 and not _values(history, "nce"))


def _layer(history: RunHistory, name: str) -> str:
    """A layer's name, and whether the bound, which is the largest layer's at each reading, is drawn over its curve."""
    label = f"layer {name.removeprefix('bound.')}"
    own, bound = grown(history, name).y, grown(history, "bound").y
    if len(own) != len(bound):
        return label
    over = (own == bound) | (np.isnan(own) & np.isnan(bound))
    return f"{label} (the bound)" if over.all() else f"{label} (partly the bound)" if over.any() else label


def information(history: RunHistory) -> Figure:
    """The bound on the mutual information in nats, below its ceiling log C; single layers fainter."""
    series = []
    layers = sorted(name for name in history.series if name.startswith("bound."))
    if len(layers) > 1:
        for ink, name in zip(LAYERS, layers, strict=False):
            series += _curve(history, name, _layer(history, name), ink + 100)
    series += _curve(history, "bound", "MI bound", BOUND)
    ceiling = history.series.get("ceiling")
    levels = (Level("log C", ceiling.values[-1], RANDOM),) if ceiling and series else ()
    return Figure(
        tuple(series),
        levels,
        y_floor=0.0,
        told=nats,
        y_name="nats",
        empty=OFF if off(history) else "no bound read yet",
    )


def accuracy(history: RunHistory) -> Figure:
    """Live accuracy with its deviation and under its protocol's name, between random real images and the full set.

    Accuracies that were asked for are marks beside the curve: they never choose the best. What was measured on
    validation images says so, and so does a baseline of other images or of another protocol than the curve's.
    """
    series = [
        Series(name, x, mean, ink, band=band if line else None, markers=True, line=line)
        for name, ink, line, (x, mean, band) in (
            (_live_name(history.live), ACCURACY, True, _scores(history, "accuracy")),
            ("asked for", ASKED, False, _scores(history, "accuracy_asked")),
        )
        if len(x)
    ]
    levels = []
    for label, event, ink in (
        ("random", history.random_selection, RANDOM),
        ("full", history.full_set, FULL),
    ):
        if event is not None and math.isfinite(event.mean):
            more = ", ".join([*_labels(event), *_apart(event, history.live)])
            levels.append(Level(f"{label} ({more})" if more else label, event.mean, ink))
    return Figure(
        tuple(series),
        tuple(levels),
        percent=True,
        told=percent,
        empty="no live evaluation" if history.state == "done" else "no evaluation yet",
        extent=(0.0, float(max(1, history.iteration))),
    )


def _scores(history: RunHistory, name: str) -> tuple[Floats, Floats, Band]:
    """Iterations and means of a curve of accuracies, and the band of their deviations."""
    kept, deviations = grown(history, name), history.series.get(f"{name}_std")
    known = dict(deviations.points()) if deviations else {}
    spread = np.array([known.get(int(i), math.nan) for i in kept.x])
    return kept.x, kept.y, Band(kept.y - spread, kept.y + spread, DEVIATION)


def _live_name(event: Evaluation | None) -> str:
    """``live, quick-100``: the numbers beside the curve may be final ones, of another protocol."""
    if event is None:
        return "live"
    return f"live{' validation' if event.measured_on == 'validation' else ''}, {event.protocol}"


def _labels(baseline: Evaluation) -> list[str]:
    """Whose labels random real images have, where they are not their own: an expert's, as soft ones of a set begin."""
    return ["expert's labels"] if baseline.labelled else []


def _apart(baseline: Evaluation, live: Evaluation | None) -> list[str]:
    """In what a baseline differs from the curve it stands beside: the images, the protocol; and of how many images the
    full set is, where it is not whole.

    The full set is measured by the experts, whose training no protocol of a run is.
    """
    used = baseline.train_images
    differing = [] if used is None else [counted(used, "image")]
    if live is not None:
        differing += [baseline.measured_on] if baseline.measured_on != live.measured_on else []
        by_protocol = baseline.subject != "full_set"
        differing += [baseline.protocol] if by_protocol and baseline.protocol != live.protocol else []
    return differing


def ratio(history: RunHistory) -> Figure:
    """Norm of the contrastive gradient over the objective's, on the pixels."""
    empty = OFF if off(history) else "no iteration yet"
    return Figure(tuple(_curve(history, "gradient_ratio", "", RATIO)), empty=empty)


def fixed_step(history: RunHistory) -> float | None:
    """The step size of a set whose iterations have left it as it was; None where they move it, or there is but one."""
    values = _values(history, "step_size")
    return values[0] if len(values) > 1 and all(value == values[0] for value in values) else None


def step_size(history: RunHistory) -> Figure:
    """The set's own step size, where it is learned."""
    if (still := fixed_step(history)) is not None:
        return Figure((), empty=f"not learned: {number(still)} throughout")
    empty = "this objective learns none" if history.iteration else "no iteration yet"
    return Figure(tuple(_curve(history, "step_size", "", STEP)), empty=empty)


def rate(seconds: Floats) -> Floats:
    """Iterations a minute, from the seconds of each; nan where it took none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = np.where(seconds > 0, 60.0 / seconds, np.nan)
    return out


def speed(history: RunHistory) -> Figure:
    """Throughput: iterations a minute."""
    kept = grown(history, "seconds", rate)
    return Figure((_of(kept, "", OBJECTIVE),) if len(kept.x) else (), empty="no iteration yet")


FIGURES: dict[str, tuple[str, Callable[[RunHistory], Figure]]] = {
    "losses": ("loss", losses),
    "information": ("information", information),
    "accuracy": ("accuracy", accuracy),
    "ratio": ("NCE / objective gradient", ratio),
    "step_size": ("step size", step_size),
    "speed": ("iterations a minute", speed),
}
"""Panes by name: heading and figure."""


def drawn(name: str, history: RunHistory) -> Figure:
    """A pane's figure, over iterations with the moments at which the run was lengthened or went back.

    What a run that is over lacks is not said to come.
    """
    figure = FIGURES[name][1](history)
    if history.state in OVER:
        figure = replace(figure, empty=figure.empty.removesuffix(" yet"), over=True)
    return figure if training(history) and name == "losses" else replace(figure, moments=moments(history))


def moments(history: RunHistory) -> tuple[Moment, ...]:
    """Where the run was lengthened, and to where it went back after its numbers had lost their meaning."""
    longer = (Moment("lengthened", one.iteration) for one in history.lengthened)
    back = (Moment("went back", one.iteration) for one in history.recoveries)
    return tuple(dict.fromkeys((*longer, *back)))


BRIEF = {"accuracy": "acc.", "information": "info", "ratio": "NCE/obj.", "speed": "it./min"}
"""Headings where the whole one leaves no room for a value."""


def _score(event: Evaluation | None) -> str:
    # whether it is live stands in the name
    return "-" if event is None else score(event.mean, event.std, live=False, on=event.measured_on)


def _baseline(event: Evaluation | None, best: Evaluation | None) -> str:
    """With ``*`` where it is not comparable with the best; the title of the accuracy's pane says why."""
    return _score(event) + ("*" if event is not None and _apart(event, best) else "")


def _named(which: str, event: Evaluation | None) -> str:
    """``best live`` while the run goes on, ``best final`` after its end, which has a protocol of its own; the newest
    may be one that was asked for, which is no point of the curve."""
    if event is not None and event.subject == "request":
        return "asked for"
    return which if event is None else f"{which} {'live' if event.live else 'final'}"


def _last(history: RunHistory, name: str) -> float | None:
    series = history.series.get(name)
    return None if series is None else series.last


def _values(history: RunHistory, name: str) -> list[float]:
    series = history.series.get(name)
    return [] if series is None else series.values


def _to_choose_by(config: Config | None) -> tuple[str, str]:
    """Protocol and images that the best will be chosen by; where none is, the protocol of the final numbers."""
    if config is None:
        return "-", "-"
    on, judged = selected_on(config), config.evaluation
    return judged.protocol if on == "none" else judged.live_protocol, on


def facts(history: RunHistory, memory: float | None = None, config: Config | None = None) -> tuple[Fact, ...]:
    """The numbers that matter, most important first. ``memory`` in MiB, for while no iteration has told of it; by the
    settings is told how the best will be chosen, until one is.

    Memory is marked ``<=`` where it includes what earlier runs left in the process."""
    best, last = history.best, history.last
    bound, ceiling = _last(history, "bound"), _last(history, "ceiling")
    execution = history.started.execution if history.started is not None else {}
    used = memory if history.peak is None else history.peak
    device = str(execution.get("device", "-"))
    if execution.get("threads") and device == "cpu":
        threads = execution["threads"]
        device += f", {counted(threads, 'thread')}"
    gradient = _last(history, "gradient_ratio")
    step = _last(history, "step_size")
    protocol, chosen_on = (best.protocol, best.selected_on) if best is not None else _to_choose_by(config)
    return (
        (_named("best", best), _score(best), ACCURACY),
        ("random", _baseline(history.random_selection, best), 0),
        ("MI bound", bound_of(bound, ceiling), BOUND),
        ("memory", "-" if used is None else f"{'<= ' if history.shared else ''}{used:,.0f} MiB", 0),
        (_named("last", last), _score(last), 0),
        ("full set", _baseline(history.full_set, best), 0),
        ("NCE/obj.", "-" if gradient is None else number(gradient), 0),
        ("device", device, 0),
        ("step size", "-" if step is None else number(step) + ("" if fixed_step(history) is None else ", fixed"), 0),
        ("protocol", protocol, 0),
        ("chosen on", chosen_on, 0),
        ("precision", str(execution.get("precision", "-")), 0),
    )
