"""A number over iterations, as a curve is drawn from it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(slots=True)
class Series:
    """Values over iterations (or epochs), both plain lists of one length; iterations strictly increase.

    A value that is not a finite number stays nan or infinite: draw a gap. ``cuts`` counts how often points were
    dropped: a view that has copied some need only copy what came after them while it stays the same.
    """

    iterations: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    cuts: int = field(default=0, compare=False)

    def __len__(self) -> int:
        return len(self.iterations)

    @property
    def last(self) -> float | None:
        """The newest value, None in an empty series."""
        return self.values[-1] if self.values else None

    def add(self, iteration: int, value: float) -> None:
        """Appends a point; one that is not beyond the last replaces everything from there on."""
        if self.iterations and iteration <= self.iterations[-1]:
            self.cut(iteration - 1)
        self.iterations.append(iteration)
        self.values.append(value)

    def cut(self, after: int) -> None:
        """Drops the points beyond iteration ``after``."""
        keep = bisect_right(self.iterations, after)
        self.cuts += keep < len(self.iterations)
        del self.iterations[keep:]
        del self.values[keep:]

    def points(self) -> list[tuple[int, float]]:
        """Pairs (iteration, value)."""
        return list(zip(self.iterations, self.values, strict=True))
