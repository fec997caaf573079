"""Entry of ``mim4dd`` and ``python -m mim4dd_tui``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on ``argv`` (default: this process's arguments) and return its exit code."""
    try:
        from mim4dd_tui.cli.entry import run_command
    except KeyboardInterrupt:  # later ones are answered where they come
        return 130

    if argv is not None:
        return run_command(argv)
    code = run_command(sys.argv[1:])
    gc.freeze()  # else the interpreter goes once more through all that torch has made: a second before the prompt comes
    return code


if __name__ == "__main__":
    sys.exit(main())
