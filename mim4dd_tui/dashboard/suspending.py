"""Ctrl-Z: the dashboard aside, the shell in front."""

from __future__ import annotations

import os


def shell_waits() -> bool:
    """Whether somebody can bring a suspended process back: the parent is in this session, but not in this process's
    group, as a shell that controls its jobs is. Otherwise (``ssh HOST mim4dd``) it would sleep for ever."""
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:  # of another session, or gone
        return False
