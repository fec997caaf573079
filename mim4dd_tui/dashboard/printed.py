"""What a run's code prints while the dashboard has the terminal: it goes to a file of the run's folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from engine.runs.folder import RunFolder

SAID = "the run's code prints: output.log in its folder holds it"


class Printed:
    """Appends to the run's ``output.log``. Used by the run's own thread alone.

    Args:
        tell: is given one sentence, with the first text or with the first that was refused.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._early = ""  # from before the run had a folder
        self._file: int | None = None
        self._told = set[str]()

    def write(self, text: str, folder: Path | None) -> None:
        """Append, once the run's folder is known."""
        self._early += text
        if folder is not None and self._early:
            text, self._early = self._early, ""
            self._append(text, RunFolder(folder).output_path)

    def _append(self, text: str, path: Path) -> None:
        try:
            if self._file is None:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            data = text.encode(errors="replace")
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._say(f"what the run's code prints is lost: output.log in its folder refuses it ({error.strerror})")
        else:
            self._say(SAID)

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)

    def close(self) -> None:
        """Nothing more is printed."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
