"""Entry of ``mim4dd`` and ``python -m mim4dd_tui``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on ``argv`` (default: this process's arguments) and return its exit code."""
    from mim4dd_tui.cli.entry import run_command

    return run_command(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
