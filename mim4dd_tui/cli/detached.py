"""Entry of a detached process: the descriptor of its line to the command that waits, then the command line."""

from __future__ import annotations

import sys

from mim4dd_tui.cli.detach import is_detached
from mim4dd_tui.cli.entry import run_command

if __name__ == "__main__":
    is_detached(int(sys.argv[1]))
    sys.exit(run_command(sys.argv[2:]))
