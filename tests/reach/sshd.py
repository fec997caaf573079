"""A real ssh server on a loopback port, with keys and a configuration made for it, and connections to it."""

from __future__ import annotations

import getpass
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.dashboard.test_leaving import Terminal
from tests.reach.places import until

MISSING = "install openssh-server and openssh-client (Debian, Ubuntu: apt install openssh-server openssh-client)"


def program(name: str) -> str:
    """Path of one of OpenSSH's programs.

    Raises:
        AssertionError: it is not installed; says what to install.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found is not None, f"{name} is needed to test over a real ssh connection: {MISSING}"
    return found


@dataclass(frozen=True)
class Server:
    """A running server of the user's own."""

    folder: Path
    port: int
    pid: int

    def command(self, *options: str) -> list[str]:
        """A client's command line, without what it is to run."""
        return [
            program("ssh"), "-F", "none", "-i", str(self.folder / "user"), "-p", str(self.port),
            "-o", f"UserKnownHostsFile={self.folder / 'known'}", "-o", "StrictHostKeyChecking=accept-new",
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *options,
            f"{getpass.getuser()}@127.0.0.1",
        ]  # fmt: skip

    def run(self, line: str, wait: float = 120) -> subprocess.CompletedProcess[str]:
        """A command line on the other side, without a terminal, to the end of the connection."""
        return subprocess.run(
            [*self.command("-T"), line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=wait,
            check=False,
        )

    def terminal(self, line: str, runs: Path) -> Terminal:
        """A command line on the other side in a terminal of 80x24 here."""
        pid, master = pty.fork()
        if pid == 0:  # pragma: no cover - the new process
            os.execve(program("ssh"), [*self.command("-tt"), line], os.environ | {"TERM": "xterm-256color"})
        opened = Terminal(pid, master, runs)
        with suppress(OSError):
            import fcntl
            import struct
            import termios

            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        return opened

    def sessions(self) -> list[int]:
        """The server's processes that serve a connection."""
        return [child.pid for child in psutil.Process(self.pid).children(recursive=True) if child.name() == "sshd"]

    def cut(self, client: Terminal) -> None:
        """Kill a client, and on this side of the connection the processes that serve it."""
        serving = self.sessions()
        os.kill(client.pid, signal.SIGKILL)
        os.waitpid(client.pid, 0)
        os.close(client.master)
        for pid in serving:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.sessions(), "the connection is gone", 20)


def _keys(folder: Path) -> None:
    for name in ("host", "user"):
        command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(folder / "user.pub", folder / "authorized")


def _configuration(folder: Path, port: int) -> Path:
    path = folder / "sshd_config"
    path.write_text(
        f"""
ListenAddress 127.0.0.1
Port {port}
HostKey {folder / "host"}
AuthorizedKeysFile {folder / "authorized"}
PidFile {folder / "pid"}
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
"""
    )
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A server for this user, as long as the block lasts."""
    sshd, port = program("sshd"), _free_port()
    if os.geteuid() == 0:  # a server of the superuser wants an empty folder to lock its child into
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    _keys(folder)
    log = folder / "log"
    with subprocess.Popen([sshd, "-D", "-f", str(_configuration(folder, port)), "-E", str(log)]) as process:
        try:
            until(lambda: _listens(port) or process.poll() is not None, "the ssh server listens", 20)
            assert process.poll() is None, log.read_text()
            yield Server(folder, port, process.pid)
        finally:
            for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
                with suppress(psutil.NoSuchProcess):
                    if child.name() == "sshd":
                        child.kill()
            process.terminate()
            process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def line(words: Sequence[str], env: dict[str, str], cwd: Path) -> str:
    """A shell's line that runs a command in a folder with these variables."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
    return f"cd {shlex.quote(str(cwd))} && env {' '.join(settings)} {shlex.join(words)}"
