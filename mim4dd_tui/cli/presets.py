"""``presets``: what can be run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mim4dd_tui.cli.listing import print_settings
from mim4dd_tui.cli.options import Json, complete_preset
from mim4dd_tui.cli.output import say, table, write_json
from mim4dd_tui.terminal import columns

if TYPE_CHECKING:
    from engine.config.presets import PresetInfo
    from mim4dd_tui.own import Own

WIDE = 110
"""Columns of a terminal from which a preset's data, images per class and objective have columns of their own."""


def presets(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this preset's settings.", autocompletion=complete_preset),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the presets, or show one with all its settings and where each comes from."""
    if name is not None:
        _one(name, as_json)
        return
    from engine.config.load import list_presets

    found = list_presets()
    if as_json:
        write_json(
            [
                {
                    "name": info.name,
                    "summary": summary(info),
                    "dataset": info.dataset or None,
                    "images_per_class": info.images_per_class,
                    "objective": info.objective or None,
                    "path": info.path,
                }
                for info in found
            ]
        )
        return
    width = columns(sys.stdout)
    if width is not None and width < WIDE:  # names say the same as the columns, and the words, that are left out
        table(("preset", "summary"), [(i.name, _briefer(i)) for i in found], cut=True)
        return
    table(
        ("preset", "data", "IPC", "objective", "summary"),
        [(i.name, i.dataset, str(i.images_per_class or ""), i.objective, brief(i)) for i in found],
        right=(2,),
        cut=True,
    )


def summary(info: PresetInfo) -> str:
    """What a preset is; of a person's own what it is made of, unless it says so itself: its base's is none of it."""
    from mim4dd_tui.own import own_preset

    return _told(info.summary, None if info.builtin else own_preset(info.name))


def _told(summary: str, own: Own | None) -> str:
    return summary if own is None or own.summary else str(own)


def brief(info: PresetInfo) -> str:
    """The same in a sentence."""
    return first_sentence(summary(info))


def _briefer(info: PresetInfo) -> str:
    """The same without data set and number of images, which the names of the program's own presets tell."""
    told = brief(info)
    return told.partition(": ")[2] or told if info.builtin else told


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence."""
    return text.partition(". ")[0].removesuffix(".")


def _one(name: str, as_json: bool) -> None:
    from engine.config.load import resolve
    from mim4dd_tui.own import own_preset

    resolved, own = resolve(name), own_preset(name)
    config = resolved.config
    settings: dict[str, Any] = config.model_dump(mode="json")
    if as_json:
        write_json(
            {
                "name": resolved.preset,
                "summary": _told(config.summary, own),
                "dataset": config.data.name,
                "images_per_class": config.synthetic.images_per_class,
                "objective": config.objective.name,
                "config": settings,
                "origins": dict(resolved.origins),
            }
        )
        return
    say(f"# {resolved.preset or name}: every setting; a comment says what set it, none means the default")
    if own is not None:
        say(f"# {own}")
        if not own.summary:  # that of its base is not said of it
            del settings["summary"]
    print_settings(settings, dict(resolved.origins))
