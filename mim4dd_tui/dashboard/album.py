"""Which of a run's snapshots is looked at. Pure: no widget, no file."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import Snapshot


class Album:
    """Follows the newest snapshot until an earlier one is chosen, and knows the one the run started from."""

    def __init__(self) -> None:
        self._pages: Sequence[Snapshot] = ()
        self._chosen: int | None = None  # iteration of the snapshot looked at; None follows the newest

    def update(self, snapshots: Sequence[Snapshot]) -> None:
        """The run's snapshots as they are now, oldest first."""
        self._pages = snapshots

    def __len__(self) -> int:
        return len(self._pages)

    @property
    def index(self) -> int:
        """Place of the snapshot shown; -1 where there is none."""
        if self._chosen is None:
            return len(self._pages) - 1
        earlier = [i for i, page in enumerate(self._pages) if page.iteration <= self._chosen]
        return earlier[-1] if earlier else min(0, len(self._pages) - 1)

    @property
    def shown(self) -> Snapshot | None:
        """The snapshot to show."""
        return self._pages[self.index] if self._pages else None

    @property
    def start(self) -> Snapshot | None:
        """The set before the first iteration, where it was kept."""
        return self._pages[0] if self._pages and self._pages[0].iteration == 0 else None

    @property
    def follows(self) -> bool:
        """Whether the newest snapshot is shown as it comes."""
        return self._chosen is None

    def step(self, count: int) -> None:
        """Go ``count`` snapshots on (negative: back); at the newest one it follows again."""
        if not self._pages:
            return
        index = max(0, min(self.index + count, len(self._pages) - 1))
        self._chosen = None if index == len(self._pages) - 1 else self._pages[index].iteration
