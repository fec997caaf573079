"""What waits for somebody at the keyboard ends in words while the dashboard has the terminal."""

from __future__ import annotations

import io
import os
import pdb
import sys
from collections.abc import Callable

import pytest

from mim4dd_tui.dashboard.unanswered import UnansweredError, unanswered
from tests.dashboard.test_descriptors import Open, opened

__all__ = ["opened"]  # a fixture


@pytest.fixture(autouse=True)
def _no_other_debugger(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest has a hook of its own."""
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.mark.parametrize("asks", ["breakpoint()", "import pdb; pdb.set_trace()", "input('how many? ')"])
def test_a_debugger_under_the_dashboard_ends_the_run_in_a_sentence(opened: Open, asks: str) -> None:
    terminal = opened(f"def run():\n    {asks}\n    print('gone on')\ndeeds.run = run\n")
    terminal.see("failed")
    os.write(terminal.master, b"q")
    said = b" ".join(terminal.read(until=b"<the end>").split()).decode(errors="replace")
    why = "breakpoint() in <string>:2: there is no debugger" if "breakpoint" in asks else "reads standard input"
    assert why in said
    assert "under the dashboard, which has the terminal to itself; `mim4dd run PRESET --headless` gives one" in said
    assert terminal.wait() == 1


def test_all_is_as_before_afterwards() -> None:
    stdin = sys.stdin
    with unanswered():
        with pytest.raises(UnansweredError, match=r"breakpoint\(\) in test_unanswered.py:\d+: there is no debugger"):
            breakpoint()
        with pytest.raises(UnansweredError, match="standard input"):
            input()
        assert sys.stdin is not stdin
    assert sys.stdin is stdin
    assert sys.breakpointhook is sys.__breakpointhook__


def test_pdb_itself_is_refused_as_well() -> None:
    def method() -> str:
        pdb.Pdb(nosigint=True).set_trace()
        return "gone on"

    tracing = sys.gettrace()
    try:
        with unanswered(), pytest.raises(UnansweredError, match="standard input"):
            method()
    finally:
        sys.settrace(tracing)


def test_who_wants_no_debugger_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")
    with unanswered():
        breakpoint()


def test_the_debugger_of_an_editor_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = list[str]()
    hook: Callable[[], None] = lambda: stopped.append("here")  # noqa: E731
    monkeypatch.setattr(sys, "breakpointhook", hook)
    with unanswered():
        breakpoint()
    assert stopped == ["here"]
    assert sys.breakpointhook is hook
