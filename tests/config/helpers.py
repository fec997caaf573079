"""Writing small configuration files and taking the message of what they cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ConfigError


def written(folder: Path, text: str | bytes, name: str = "own.toml") -> str:
    """A file in the folder; its path as it is typed."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def message(action: Callable[[], object]) -> str:
    """What the ConfigError of an action says; it has exit code 2 and reads as sentences."""
    with pytest.raises(ConfigError) as caught:
        action()
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert all(line.isprintable() and line.strip() for line in text.split("\n"))
    assert "pydantic" not in text.lower()
    assert "Traceback" not in text
    return text
