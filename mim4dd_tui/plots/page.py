"""A page of shapes in pixels: lines, areas and words; and two ways of writing them down, SVG text and a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw

from mim4dd_tui.plots.letters import drawable, font

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
INK = "#1a1d29"
FAINT = "#c9ccd6"
QUIET = "#6b7080"
FINER = 3
"""Pixels a side that are drawn for each one of a PNG: strokes are then as wide whatever their slope."""


@dataclass(frozen=True)
class Stroke:
    """A line through points; dashed or not."""

    points: Sequence[Point]
    colour: str
    width: float = 1.5
    opacity: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Area:
    """A filled outline."""

    points: Sequence[Point]
    colour: str
    opacity: float


@dataclass(frozen=True)
class Words:
    """Text at a point: its baseline, and which end of it stands there."""

    at: Point
    text: str
    colour: str = INK
    anchor: Anchor = "start"
    size: float = 12.0
    bold: bool = False


Shape = Stroke | Area | Words


@dataclass(frozen=True)
class Page:
    """All shapes of one plot, first to last, in ``width`` x ``height`` pixels."""

    width: int
    height: int
    shapes: list[Shape] = field(default_factory=list)


def to_svg(page: Page) -> str:
    """The page as an SVG document."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{page.width}" height="{page.height}" '
        f'viewBox="0 0 {page.width} {page.height}" font-family="Helvetica, Arial, sans-serif">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for shape in page.shapes:
        if isinstance(shape, Words):
            weight = ' font-weight="bold"' if shape.bold else ""
            place = f'x="{shape.at[0]:.1f}" y="{shape.at[1]:.1f}" text-anchor="{shape.anchor}"'
            look = f'font-size="{shape.size:g}" fill="{shape.colour}"{weight}'
            parts.append(f"<text {place} {look}>{escape(shape.text)}</text>")
        else:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            if isinstance(shape, Area):
                look = f'fill="{shape.colour}" fill-opacity="{shape.opacity:g}" stroke="none"'
                parts.append(f'<polygon points="{points}" {look}/>')
            else:
                dash = ' stroke-dasharray="6 4"' if shape.dashed else ""
                look = f'stroke="{shape.colour}" stroke-width="{shape.width:g}" stroke-opacity="{shape.opacity:g}"'
                parts.append(f'<polyline points="{points}" fill="none" {look} stroke-linejoin="round"{dash}/>')
    return "\n".join([*parts, "</svg>", ""])


def to_png(page: Page, scale: int = 2) -> bytes:
    """The page as a PNG of ``scale`` pixels for each of its own."""
    size, scale = (page.width * scale, page.height * scale), scale * FINER
    image = Image.new("RGB", (page.width * scale, page.height * scale), "#ffffff")
    pen = ImageDraw.Draw(image)
    for shape in page.shapes:
        if isinstance(shape, Words):
            anchors = {"start": "ls", "middle": "ms", "end": "rs"}
            at = (shape.at[0] * scale, shape.at[1] * scale)
            letters, text = font(shape.size * scale), drawable(shape.text)
            pen.text(at, text, fill=shape.colour, font=letters, anchor=anchors[shape.anchor])
            continue
        points = [(x * scale, y * scale) for x, y in shape.points]
        colour = towards_white(shape.colour, shape.opacity)
        if isinstance(shape, Area):
            mask = Image.new("L", image.size)
            ImageDraw.Draw(mask).polygon(points, fill=round(255 * shape.opacity))
            image.paste(shape.colour, mask=mask)
        elif shape.dashed:
            _dashed(pen, points[0], points[1], colour, round(shape.width * scale), 6.0 * scale, 4.0 * scale)
        else:
            pen.line(points, fill=colour, width=max(1, round(shape.width * scale)), joint="curve")
    out = io.BytesIO()
    image.resize(size, Image.Resampling.BOX).save(out, "PNG")
    return out.getvalue()


def towards_white(colour: str, opacity: float) -> tuple[int, int, int]:
    """Red, green and blue of a colour on white."""
    red, green, blue = (round(255 + (int(colour[i : i + 2], 16) - 255) * opacity) for i in (1, 3, 5))
    return red, green, blue


def _dashed(
    pen: ImageDraw.ImageDraw, a: Point, b: Point, colour: tuple[int, int, int], width: int, dash: float, gap: float
) -> None:
    length = abs(b[0] - a[0])
    at = 0.0
    while at < length:
        pen.line([(a[0] + at, a[1]), (a[0] + min(at + dash, length), a[1])], fill=colour, width=width)
        at += dash + gap
