"""Several runs beside one another: one figure for a metric, one table of results and of differing settings.

Pure: it is given histories and configurations and knows neither widgets nor files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from engine.config.schema import Config
from engine.events import Evaluation
from engine.runs.readings import Readings
from engine.wording import counted
from mim4dd_tui.dashboard import together
from mim4dd_tui.dashboard.contenders import Contender, Line
from mim4dd_tui.dashboard.curves import OFF, OVER, off, rate
from mim4dd_tui.plain import duration, percent
from mim4dd_tui.plain import score as told_score
from mim4dd_tui.plots.figure import DEVIATION, Band, Figure, Floats, Level, Series
from mim4dd_tui.quantities import nats, number
from mim4dd_tui.spelling import every_setting, value_of, written

METRICS: dict[str, tuple[str, str]] = {
    "accuracy": ("live accuracy", "accuracy"),  # the table has the final one; see heading() too
    "objective": ("objective", "objective"),
    "nce": ("contrastive loss", "nce"),
    "bound": ("MI bound, nats", "bound"),
    "ratio": ("NCE / objective gradient", "gradient_ratio"),
    "step_size": ("step size", "step_size"),
    "speed": ("iterations a minute", "seconds"),
}
"""Heading and series of the metrics that runs are compared by."""
BRIEF = {
    "accuracy": "live acc.",
    "objective": "obj.",
    "nce": "NCE",
    "bound": "MI, nats",
    "ratio": "NCE/obj.",
    "step_size": "step",
    "speed": "it./min",
}
"""Their headings where the whole ones leave no room for the names of the curves."""
OF_THE_TERM = ("nce", "bound", "ratio")
"""Metrics of runs with the mutual-information term alone."""
TOLD: dict[str, Callable[[float, float], str]] = {"accuracy": percent, "bound": nats}
"""How the values of a metric are spelled, where they are no mere numbers."""


def figure(metric: str, contenders: Sequence[Contender]) -> Figure:
    """The curves of one metric; accuracy with its deviation, the bound under its ceiling."""
    name = METRICS[metric][1]
    series, levels = [], []
    for one in contenders:
        found = one.history.series.get(name)
        if found is None or not len(found):
            continue
        x, y = np.array(found.iterations, dtype=float), np.array(found.values, dtype=float)
        if metric == "speed":
            y = rate(y)
        series.append(Series(one.mark, x, y, one.ink, band=_band(one, x, y, metric), markers=metric == "accuracy"))
    if metric == "bound" and series:
        ceilings = [one.history.series["ceiling"].last for one in contenders if "ceiling" in one.history.series]
        known = sorted({c for c in ceilings if c is not None})
        levels = [Level("log C" if len(known) == 1 else f"log {math.exp(c):.0f}", c, 0) for c in known]
    floor = 0.0 if metric == "bound" else None
    over = all(one.state in OVER for one in contenders)
    return Figure(
        tuple(series),
        tuple(levels),
        percent=metric == "accuracy",
        told=TOLD.get(metric),
        y_floor=floor,
        empty=_nothing(metric, contenders, over=over),
        over=over,
    )


def _nothing(metric: str, contenders: Sequence[Contender], *, over: bool) -> str:
    """Why no run has a curve."""
    if metric in OF_THE_TERM and all(off(one.history) for one in contenders):
        return OFF
    return "no run has it" if over else "no run has it yet"


def heading(metric: str, contenders: Sequence[Contender]) -> tuple[str, str]:
    """What a plot is called, and in brief; of accuracies that are not measured alike, both say so."""
    name, brief = METRICS[metric][0], BRIEF[metric]
    if metric != "accuracy":
        return name, brief
    ways = _measured(contenders)
    if len(set(ways) - {""}) > 1:
        return f"{name}, measured differently", f"{brief} (mixed)"
    if any("validation" in way for way in ways):
        return f"{name} on validation images", f"{brief} (validation)"
    return name, brief


def _live(one: Contender) -> Evaluation | None:
    return next((each for each in reversed(one.history.evaluations) if each.subject == "live"), None)


def _measured(contenders: Sequence[Contender]) -> list[str]:
    """``validation, quick-100``: the images and the protocol of every run's curve of accuracies; empty without one."""
    ways = []
    for one, images in zip(contenders, _images(contenders), strict=True):
        event = _live(one)
        ways.append("" if event is None else f"{images}, {event.protocol}")
    return ways


def _images(contenders: Sequence[Contender]) -> list[str]:
    """On which images every run's curve of accuracies was measured, in as many words as tell them apart: ``test``,
    ``mnist test``, ``test of 100``, ``test of 100, drawn by experts.seed 3``; "-" without a curve."""
    events = [_live(one) for one in contenders]
    configs = [None if event is None else one.config for one, event in zip(contenders, events, strict=True)]
    sets = {config.data.name for config in configs if config is not None}
    parts = [_part(config, event) for config, event in zip(configs, events, strict=True)]
    told = []
    for config, event, part in zip(configs, events, parts, strict=True):
        words = [] if event is None else [event.measured_on]
        if config is not None and len(sets) > 1:
            words.insert(0, config.data.name)
        others = {one for one in parts if one[0] == part[0]}
        if part[1] and len(others) > 1:
            words.append(f"of {part[1]}")
        if part[1] and len({one[2] for one in others if one[1] == part[1]}) > 1:
            words[-1] += f", drawn by experts.seed {part[2]}"
        told.append(" ".join(words) or "-")
    return told


