"""How far all experts together are: epochs trained here, and those found in the cache."""

from __future__ import annotations

from engine.events import ExpertEpoch, Progress


class Epochs:
    """Adds up the epochs of all experts of one sitting, also of several that are trained side by side.

    Attributes:
        found: how many of them were found in the cache.
        together: whether the newest belongs to those before it: of experts side by side each says one, and then none
            until all are through the next.
    """

    def __init__(self) -> None:
        self._reached: dict[int, int] = {}
        self._round: set[int] = set()  # the experts that have said one since the first of them did
        self.found = 0
        self.together = False

    def after(self, event: ExpertEpoch) -> Progress:
        """The progress after an expert's epoch. Its ``detail`` says what was found in the cache, where anything was:
        whole experts, and the epochs of one whose training was broken off."""
        if event.expert not in self._reached:
            self.found += event.epoch if event.reused else event.epoch - 1
        self._reached[event.expert] = event.epoch
        self.together = bool(self._round) and event.expert not in self._round
        self._round = {*self._round, event.expert} if self.together else {event.expert}
        done = sum(self._reached.values())
        found = f"{self.found} of them found in the cache" if done > self.found else "found in the cache"
        return Progress("experts", done, event.experts * event.epochs, found if self.found else "")
