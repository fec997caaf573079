"""The progress of all experts together."""

from __future__ import annotations

from engine.events import ExpertEpoch
from engine.runs.epochs import Epochs


def epoch(expert: int, number: int, *, reused: bool = False) -> ExpertEpoch:
    return ExpertEpoch(expert, 3, number, 12, 0.5, 0.9, None, 0.0 if reused else 1.0, reused)


def said(epochs: Epochs, event: ExpertEpoch) -> tuple[int, int | None, str]:
    progress = epochs.after(event)
    return progress.done, progress.total, progress.detail


def test_what_is_found_is_not_told_as_trained() -> None:
    epochs = Epochs()
    assert said(epochs, epoch(0, 12, reused=True)) == (12, 36, "found in the cache")
    assert said(epochs, epoch(2, 1)) == (13, 36, "12 of them found in the cache")
    assert said(epochs, epoch(1, 6)) == (19, 36, "17 of them found in the cache"), "five epochs were kept"
    assert said(epochs, epoch(1, 7)) == (20, 36, "17 of them found in the cache")


def test_without_a_cache_nothing_is_said_of_it() -> None:
    epochs = Epochs()
    assert said(epochs, epoch(0, 1)) == (1, 36, "")
    assert said(epochs, epoch(1, 1)) == (2, 36, "")
