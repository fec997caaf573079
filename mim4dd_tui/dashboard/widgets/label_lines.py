"""What soft labels are, in the lines below pictures that are enlarged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from mim4dd_tui.fitting import shortened
from mim4dd_tui.quantities import share, target


@dataclass(frozen=True, eq=False)
class Labels:
    """Soft labels of a snapshot: targets float32 [images, classes], and those before the first iteration.

    Attributes:
        shares: each label's are shares that add up to one; else they are numbers as they stand.
        holds: images that a stored one holds, which have its label.
    """

    now: NDArray[np.float32]
    start: NDArray[np.float32] | None = None
    shares: bool = True
    holds: int = 1

    def of_image(self, index: int, names: Sequence[str], width: int, *, beside: bool) -> list[str]:
        """An image's label in a line of ``width`` cells, and where it stands ``beside`` its start what that one was."""
        whose = f"label of all {self.holds}" if self.holds > 1 else "label"
        told = [(whose, self.now)] + ([("at first", self.start)] if beside and self.start is not None else [])
        return [_largest(head, labels[index], names, width, share if self.shares else target) for head, labels in told]

    def of_class(self, label: int, each: int, width: int) -> list[str]:
        """The mean part that a class has in the labels of its ``each`` images; none where there is no room."""
        mean = float(self.now[label * each : (label + 1) * each, label].mean(dtype=np.float64))
        told = share(mean) if self.shares else target(mean)
        ways = (f"labels: {told} on their own class, mean of {each}", f"labels: {told} on their own class")
        return [way for way in ways if cell_len(way) <= width][:1]


def _largest(
    head: str, values: NDArray[np.float32], names: Sequence[str], width: int, written: Callable[[float], str]
) -> str:
    """``label: 3 62 %  8 21 %  rest 17 %``: the largest values, as many as fit, and the sum of the others.

    Those that are written like nothing are never told one by one.
    """
    exact = values.astype(np.float64)
    order = np.argsort(-exact, kind="stable").tolist()
    nothing = {written(0.0), written(1e-9), written(-1e-9)}
    parts = [f"{names[label]} {written(float(exact[label]))}" for label in order]
    worth = max(1, next((i for i, label in enumerate(order) if written(float(exact[label])) in nothing), len(order)))
    for count in range(worth, 0, -1):
        rest = written(float(exact[order[count:]].sum()))
        others = [] if rest in nothing and count == worth else [f"rest {rest}"]
        line = f"{head}: " + "  ".join(parts[:count] + others)
        if cell_len(line) <= width:
            return line
    return shortened(f"{head}: {parts[0]}", width, middle=False)
