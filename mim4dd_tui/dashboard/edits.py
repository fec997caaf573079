"""Changes to presets that were left for another one: they are there again where that preset is chosen again.

So are those to the settings of a run that was made of no preset, where they are taken again.
"""

from __future__ import annotations

from typing import Any

from engine.config.load import changed
from engine.config.schema import Config
from engine.errors import MimError
from engine.wording import counted
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from mim4dd_tui.spelling import value_of


class Edits:
    """As long as the dashboard is open."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Any]] = {}
        self._taken: Config | None = None
        self._told = False

    def taken(self, preset: str, config: Config) -> None:
        """The form shows a run's settings now, as changes to a preset: they are not what somebody typed."""
        self._taken = config
        self.forget(preset)

    def at_stake(self, preset: str | None, coming: Config, form: SettingsForm | None) -> dict[str, Any]:
        """What somebody changed on a preset and would lose if a run's settings, which differ there, came in its place.

        Args:
            preset: the one that the run was made of; None where it was made of none.
            coming: the run's settings.
            form: the form, where it shows that preset.
        """
        if preset is None or (form is not None and form.config == self._taken):
            return {}
        mine = self._kept.get(preset, {}) if form is None else form.changed()
        return {key: value for key, value in mine.items() if value_of(coming, key) != value}

    def keep(self, preset: str | None, form: SettingsForm) -> int:
        """Keep what the form changes on a preset, and how many settings that is."""
        if preset is None:
            return 0
        changes = form.changed()
        if changes:
            self._kept[preset] = changes
        else:
            self._kept.pop(preset, None)
        return len(changes)

    def leave(self, preset: str | None, form: SettingsForm) -> str:
        """Keep it as another one comes.

        Returns:
            What is to be said of it, the first time; else nothing.
        """
        count = self.keep(preset, form)
        if not count or self._told:
            return ""
        self._told = True
        return f"{counted(count, 'change')} to {preset}: there again when you come back to it"

    def come_back(self, preset: str, form: SettingsForm) -> str:
        """Have the form, which shows the preset, change again what was changed when it was left.

        Returns:
            Why that fits the preset no more; else nothing.
        """
        changes = self._kept.pop(preset, None)
        if changes is None:
            return ""
        try:
            form.load(changed(form.config, changes), form.given, form.base)
        except MimError as error:
            return f"what was changed on {preset} does not fit it any more: {error}"
        return ""

    def forget(self, preset: str) -> None:
        """It is another one now, or gone."""
        self._kept.pop(preset, None)