def _part(config: Config | None, event: Evaluation | None) -> tuple[str, str, int]:
    """The images of a curve; how many of them, and by which seed they were drawn, where it is not all. Nothing else
    draws them: training images that are left out are so after that (``engine.data.prepare``)."""
    if config is None or event is None:
        return "", "", 0
    on, data = event.measured_on, config.data
    size = f"{100 * data.validation:g} %" if on == "validation" else str(data.test_limit or "")
    return on, size, config.experts.seed if size else 0


def _band(one: Contender, x: Floats, y: Floats, metric: str) -> Band | None:
    deviations = one.history.series.get("accuracy_std")
    if metric != "accuracy" or deviations is None:
        return None
    known = dict(deviations.points())
    spread = np.array([known.get(int(i), math.nan) for i in x])
    return Band(y - spread, y + spread, DEVIATION)


def table(contenders: Sequence[Contender], *, only_different: bool = True) -> list[Line]:
    """All lines: which runs, and how accurate; what was set (differently); then what else came out."""
    accurate = [*outcome(contenders), *together.lines(contenders)]
    return [*accurate, *settings(contenders, only_different=only_different), *details(contenders)]


def outcome(contenders: Sequence[Contender]) -> list[Line]:
    """Names, states and accuracies; "-" where there is none; by what protocol and on which images the curves were
    measured, whichever of these is not the same for all."""
    events = [_live(one) for one in contenders]
    protocols = ["-" if event is None else event.protocol for event in events]
    images = _images(contenders)
    told = (("live accuracy by", protocols), ("live accuracy on", images))
    differing = [_result(name, values) for name, values in told if len({*values} - {"-"}) > 1]
    return [
        _result("run", [one.label for one in contenders]),
        _result("state", [one.state for one in contenders]),
        _result("best accuracy", [_score(one.history.best) for one in contenders]),
        _result("last accuracy", [_score(one.history.last) for one in contenders]),
        *differing,
    ]


def details(contenders: Sequence[Contender]) -> list[Line]:
    """What else came out; "-" where it is not known. Whose labels random real images have is told where an expert
    labelled some, as it does where labels of the distilled set begin with its view."""

    def last(one: Contender, name: str, told: Callable[[float], str] = number) -> str:
        series = one.history.series.get(name)
        return "-" if series is None or series.last is None else told(series.last)

    def reached(one: Contender) -> str:
        return f"{one.history.iteration}/{one.history.iterations}" if one.history.iterations else "-"

    def worked(one: Contender) -> str:
        return "-" if one.history.started_at is None else duration(one.history.worked)

    random = [one.history.random_selection for one in contenders]
    labels = ["-" if event is None else "expert's" if event.labelled else "hard" for event in random]
    told_labels = [_result("random images' labels", labels)] if "expert's" in labels else []
    return [
        _result("iteration", [reached(one) for one in contenders]),
        _result("objective", [last(one, "objective") for one in contenders]),
        _result("MI bound, mean at end", [_mean(one) for one in contenders]),
        _result("MI bound, last reading", [last(one, "bound", nats) for one in contenders]),
        _result("step size", [last(one, "step_size") for one in contenders]),
        _result("random real images", [_score(event) for event in random]),
        *told_labels,
        _result("full set", [_score(one.history.full_set) for one in contenders]),
        _result("worked", [worked(one) for one in contenders]),
    ]


def _result(name: str, values: Sequence[str]) -> Line:
    return Line(name, tuple(values))


def _score(event: Evaluation | None) -> str:
    if event is None:
        return "-"
    # until the final evaluation there is a live one; the plot has nothing else
    return told_score(event.mean, event.std, live=event.live, on=event.measured_on)


def _mean(one: Contender) -> str:
    readings = Readings.of(one.history, one.config)
    return "-" if readings is None else nats(readings.mean)


def settings(contenders: Sequence[Contender], *, only_different: bool = True) -> list[Line]:
    """The settings, those alone that are not the same in all runs, or all of them."""
    lines: list[Line] = []
    for field in every_setting():
        values = tuple("?" if one.config is None else written(value_of(one.config, field.key)) for one in contenders)
        if not only_different or len(set(values) - {"?"}) > 1:
            lines.append(Line(field.key, values, result=False))
    return lines


NAMED = 8
"""How many settings a legend names; ``runs.csv`` beside it has all."""


def legend(metric: str, shown: Figure, contenders: Sequence[Contender]) -> list[tuple[int, str]]:
    """For paper, of every run that has a curve: its ink; and its letter, its name and the settings that differ.

    Of accuracies also the images and the protocol that measured them.
    """
    drawn = {series.name for series in shown.series}
    there = [one for one in contenders if one.mark in drawn]
    lines = settings(there)
    ends = Counter(line.name.rpartition(".")[2] for line in lines)
    more = [f"{counted(len(lines) - NAMED, 'setting')} more"] if len(lines) > NAMED else []
    notes, ways = [], _measured(there) if metric == "accuracy" else [""] * len(there)
    for place, one in enumerate(there):
        told = []
        for line in lines[:NAMED]:
            name = line.name.rpartition(".")[2]
            told.append(f"{line.name if ends[name] > 1 else name} {line.values[place]}")
        name = f"{one.label} ({ways[place]})" if ways[place] else one.label
        notes.append((one.ink, f"{one.mark}  {name}{': ' if told else ''}{', '.join([*told, *more])}"))
    return notes
