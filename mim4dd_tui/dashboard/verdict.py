"""What the settings form says below a setting: what it may be, and where its value is from; or why there is none."""

from __future__ import annotations

from engine.config.fields import FieldInfo, unused
from engine.config.load import EDITED
from engine.config.schema import Config
from mim4dd_tui.spelling import brief, value_of, written


def verdict(field: FieldInfo, config: Config, base: Config, origin: str) -> str:
    """Of a setting that may be what it is; ``origin`` is that of the base's value."""
    now, before = value_of(config, field.key), value_of(base, field.key)
    value, default = written(now), written(field.default)
    source = f"from {origin if now == before else EDITED}"
    if value != written(before):
        source = f"{brief(origin)}: {written(before)}"
    text = f"{field.allowed} · {source}"
    if default not in (value, written(before)):
        text += f" · default {default}"
    idle = unused(field, config)
    return f"{idle} · {text}" if idle else text


def nothing(*, changed_only: bool, changed: bool, typing: bool) -> str:
    """Why no setting is listed, and the key that shows some; ``typing``, where c is a letter."""
    if not changed_only:
        return "no setting matches · esc shows all"
    if changed:
        return "no changed setting matches · esc ends the search" + ("" if typing else ", c shows all")
    return "nothing differs from the preset" + ("" if typing else " · c shows all")
