"""Presets that tests write, and what the first screen shows of them."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.config.load import changed, resolve, save_user_preset
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.helpers import until

SIZE = (100, 30)
BASE = resolve("digits-ipc1").config
"""What the presets are made of."""


def write(name: str = "mine", **settings: Any) -> None:
    """Another program writes a preset."""
    save_user_preset(name, changed(BASE, {key.replace("__", "."): v for key, v in settings.items()}), "digits-ipc1")


def form_of(app: DashboardApp) -> SettingsForm:
    """The settings on the first screen."""
    return app.screen.query_one(SettingsForm)


def listed(app: DashboardApp) -> list[str]:
    """Names in the first screen's list of presets."""
    return [str(option.id) for option in app.screen.query_one("#presets", OptionList).options]


async def found(pilot: Pilot[Leave], app: DashboardApp, name: str, *, there: bool = True) -> None:
    """Wait until the list has, or has no more, a preset, and the screen has heard of it."""
    await until(pilot, lambda: (name in listed(app)) is there)
