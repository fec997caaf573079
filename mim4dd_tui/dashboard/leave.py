"""Why the interface closed."""

from __future__ import annotations

from enum import Enum


class Leave(Enum):
    """Why the interface closed."""

    DONE = "done"
    DETACH = "detach"  # let the run go on, with plain lines
    HANGUP = "hangup"  # the terminal is gone; the run goes on in silence
    TERMINATED = "terminated"  # SIGTERM, SIGUSR1 or SIGINT from elsewhere: stop with a checkpoint
