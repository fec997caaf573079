"""Analyses' documents as figures: sweeps, losses, CKA as pages; pictures of distilled sets as a sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from engine.analysis.estimates import Estimate, estimate
from engine.analysis.tables import against, column, known, mean_apart, mean_matrix
from engine.runs.log import told_changes
from engine.wording import counted
from mim4dd_tui.plots.figure import Band, Figure, Level, Series, Viewport
from mim4dd_tui.plots.letters import drawable, font, length
from mim4dd_tui.plots.page import INK, Page, Words, to_png
from mim4dd_tui.plots.panels import Box, Points, error_bars, heat_map, room, stacked, width_of
from mim4dd_tui.plots.paper import fitted, lay_out, lines_of, noted

Document = Mapping[str, Any]

BLUE, ORANGE = "#2f5fc4", "#b06a10"
ACCURACIES = (("best", "best iterate", BLUE), ("last", "last iterate", ORANGE))
REAL, DISTILLED = "trained on the real images", "trained on the distilled set"
WIDTH, HEIGHT = 940, 340
LETTERS, CAPTION = 12, 22
"""Size of letters on a sheet of pictures, and the height of a line of them, in pixels."""


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
    said = SAID.get(document["analysis"], _intervals)(document)
    changes = told_changes(document["set"]) if document["set"] else ""
    return "; ".join(part for part in (said, changes, f"protocol {document['protocol']}") if part)


def _intervals(document: Document) -> str:
    """What bars or bands are; of one seed there are none."""
    marks = "bands" if document["analysis"] == "loss" else "bars"
    most = max(_counts(document), default=0)
    if most > 1:
        return f"{marks}: 95 % intervals over seeds"
    return f"no {marks}: one seed has no interval" if most else ""


def _averaged(document: Document) -> str:
    """Over what matrices of CKA are means, and on which images they were measured."""
    if document["networks"] is None:
        return ""
    pairs = counted(document["networks"], "pair") + " of networks"
    seeds = " a seed, and over seeds" if max(_counts(document)) > 1 else ""
    means = f"means over {pairs}{seeds}" if seeds or document["networks"] > 1 else pairs
    return f"{means}; on {counted(document['images'], 'test image')}"


def _chosen(_: Document) -> str:
    return "best iterates, with their accuracy"


SAID: dict[str, Callable[[Document], str]] = {"cka": _averaged, "grids": _chosen}
"""What a figure's numbers are, by analysis; any other's have bars or bands."""


def sweep_page(document: dict[str, Any]) -> Page:
    """Accuracy at every value, and beside it the paired difference to the reference; bars are 95 % intervals."""
    values = [row["value"] for row in document["rows"]]
    accuracy = [
        _points(name, colour, [estimate(known(column(document, value, key))) for value in values])
        for key, name, colour in ACCURACIES
    ]
    others = [value for value in values if value != document["reference"]]
    apart = [
        _points(name, colour, [against(document, value, key) for value in others]) for key, name, colour in ACCURACIES
    ]
    under = document["setting"]
    title = f"{document['preset']}: accuracy (%), {_seeds(_counts(document))}"
    beside = f"paired difference to {document['reference']} (points)"
    half = max(WIDTH / 2, width_of(values, title), width_of(others, beside))
    page = Page(math.ceil(2 * half), HEIGHT)
    page.shapes.extend(error_bars(Box(0, 0, half, HEIGHT), values, accuracy, title=title, under=under))
    page.shapes.extend(error_bars(Box(half, 0, half, HEIGHT), others, apart, title=beside, under=under, zero=True))
    return page


def _counts(document: Document) -> list[int]:
    """How many seeds each row has."""
    return [sum(cell is not None for cell in row["cells"]) for row in document["rows"]]


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
    series = []
    for ink, (name, curve) in enumerate(document["curves"].items(), 1):
        done = [values for values in curve["values"] if values is not None]
        if done:
            series.append(
                _banded(name, curve["iterations"], [known(values) for values in zip(*done, strict=True)], ink)
            )
    title = f"{document['preset']}: the base loss ({document['objective']}), {_seeds(_counts(document))}"
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
    least = room(len(document["layers"]))
    across, down = max(WIDTH / 3, least[0]), max(342, least[1])
    page = Page(math.ceil(3 * across), math.ceil(34 + down))
    heading = f"{document['preset']}: linear CKA between networks, unbiased estimator, {_seeds(_counts(document))}"
    page.shapes.append(fitted(Words((8, 22), heading, size=15, bold=True), page.width - 16))
    panels = [(f"CKA {row['value']}", mean_matrix(document, row["value"], "unbiased")) for row in document["rows"]]
    apart = mean_apart(document, "unbiased")
    most = max((abs(value) for row in apart for value in row), default=0.0)
    panels.append(("with minus without", apart))
    for place, (title, matrix) in enumerate(panels):
        box, signed = Box(place * across, 34, across, down), matrix is apart
        page.shapes.extend(
            heat_map(
                box, matrix, document["layers"], title=title, down=REAL, across=DISTILLED,
                full=most if signed else 1.0, signed=signed,
            )
        )  # fmt: skip
    return page


def sheet(document: Document, folder: Path) -> bytes:
    """All pictures of a document of grids: a row of pictures with the term, one without, a column a seed."""
    shown = [[_pictured(row["value"], cell, folder) for cell in row["cells"]] for row in document["rows"]]
    pictures = [picture for line in shown for _, picture in line if picture is not None]
    texts = [length(text, LETTERS) for line in shown for text, _ in line]
    width = max([*(picture.width for picture in pictures), *map(math.ceil, texts)], default=200) + 12
    height = max((picture.height for picture in pictures), default=20) + CAPTION + 8
    whole = width * max((len(line) for line in shown), default=1)
    heading = f"{document['preset']}: distilled images with the term and without"
    above, notes = (list(lines_of(text, whole - 12)) for text in (heading, caption(document)))
    top = CAPTION * len(above)
    below = top + height * max(len(shown), 1)
    canvas = Image.new("RGB", (whole, below + CAPTION * len(notes)), "#ffffff")
    pen = ImageDraw.Draw(canvas)
    for start, lines in ((5, above), (below, notes)):
        for place, text in enumerate(lines):
            pen.text((6, start + CAPTION * place), drawable(text), fill=INK, font=font(LETTERS))
    for down, line in enumerate(shown):
        for across, (text, picture) in enumerate(line):
            x, y = across * width + 6, top + down * height
            pen.text((x, y + 5), drawable(text), fill=INK, font=font(LETTERS))
            if picture is not None:
                canvas.paste(picture, (x, y + CAPTION))
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()


def _pictured(row: str, cell: Document | None, folder: Path) -> tuple[str, Image.Image | None]:
    """A cell's picture and what stands above it; without a picture where its run failed."""
    if cell is None:
        return f"{row}: failed", None
    with Image.open(folder / cell["picture"]) as picture:
        return f"{row}, seed {cell['seed']}: {cell['best'] * 100:.1f} %", picture.convert("RGB")
