"""Analyses' documents as figures: sweeps, losses, CKA as pages; pictures of distilled sets as a sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.analysis.estimates import Estimate, estimate
from engine.analysis.tables import against, column, known, mean_matrix
from engine.runs.log import told_changes
from mim4dd_tui.plots.figure import Band, Figure, Level, Series, Viewport
from mim4dd_tui.plots.panels import Box, Points, error_bars, heat_map, stacked
from mim4dd_tui.plots.paper import INK, Page, lay_out, lines_of, noted, to_png
from mim4dd_tui.quantities import counted

Document = Mapping[str, Any]

BLUE, ORANGE = "#2f5fc4", "#b06a10"
ACCURACIES = (("best", "best iterate", BLUE), ("last", "last iterate", ORANGE))
WIDTH, HEIGHT = 940, 340
CAPTION = 22
"""Height of a line of text on a sheet of pictures, in pixels."""


def draw(document: dict[str, Any], pictures: Path) -> bytes:
    """The PNG of an analysis.

    Args:
        document: as ``engine.analysis.ask.analyse`` gives it.
        pictures: folder of the pictures that a document of grids names.
    """
    analysis = document["analysis"]
    if analysis == "grids":
        return sheet(document, pictures)
    page = {"loss": loss_page, "cka": cka_page}.get(analysis, sweep_page)(document)
    return to_png(noted(page, [(INK, caption(document))]))


def caption(document: Document) -> str:
    """What has to be known to read a figure: what its bars or bands are, and what was set on top of the preset."""
    analysis = document["analysis"]
    spread = {"loss": "bands: 95 % intervals over seeds", "cka": "means over seeds", "grids": "best iterates"}
    parts = [
        spread.get(analysis, "bars: 95 % intervals over seeds"),
        *([told_changes(document["set"])] if document["set"] else []),
        f"protocol {document['protocol']}",
    ]
    return "; ".join(parts)


def sweep_page(document: dict[str, Any]) -> Page:
    """Accuracy at every value, and beside it the paired difference to the reference; bars are 95 % intervals."""
    values = [row["value"] for row in document["rows"]]
    page = Page(WIDTH, HEIGHT)
    half = WIDTH / 2
    accuracy = [
        _points(name, colour, [estimate(known(column(document, value, key))) for value in values])
        for key, name, colour in ACCURACIES
    ]
    others = [value for value in values if value != document["reference"]]
    apart = [
        _points(name, colour, [against(document, value, key) for value in others]) for key, name, colour in ACCURACIES
    ]
    under = document["setting"]
    seeds = _seeds([len(known(column(document, value, ACCURACIES[0][0]))) for value in values])
    page.shapes.extend(
        error_bars(
            Box(0, 0, half, HEIGHT), values, accuracy, title=f"{document['preset']}: accuracy (%), {seeds}",
            under=under,
        )
    )  # fmt: skip
    page.shapes.extend(
        error_bars(
            Box(half, 0, half, HEIGHT), others, apart,
            title=f"paired difference to {document['reference']} (points)", under=under, zero=True,
        )
    )  # fmt: skip
    return page


def _seeds(counts: Sequence[int]) -> str:
    """On how many seeds values rest, where not all runs are finished yet."""
    least, most = min(counts, default=0), max(counts, default=0)
    return counted(most, "seed") if least == most else f"{least} to {most} seeds"


def _points(name: str, colour: str, found: list[Estimate]) -> Points:
    """Estimates of fractions, in percent."""
    bars = [(100 * e.low, 100 * e.high) if math.isfinite(e.half) else (math.nan, math.nan) for e in found]
    return Points(name, colour, [100 * e.mean for e in found], [low for low, _ in bars], [high for _, high in bars])


def loss_page(document: dict[str, Any]) -> Page:
    """The base loss over iterations, with the term and without, and below it their paired difference in percent; means
    over seeds and 95 % intervals."""
    series, counts = [], []
    for ink, (name, curve) in enumerate(document["curves"].items(), 1):
        done = [values for values in curve["values"] if values is not None]
        counts.append(len(done))
        if done:
            series.append(
                _banded(name, curve["iterations"], [known(values) for values in zip(*done, strict=True)], ink)
            )
    title = f"{document['preset']}: the base loss ({document['objective']}), {_seeds(counts)}"
    inks = {1: BLUE, 2: ORANGE}
    ours, theirs = (document["curves"][row["value"]] for row in document["rows"])
    pairs = [(a, b) for a, b in zip(ours["values"], theirs["values"], strict=True) if a is not None and b is not None]
    shares = [[a / b - 1 for a, b in zip(*points, strict=True) if a is not None and b] for points in _by_point(pairs)]
    apart = (_banded("with the term against without", ours["iterations"], shares, 1),) if pairs else ()
    below = Figure(apart, (Level("", 0.0, 0),), percent=True)
    return stacked(
        [
            lay_out(Figure(tuple(series)), Viewport(), inks, title, WIDTH, HEIGHT),
            lay_out(below, Viewport(), inks, "paired difference of the loss", WIDTH, HEIGHT),
        ]
    )


def _by_point(
    pairs: list[tuple[list[float | None], list[float | None]]],
) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """From pairs of curves to, for every point of them, all values of the one side and of the other."""
    if not pairs:
        return []
    ours, theirs = zip(*pairs, strict=True)
    return list(zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True))


def _banded(name: str, iterations: list[int], values: list[list[float]], ink: int) -> Series:
    """Mean and interval at every point."""
    found = [estimate(each) for each in values]
    band = Band(np.array([e.low for e in found]), np.array([e.high for e in found]))
    return Series(name, np.array(iterations, dtype=np.float64), np.array([e.mean for e in found]), ink, band=band)


def cka_page(document: dict[str, Any]) -> Page:
    """Unbiased CKA of the experts' layers (down) with those of networks trained on the distilled set (across)."""
    page = Page(WIDTH, 330)
    third = WIDTH / 3
    layers = document["layers"]
    matrices = [mean_matrix(document, row["value"], "unbiased") for row in document["rows"]]
    for number, (row, matrix) in enumerate(zip(document["rows"], matrices, strict=True)):
        page.shapes.extend(heat_map(Box(number * third, 0, third, 330), matrix, layers, title=f"CKA {row['value']}"))
    apart = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]
    most = max((abs(value) for row in apart for value in row), default=0.0)
    page.shapes.extend(
        heat_map(Box(2 * third, 0, third, 330), apart, layers, title="with minus without", full=most, signed=True)
    )
    return page


