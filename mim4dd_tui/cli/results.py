"""``evaluate`` and ``export``: using a distilled set after its run."""

from __future__ import annotations


def evaluate() -> None: ...
def export() -> None: ...
