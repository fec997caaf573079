"""The list of presets on the first screen: its order, and its search."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList

from engine.config.load import list_presets
from mim4dd_tui.dashboard.widgets.presets import PresetList
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text

pytestmark = pytest.mark.usefixtures("_own_config")


def listed(field: OptionList) -> list[str]:
    return [str(option.id) for option in field.options]


async def test_the_list_has_the_order_of_the_command(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert listed(app.screen.query_one("#presets", OptionList)) == [info.name for info in list_presets()]


@pytest.mark.parametrize("size", SIZES)
async def test_words_narrow_the_list_and_escape_widens_it(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("slash", *"svhn dream")
        await pilot.pause()
        field = app.screen.query_one("#presets", OptionList)
        names = listed(field)
        assert names
        assert all("svhn" in name and "dream" in name for name in names)
        assert f"{len(names)} of {len(list_presets())}" in text(app)
        await pilot.press("enter", "j")
        await pilot.pause()
        assert field.has_focus
        assert field.highlighted == min(1, len(names) - 1)
        form = app.screen.query_one(SettingsForm)
        assert (form.config.data.name, form.config.objective.name) == ("svhn", "dream")
        chosen = names[field.highlighted]
        await pilot.press("escape")
        await pilot.pause()
        assert listed(field) == [info.name for info in list_presets()]
        assert field.highlighted is not None
        assert listed(field)[field.highlighted] == chosen, "what was chosen is lost with the search"
        assert not app.screen.query_one(PresetList).query_one(Input).display


async def test_words_of_no_preset_say_so_and_choose_nothing(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        before = app.screen.query_one(SettingsForm).config
        await pilot.press("slash", *"nonesuch", "down", "enter")
        await pilot.pause()
        assert "none matches" in text(app)
        assert app.screen.query_one(SettingsForm).config == before
