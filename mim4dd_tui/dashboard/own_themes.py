"""Themes of one's own: a TOML file each, in ``themes`` of the configuration folder, named by its file.

base = "dark"                # what is not named below: dark, light or safe
primary = "#7aa2f7"
background = "#101014"
series = ["#7aa2f7", "#e0af68", "#9ece6a", "#bb9af7", "#5fc9c9", "#f7768e", "#c0a36e", "#8a93b0"]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli
from textual.color import Color, ColorParseError
from textual.theme import Theme

from engine.config.presets import user_dir
from mim4dd_tui.dashboard.themes import DARK, LIGHT, SAFE, SERIES, THEMES, variables

BASES = {"dark": DARK, "light": LIGHT, "safe": SAFE}
COLOURS = (
    "primary", "secondary", "accent", "success", "warning", "error", "foreground", "background", "surface", "panel",
)  # fmt: skip
KEYS = ("base", *COLOURS, "series")
LARGEST = 64_000
"""Bytes of a theme's file at most."""


class ThemeError(Exception):
    """What is wrong with a theme's file, in words."""


def folder() -> Path:
    """Where they lie: beside the user's presets."""
    return user_dir().parent / "themes"


def read_all(place: Path | None = None) -> tuple[list[Theme], list[str]]:
    """The themes that can be read, by name, and a sentence for each file that cannot."""
    themes, problems = [], []
    for path in sorted((place or folder()).glob("*.toml")):
        try:
            themes.append(read(path))
        except ThemeError as error:
            problems.append(f"{path.parent.name}/{path.name}: {error}")
    return themes, problems


def read(path: Path) -> Theme:
    """One theme.

    Raises:
        ThemeError: the file cannot be read, or something in it is no theme.
    """
    if path.stem in {theme.name for theme in THEMES}:
        raise ThemeError("its name is taken by a theme of the program; call the file otherwise")
    try:
        if path.stat().st_size > LARGEST:
            raise ThemeError(f"larger than {LARGEST} bytes")
        values = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThemeError(error.strerror or str(error)) from error
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ThemeError(f"no TOML: {error}") from error
    return _theme(path.stem, values)


def _theme(name: str, values: dict[str, Any]) -> Theme:
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise ThemeError(f"{unknown[0]!r} is not known; there are {', '.join(KEYS)}")
    base = BASES.get(str(values.get("base", "dark")))
    if base is None:
        raise ThemeError(f"base = {values['base']!r}: use {', '.join(BASES)}")
    colours = {key: _colour(key, values.get(key, getattr(base, key))) for key in COLOURS}
    series = values.get("series", [base.variables[f"series-{index}"] for index in range(1, SERIES + 1)])
    if not isinstance(series, list) or len(series) != SERIES:
        raise ThemeError(f"series: give {SERIES} colours, one for each curve")
    curves = [_colour(f"series {index}", value) for index, value in enumerate(series, 1)]
    return replace(
        base,
        name=name,
        dark=Color.parse(colours["background"]).brightness < 0.5,
        variables=variables(colours["primary"], colours["background"], colours["foreground"], curves),
        **colours,  # type: ignore[arg-type]  # all of them are strings
    )


def _colour(key: str, value: object) -> str:
    try:
        colour = Color.parse(value if isinstance(value, str) else "")
    except ColorParseError as error:
        raise ThemeError(f"{key} = {value!r} is no colour; write it as #rrggbb") from error
    if colour.ansi is not None or colour.a < 1:
        raise ThemeError(f"{key} = {value!r}: colours are opaque and not of the terminal's palette; write #rrggbb")
    return colour.hex