def sheet(document: Document, folder: Path) -> bytes:
    """All pictures of a document of grids: a row of pictures with the term, one without, a column a seed."""
    shown: list[list[tuple[str, Image.Image] | None]] = []
    for row in document["rows"]:
        line: list[tuple[str, Image.Image] | None] = []
        for cell in row["cells"]:
            if cell is None:
                line.append(None)
                continue
            text = f"{row['value']}, seed {cell['seed']}: {cell['best'] * 100:.1f} %"
            with Image.open(folder / cell["picture"]) as picture:
                line.append((text, picture.convert("RGB")))
        shown.append(line)
    pictures = [item[1] for line in shown for item in line if item is not None]
    width = max((picture.width for picture in pictures), default=200) + 12
    height = max((picture.height for picture in pictures), default=20) + CAPTION + 8
    columns = max((len(line) for line in shown), default=1)
    notes = list(lines_of(caption(document), width * columns - 12))
    below = height * max(len(shown), 1)
    canvas = Image.new("RGB", (width * columns, below + CAPTION * len(notes)), "#ffffff")
    pen = ImageDraw.Draw(canvas)
    for place, note in enumerate(notes):
        pen.text((6, below + CAPTION * place), note, fill=INK, font=ImageFont.load_default(12))
    for down, line in enumerate(shown):
        for across, item in enumerate(line):
            x, y = across * width + 6, down * height
            text = item[0] if item is not None else f"{document['rows'][down]['value']}: failed"
            pen.text((x, y + 5), text, fill=INK, font=ImageFont.load_default(12))
            if item is not None:
                canvas.paste(item[1], (x, y + CAPTION))
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()
