"""Themes: dark, light, safe for colour-blind eyes, and the terminal's own palette.

Each names its curves' colours (``series-1`` ... ``series-8``) beside Textual's own, so that curves, legends
and numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

SERIES = 8
"""Number of curve colours in every theme."""


def _series(*colours: str) -> dict[str, str]:
    return {f"series-{index}": colour for index, colour in enumerate(colours, 1)}


def _quiet(primary: str, background: str, foreground: str) -> dict[str, str]:
    """A flat footer, and a list cursor that is a tint instead of a bar."""
    on = Color.parse(background)
    tint, faint = (on.blend(Color.parse(primary), share).hex for share in (0.32, 0.14))
    muted = on.blend(Color.parse(foreground), 0.62).hex
    cursor = {
        f"block-cursor{state}-{part}": value
        for state, back in (("", tint), ("-blurred", faint))
        for part, value in (("background", back), ("foreground", foreground), ("text-style", "none"))
    }
    footer = {f"footer-{part}background": background for part in ("", "key-", "description-", "item-")}
    return {
        **cursor,
        **footer,
        "footer-key-foreground": primary,
        "footer-description-foreground": muted,
        "input-selection-background": tint,
    }


def variables(primary: str, background: str, foreground: str, series: Sequence[str]) -> dict[str, str]:
    """What a theme of these colours holds beside Textual's own ones."""
    return {**_quiet(primary, background, foreground), **_series(*series)}


DARK = Theme(
    name="mim4dd-dark",
    primary="#7aa2f7",
    secondary="#9aa5ce",
    accent="#e0af68",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    foreground="#c8d0e8",
    background="#12151d",
    surface="#171b26",
    panel="#222838",
    dark=True,
    variables={
        **_quiet("#7aa2f7", "#12151d", "#c8d0e8"),
        **_series("#7aa2f7", "#e0af68", "#9ece6a", "#bb9af7", "#5fc9c9", "#f7768e", "#c0a36e", "#8a93b0"),
    },
)
LIGHT = Theme(
    name="mim4dd-light",
    primary="#2f5fc4",
    secondary="#55608a",
    accent="#a8660c",
    success="#3f7d20",
    warning="#a8660c",
    error="#c0303f",
    foreground="#10131c",
    background="#fbfaf7",
    surface="#f2f0eb",
    panel="#e4e1d9",
    dark=False,
    variables={
        **_quiet("#2f5fc4", "#fbfaf7", "#10131c"),
        **_series("#2f5fc4", "#b3690a", "#3f7d20", "#8340b0", "#0d7a86", "#c0303f", "#7a6320", "#5c6480"),
    },
)
# Okabe and Ito (2008): told apart with any common form of colour blindness; their blue is lighter here, on black
SAFE = Theme(
    name="mim4dd-safe",
    primary="#56b4e9",
    secondary="#a0a8b8",
    accent="#e69f00",
    success="#56b4e9",
    warning="#e69f00",
    error="#d55e00",
    foreground="#e4e6ea",
    background="#101214",
    surface="#171a1d",
    panel="#262b30",
    dark=True,
    variables={
        **_quiet("#56b4e9", "#101214", "#e4e6ea"),
        **_series("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#2a8ad4", "#b0b0b0"),
    },
)
TERMINAL = Theme(
    name="mim4dd-terminal",
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_yellow",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    luminosity_spread=0.0,
    text_alpha=1.0,
    ansi=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        **_series(
            "ansi_bright_blue", "ansi_yellow", "ansi_green", "ansi_magenta",
            "ansi_cyan", "ansi_red", "ansi_bright_magenta", "ansi_default",
        ),
        # the terminal may be light or dark, and any of its greys may be its background
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "footer-key-foreground": "ansi_blue",
        "footer-background": "ansi_default",
        "footer-key-background": "ansi_default",
        "footer-description-background": "ansi_default",
        "footer-item-background": "ansi_default",
        "block-cursor-background": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-text-style": "reverse",
        "block-cursor-blurred-background": "ansi_default",
        "block-cursor-blurred-foreground": "ansi_default",
        "block-cursor-blurred-text-style": "bold",
        "text-muted": "ansi_default",
        "border": "ansi_blue",
        "border-blurred": "ansi_default",
    },
)  # fmt: skip

THEMES = (DARK, LIGHT, SAFE, TERMINAL)
