"""What is compared: runs with their letters, and the lines that tell of them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config.schema import Config
from engine.runs.history import RunHistory


@dataclass(frozen=True, eq=False)
class Contender:
    """One of the compared runs. ``mark`` is its letter, ``ink`` its curve's colour (1..8)."""

    mark: str
    label: str
    ink: int
    state: str
    history: RunHistory
    config: Config | None
    preset: str = ""

    @property
    def images(self) -> tuple[str, int, int]:
        """Which test images measure it: the data set, how many of it (0: all), and by which of the experts' seeds these
        were drawn; of no known settings none."""
        if self.config is None:
            return "", 0, 0
        data = self.config.data
        return data.name, data.test_limit, self.config.experts.seed if data.test_limit else 0


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        name: of what is told.
        values: one a run; none where the line is of several together.
        words: what is told of several runs, and in ever less room.
        result: whether it came out (else it was set).
    """

    name: str
    values: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    result: bool = True
