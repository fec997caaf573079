"""What is written on a PNG: letters that its font has, and never a box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageDraw

from mim4dd_tui.plots import Figure, Series, Viewport, analyses
from mim4dd_tui.plots.letters import NOWHERE, drawable, font, length
from mim4dd_tui.plots.page import to_png, to_svg
from mim4dd_tui.plots.paper import lay_out, noted

TEXT = "für Größe → naïve × − 中国 λ 😀 o\u0308 Å ǿ … ±"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("weight 0.5 ± 0.1 … “x”", "weight 0.5 ± 0.1 … “x”"),
        ("für Größe", "fur Grosse"),
        ("o\u0308 e\u0301 Å ǿ", "o e A o"),
        ("a → b × c − d", "a -> b x c - d"),
        ("中国 λ", "\\u4e2d\\u56fd \\u03bb"),
        ("😀", "\\U0001f600"),
    ],
)
def test_what_the_font_lacks_is_written_in_letters_that_it_has(text: str, letters: str) -> None:
    assert drawable(text) == letters
    box = bytes(font(12).getmask(NOWHERE))
    assert all(bytes(font(12).getmask(one)) != box for one in drawable(text))
    assert length(text, 12) == length(letters, 12)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is drawn on pictures."""
    texts: list[str] = []
    own = ImageDraw.ImageDraw.text

    def text(pen: Any, xy: Any, text: str, *args: Any, **options: Any) -> None:
        texts.append(text)
        own(pen, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return texts


def test_a_png_has_no_boxes_and_an_svg_its_text(written: list[str]) -> None:
    x = np.array([1.0, 2.0])
    page = noted(lay_out(Figure((Series(TEXT, x, x, 1),)), Viewport(), {1: "#112233"}, TEXT), [("#112233", TEXT)])
    to_png(page)
    assert written.count(drawable(TEXT)) == 3
    assert all(drawable(text) == text for text in written)
    assert to_svg(page).count(f">{TEXT}</text>") == 3


def test_a_sheet_of_pictures_has_no_boxes(written: list[str], tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "analysis": "grids", "preset": "Größe", "set": {"data.path": "/jörg"}, "protocol": "quick-100",
        "rows": [{"value": "with", "cells": [None]}],
    }  # fmt: skip
    analyses.sheet(document, tmp_path)
    assert any("Grosse" in text for text in written)
    assert all(drawable(text) == text for text in written)
