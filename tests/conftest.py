"""What every test gets: folders of its own, one thread, a known terminal environment, no network."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

import pytest

# Set before anything imports torch or numpy, which count threads once. Results then do not depend on the
# machine's cores, and parallel test runs do not crowd each other.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

# A caller that ignores hang-ups (nohup) or interrupts (a job in a shell's background) hands this down to children,
# where it would have the last word on purpose.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

KEPT = "MIM4DD_TEST_DATA"
"""Where real data sets lie for tests that can use them."""

STYLING = (
    "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES",
    "GITHUB_ACTIONS", "TERMINAL_WIDTH", "_TYPER_FORCE_DISABLE_TERMINAL", "TEXTUAL_COLOR_SYSTEM",
)  # fmt: skip
"""Variables of the caller's terminal or build machine that change what is printed."""

NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses every connection: for child processes, which the socket guard does not reach."""


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """User folders under a fresh temporary one, and none of the caller's mim4dd or styling variables."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for variable in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(home / variable.lower()))
    for variable in list(os.environ):
        if (variable.startswith("MIM4DD_") and variable != KEPT) or variable in STYLING:
            monkeypatch.delenv(variable)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, NOWHERE)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost,::1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting anywhere but to this machine fails at once."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests use no network, but {address!r} was to be connected to")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
