"""What is asked and said around presets of a person's own: before one is kept or deleted, and when one has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from textual.app import App

from engine.config import presets
from engine.config.load import (
    Resolved,
    beneath,
    changed,
    delete_user_preset,
    require_deletable,
    save_user_preset,
)
from engine.config.presets import is_file, is_run, names, of_gone
from engine.config.schema import Config
from engine.errors import DataError, MimError
from engine.wording import counted
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from mim4dd_tui.own import is_own, own_preset
from mim4dd_tui.spelling import differing

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.telling import TellingApp

GONE = "is gone"
PRESET = "the preset that is chosen"
"""What a notice may be about."""


def ask_to_keep(
    app: App[object], config: Config, base: str | None, known: Collection[str], then: Callable[[str], None]
) -> None:
    """Ask for a name and keep settings under it; the preset they change is proposed where it is a person's own.

    Args:
        base: the preset that the settings change, or None.
        known: names there are, of which a person's own is replaced only after a question.
        then: called with the name once it is kept.
    """

    def told(name: str) -> str:
        return kept_as(name, config, base)

    def keep(name: str) -> None:
        try:
            path = save_user_preset(name, config, base)
        except MimError as error:
            app.notify(str(error), severity="error")
            return
        then(name)
        app.notify(f"saved as {path}")

    def named(name: str | None) -> None:
        if name and name in known:
            sure = ConfirmScreen(f"Replace your preset {name}?", f"then it {told(name)}", "Replace it")
            app.push_screen(sure, lambda yes: keep(name) if yes else None)
        elif name:
            keep(name)

    proposed = base if base is not None and is_own(base) else ""
    app.push_screen(NameScreen("Save as a preset of your own", proposed, told, wrong_name), named)


def ask_to_delete(app: App[object], name: str | None, own: Collection[str], then: Callable[[str], None]) -> None:
    """Ask whether a preset is to go, and delete it; or say why that cannot be.

    Args:
        name: of the preset; None where none is chosen.
        own: names of those that are a person's own.
        then: called with the name once it is deleted.
    """
    if name is None:
        app.notify("choose a preset first (p)", severity="warning")
        return
    if name not in own:
        app.notify("the preset comes with the program: only your own can be deleted", severity="warning")
        return
    try:
        require_deletable(name)
    except MimError as error:
        app.notify(str(error), severity="warning")
        return
    made_of = own_preset(name)
    details = f"{made_of}; " if made_of is not None else ""
    sure = ConfirmScreen(f"Delete your preset {name}?", f"{details}its runs stay as they are", "Delete it for good")
    app.push_screen(sure, lambda yes: _delete(app, name, then) if yes else None)


def _delete(app: App[object], name: str, then: Callable[[str], None]) -> None:
    try:
        delete_user_preset(name)
    except MimError as error:
        app.notify(str(error), severity="error")
        return
    then(name)
    app.notify(f"deleted the preset {name}")


def take_up(
    app: TellingApp[Any], form: SettingsForm, name: str, found: Resolved | MimError | None, *, told: bool
) -> str:
    """Have a form's changes be changes to what their preset is now, or say why they stay changes to what it was.

    Args:
        name: of the preset.
        found: what it is, or why it cannot be used; None where it is gone.
        told: that it is gone was said before.

    Returns:
        What is wrong with it, so that the settings shown are those from before; empty where they are its own.
    """
    try:
        if isinstance(found, MimError):
            raise found
        if found is None:
            raise DataError(f"the preset {name} is gone")
        if (found.config, found.origins) != (form.base, form.given):
            form.rebase(changed(found.config, form.changed()), found.origins, found.config)
    except MimError as error:
        if found is not None or not told:
            text = f"{error}; the settings shown are those from before"
            app.notify(text, severity="warning", timeout=10, lasting=True, about=[PRESET])
        return GONE if found is None else "cannot be used as it is now"
    app.take_back(PRESET)
    return ""


def find_preset(name: str) -> bool:
    """Whether there is a preset of this name, meant to be run."""
    return name in names()


def recorded(name: str | None) -> str | None:
    """The preset, file or run that a run is recorded to come from; of a preset that is gone also that."""
    if name is None or is_file(name) or is_run(name) or name in names(hidden=True):
        return name
    return of_gone(name)


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
    return presets.wrong_name(name) if name else ""
