"""How far the training and measuring of networks has come: both are work, and either may be most of it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
TRAINING = 3
"""Passes that an image costs a network in training, one forward and two back; one that it is measured on costs one."""


class Count:
    """Counts networks by their share of the work, so that a network whose training is over is not counted whole."""

    def __init__(self, progress: Progress | None, networks: int, *, trained_on: int, measured_on: int) -> None:
        """
        Args:
            progress: hears of networks done, out of all; None: nobody does.
            trained_on: images that a network sees in its training, every epoch's counted.
            measured_on: images that it is measured on.
        """
        self._progress, self._networks = progress, networks
        training = TRAINING * trained_on
        self._share = training / (training + measured_on)  # of a network's work
        self._trained = self._measured = 0

    def trained(self, done: int, _total: int) -> None:
        """So many networks are trained, in whole numbers of them."""
        self._trained = done
        self._tell()

    def measured(self) -> None:
        """One more network is measured."""
        self._measured += 1
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            done = self._share * self._trained + (1 - self._share) * self._measured
            self._progress(int(done + 1e-9), self._networks)
