"""What is sent to the terminal beside the screen: copies, notifications, titles."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mim4dd_tui.dashboard.attention import Voice, one_line
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until


@pytest.mark.parametrize(
    ("environ", "speaks"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "tmux-256color"}, True),
        ({"TERM": "screen-256color"}, True),
        ({"TERM": "linux"}, False),
        ({"TERM": "vt100"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_sequences_go_only_to_terminals_that_take_them(environ: dict[str, str], speaks: bool) -> None:
    voice = Voice.of(environ)
    assert bool(voice.title("x")) is speaks
    assert bool(voice.copy("x")) is speaks
    if not speaks:
        assert voice.notification("a", "b") + voice.keep_title() + voice.restore_title() == ""


def test_a_copy_is_whole_and_a_large_one_is_refused() -> None:
    voice = Voice.of({"TERM": "xterm"})
    sequence = voice.copy("größe\t3")
    assert sequence.startswith("\x1b]52;c;")
    assert base64.b64decode(sequence[7:-1]).decode() == "größe\t3"
    assert voice.copy("x" * 100_000) == ""
    tmux = Voice.of({"TERM": "tmux-256color", "TMUX": "/nowhere"}).copy("größe\t3")
    assert tmux == sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    pieces = Voice.of({"TERM": "screen-256color"}).copy("größe" * 100).split("\x1b\\")[:-1]
    assert all(piece.startswith("\x1bP") and len(piece) < 768 for piece in pieces)
    assert "".join(piece[2:] for piece in pieces) == voice.copy("größe" * 100)


@given(st.text())
def test_no_name_can_end_a_sequence_or_begin_another(name: str) -> None:
    for environ in ({"TERM": "xterm"}, {"TERM": "screen"}, {"TERM": "screen", "TMUX": "1"}):
        voice = Voice.of(environ)
        for sequence in (voice.title(name), voice.notification(name, name)):
            inner = sequence.replace("\x1b\\", "").replace("\x1b]", "").replace("\x1bk", "").replace("\x1bPtmux;", "")
            assert not any(not c.isprintable() and c != "\x1b" for c in inner)
    assert one_line(name).isprintable()


def test_tmux_gets_notifications_in_its_envelope() -> None:
    sequence = Voice.of({"TERM": "screen-256color", "TMUX": "/tmp/x"}).notification("t", "b")
    assert sequence.startswith("\x1bPtmux;\x1b\x1b]9;t: b")
    assert Voice.of({"TERM": "screen-256color"}).notification("t", "b") == "", "screen would show it"


@pytest.mark.parametrize(
    ("term", "numbers"),
    [
        ("foot", ["777"]),
        ("foot-extra", ["777"]),
        ("xterm-kitty", ["9"]),
        ("xterm-256color", ["9", "777"]),
        ("tmux-256color", ["9", "777"]),
    ],
)
def test_a_terminal_that_understands_both_sequences_shows_one_notification(term: str, numbers: list[str]) -> None:
    assert re.findall(r"\](\d+);", Voice.of({"TERM": term}).notification("t", "b")) == numbers


@pytest.mark.parametrize(("attention", "sequences", "bells"), [("all", True, 1), ("bell", False, 1), ("off", False, 0)])
async def test_the_end_of_a_run_is_told_as_far_as_is_wanted(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, attention: str, sequences: bool, bells: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app(FakeEngine(iterations=12))
    app.remembered.attention = attention  # type: ignore[assignment]
    sent: list[str] = []
    rung: list[int] = []
    monkeypatch.setattr(app, "emit", sent.append)
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: app.session is not None and not app.session.running)
        await until(pilot, lambda: len(rung) >= bells)
        await pilot.pause(0.4)  # as long as it takes until the end of a run is noticed: nothing more may come
    told = "".join(sent)
    assert ("]777;notify;mim4dd;" in told and "done, 87.2 %" in told) is sequences
    assert len(rung) == bells


@pytest.mark.parametrize("size", SIZES)
async def test_values_and_paths_are_copied(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "87.2 ± 1.2 %" in text(app))  # numbers are painted less often than they come
        await pilot.press("c")
        await pilot.pause()
        assert "best final\t87.2 ± 1.2 %" in app.clipboard
        await pilot.press("2")
        pane = app.screen.query_one("#step_size", PlotPane)
        await until(pilot, lambda: [x for _, x, _ in pane.reading()] == [50.0])
        pane.focus()
        await pilot.press("c")
        await pilot.pause()
        name, x, y = app.clipboard.split("\t")
        assert (name, float(x)) == ("step size", 50.0)
        assert float(y) == run_screen(app).history.series["step_size"].values[-1], "not the exact value"
        await pilot.press("C")
        await pilot.pause()
        assert app.clipboard == str(run_screen(app).path)
        monkeypatch.setattr(RunScreen, "path", Path("runs/one"))
        await pilot.press("C")
        await pilot.pause()
        assert app.clipboard == str(Path.cwd() / "runs/one"), "the path holds in this folder alone"


@pytest.mark.parametrize(
    ("term", "copied", "said"),
    [
        ("xterm-256color", "a path", "sent to the terminal's clipboard: what it is"),
        ("xterm-256color", "", "nothing to copy: what it is"),
        ("xterm-256color", "x" * 100_000, "too much for a terminal's clipboard: what it is"),
        ("linux", "a path", "takes no clipboard"),
    ],
)
async def test_of_a_copy_is_said_what_is_known(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, term: str, copied: str, said: str
) -> None:
    monkeypatch.setenv("TERM", term)
    app = make_app(FakeEngine())
    sent: list[str] = []
    monkeypatch.setattr(app, "emit", sent.append)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.copy(copied, "what it is")
        await until(pilot, lambda: said in told(app))
        assert any("]52;" in one for one in sent) is said.startswith("sent")


@pytest.mark.parametrize(("term", "speaks"), [("linux", False), ("xterm", True)])
async def test_a_field_cuts_its_text_by_the_terminals_way(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, term: str, speaks: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    app = make_app(FakeEngine())
    sent: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", sent.append)
        await pilot.press("slash", *"mnist", "shift+home", "ctrl+x")
        await until(pilot, lambda: app.clipboard == "mnist")
        assert ("\x1b]52;" in "".join(sent)) is speaks


def test_a_path_that_is_no_text_is_copied_by_its_bytes() -> None:
    sequence = Voice.of({"TERM": "xterm"}).copy(os.fsdecode(b"/tmp/gr\xf6sse"))
    assert base64.b64decode(sequence[7:-1]) == b"/tmp/gr\xf6sse"
