"""How counts are said."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """``1 epoch``, ``12 epochs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
