"""Running the command line as a person does: in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "mim4dd_tui")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with the source tree importable from any folder."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | changes


def set_options(values: dict[str, Any], **changes: object) -> list[str]:
    """``--set`` options of settings and of what is changed in them; ``__`` in a name stands for the dot."""
    changed = values | {key.replace("__", "."): value for key, value in changes.items()}
    return [part for key, value in changed.items() for part in ("--set", f"{key}={value}")]


def begun(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, session: bool = False
) -> subprocess.Popen[str]:
    """A process without a terminal, whose output can be read; ``session``: in a session of its own."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=dict(env or environment()),
        start_new_session=session,
    )


def mim4dd(*arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, wait: float = 120) -> Ended:
    """Run ``mim4dd ARGUMENTS`` without a terminal."""
    with begun([*COMMAND, *arguments], cwd=cwd, env=env) as process:
        try:
            out, err = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Ended(process.returncode, out, err)


def on_terminal(program: str, variables: Mapping[str, str], *, cwd: Path | None = None) -> list[str]:
    """Lines that a program writes to standard output where that is a terminal, without their colours."""
    before = (
        "import os, pty, sys\n"
        "terminal, side = pty.openpty()\n"
        "os.dup2(side, 1)\n"
        "sys.stdout = os.fdopen(1, 'w', encoding=os.environ.get('ENCODING', 'utf-8'))\n"
    )
    after = (
        "\nsys.stdout.flush()\n"
        "os.write(1, b'THE END')\n"
        "seen = b''\n"
        "while not seen.endswith(b'THE END'):\n"
        "    seen += os.read(terminal, 100000)\n"
        "sys.stderr.buffer.write(seen.removesuffix(b'THE END'))\n"
    )
    env = environment(TERM="xterm-256color", NO_COLOR="1", **variables)
    command = [sys.executable, "-c", before + program + after]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=env, check=True, timeout=60, cwd=cwd)
    return re.sub(r"\x1b\[\d*m", "", done.stderr).splitlines()


def cpu_seconds(*command: str, cwd: Path) -> float:
    """User and system time of one successful process, from the kernel's own account."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _QUIET, *command],
        environment(COMMAND_FOLDER=str(cwd)),
    )
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return usage.ru_utime + usage.ru_stime


_QUIET = """
import os, sys
os.chdir(os.environ["COMMAND_FOLDER"])
nowhere = os.open(os.devnull, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(nowhere, descriptor)
os.execv(sys.argv[1], sys.argv[1:])
"""
