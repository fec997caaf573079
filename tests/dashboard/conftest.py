"""The app under test: fixed abilities, a scripted engine, a runs folder of its own, and no user files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.session import Launch
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.fake import FakeEngine

RICH = Abilities(
    term="xterm-256color",
    colours=Colours.TRUE,
    no_color=False,
    unicode=True,
    braille=True,
    remote=False,
    refusal="",
)

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MakeApp = Callable[..., DashboardApp]


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Makes apps on one runs folder; a run still going at the end of the test is stopped."""
    made: list[DashboardApp] = []

    def make(engine: Launch | None = None, **arguments: Any) -> DashboardApp:
        arguments.setdefault("abilities", RICH)
        app = DashboardApp(runs_dir=tmp_path / "runs", launch=engine or FakeEngine(), **arguments)
        made.append(app)
        return app

    yield make
    for app in made:
        if app.session is not None and app.session.running:
            app.session.request("stop")
            assert app.session.join(5), "the engine's thread did not stop"
