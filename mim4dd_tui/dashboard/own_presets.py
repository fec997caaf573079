"""The questions before a preset of a person's own is kept or deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection

from textual.app import App

from engine.config.load import beneath, require_deletable
from engine.config.presets import builtin_dir, checked_name
from engine.config.schema import Config
from engine.errors import MimError
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen
from mim4dd_tui.own import is_own, own_preset
from mim4dd_tui.quantities import counted
from mim4dd_tui.spelling import differing


def ask_to_keep(
    app: App[object], config: Config, base: str | None, known: Collection[str], keep: Callable[[str], None]
) -> None:
    """Ask for a name to keep settings under; the preset they change is proposed where it is a person's own.

    Args:
        base: the preset that the settings change, or None.
        known: names there are, of which a person's own is replaced only after a question.
        keep: called with the name.
    """

    def told(name: str) -> str:
        return kept_as(name, config, base)

    def named(name: str | None) -> None:
        if name and name in known:
            sure = ConfirmScreen(f"Replace your preset {name}?", f"then it {told(name)}", "Replace it")
            app.push_screen(sure, lambda yes: keep(name) if yes else None)
        elif name:
            keep(name)

    proposed = base if base is not None and is_own(base) else ""
    app.push_screen(NameScreen("Save as a preset of your own", proposed, told, wrong_name), named)


def ask_to_delete(app: App[object], name: str, delete: Callable[[str], None]) -> None:
    """Ask whether a preset is to go, unless others extend it; ``delete`` is called with its name.

    Raises:
        ConfigError: others extend it.
    """
    require_deletable(name)
    own = own_preset(name)
    details = f"{own}; " if own is not None else ""
    sure = ConfirmScreen(f"Delete your preset {name}?", f"{details}its runs stay as they are", "Delete it for good")
    app.push_screen(sure, lambda yes: delete(name) if yes else None)


def kept_as(name: str, config: Config, base: str | None) -> str:
    """What a preset of a person's own will hold: ``extends digits-ipc1 by 2 settings``."""
    try:
        bases, below = beneath(name, base)
    except MimError:  # said when it is saved
        bases, below = (), config
    if not bases:
        return "holds all settings"
    return f"extends {' and '.join(bases)} by {counted(len(differing(config, below)), 'setting')}"


def wrong_name(name: str) -> str:
    """Why a preset cannot be called so; empty where it can, or nothing is typed yet."""
    if not name:
        return ""
    try:
        checked_name(name, "preset")
    except MimError as error:
        return str(error)
    taken = (builtin_dir() / f"{name}.toml").exists()
    return f"{name} is a preset that comes with the program" if taken else ""
