"""Textual's terminal driver, made to survive a terminal that goes away.

A hang-up reaches the process as SIGHUP together with SIGCONT, and until it is handled every write to the
terminal fails. The stock driver takes any SIGCONT for the end of a suspension (and starts a second writer and
a second reader), and its writer dies of the first failed write, after which the interface blocks for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from mim4dd_tui.dashboard.attention import Voice
from mim4dd_tui.dashboard.descriptors import Descriptors
from mim4dd_tui.signals import Forgiving

CLEAR = "\x1b[H\x1b[2J"


class EnduringDriver(LinuxDriver):
    """Resumes only what was suspended, and lets writes to a dead terminal fall into silence.

    Attributes:
        farewell: what is written last, before the terminal is given back.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._descriptors: Descriptors | None = getattr(self._app, "descriptors", None)
        self._file: Any = Forgiving(self._file if self._descriptors is None else self._descriptors.terminal)
        if self._descriptors is not None:
            self.fileno = self._descriptors.keys
            self._size = self._size or self._get_terminal_size()  # else standard input is asked, which leads nowhere
        self.farewell: Callable[[], str] = str

    def start_application_mode(self) -> None:
        """From here on nobody else writes to the terminal or reads from it: also after a suspension."""
        if self._descriptors is not None:
            self._descriptors.take()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Take pictures out of the terminal's memory first: also before a suspension, and after a crash. The screen is
        left empty: where the window has grown meanwhile, tmux takes lines of it for the shell's past."""
        self.write(self.farewell() + CLEAR)
        super().stop_application_mode()

    def close(self) -> None:
        """The last is written: the terminal is everybody's again."""
        super().close()
        if self._descriptors is not None:
            self._descriptors.give_back()

    def _get_terminal_size(self) -> tuple[int, int]:
        """Of the terminal itself: standard output, which the stock driver asks, leads elsewhere."""
        found = os.terminal_size((80, 24))
        with suppress(OSError):
            found = os.get_terminal_size(self.fileno)
        wanted = [int(text) if (text := os.environ.get(name, "")).isdecimal() else 0 for name in ("COLUMNS", "LINES")]
        return wanted[0] or found.columns or 80, wanted[1] or found.lines or 24

    @property
    def _asks(self) -> bool:
        """Whether the terminal may be asked what it can do: those that parse no such sequences print them."""
        voice: Voice = getattr(self._app, "voice", None) or Voice.of()
        return voice.sequences

    def _request_terminal_sync_mode_support(self) -> None:
        """Whether it takes a frame at once."""
        if self._asks:
            super()._request_terminal_sync_mode_support()

    def _query_in_band_window_resize(self) -> None:
        """Whether it tells of its size in band."""
        if self._asks:
            super()._query_in_band_window_resize()

    def _sigcont_application(self, *arguments: Any) -> None:
        if self._must_signal_resume:
            super()._sigcont_application(*arguments)
