"""The list of past runs on the first screen: a row each, with state, accuracy, name and age."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from mim4dd_tui.dashboard.catalog import RunInfo, labels
from mim4dd_tui.dashboard.ink import in_rich
from mim4dd_tui.dashboard.widgets.calm import CalmList
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.plain import age, ago

AGES_SECONDS = 20.0
"""How old ages may be where nothing else has changed: a thousand rows take 40 ms."""
PADDING = 2
"""Columns beside a row, as home.tcss has it."""


class RunList(CalmList):
    """Its options bear the runs' names; they say what is highlighted and selected only when somebody moves there."""

    @property
    def idle(self) -> frozenset[str]:
        """Keys that do nothing for the run under the cursor."""
        run = self.run_of(self.get_option_at_index(self.highlighted).id) if self.highlighted is not None else None
        if run is None:
            return frozenset({"enter", "R", "I", "w", "D"})
        return frozenset() if run.resumable else frozenset({"R", "w", *(() if run.lengthenable else "I")})

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: dict[str, RunInfo] = {}
        self._written = 0.0

    def fill(self, runs: Sequence[RunInfo], problem: str) -> RunInfo | None:
        """Show these runs, or why there are none.

        Returns:
            The run that is highlighted now: one that was just begun here, else the one from before, or where that has
            gone one in its place.
        """
        index = self.highlighted
        before = self.get_option_at_index(index).id if index is not None else None
        new = {info.name: info for info in runs}
        begun = next((name for name, info in new.items() if info.here and name not in self._runs), None)
        fresh = new == self._runs and time.monotonic() - self._written < AGES_SECONDS
        self._runs, names = new, list(new)
        with self.prevent(OptionList.OptionHighlighted):
            if not self._runs:
                self.set_options([Option(Text(problem or "none yet", style="dim"), disabled=True)])
                return None
            if names == [option.id for option in self.options]:
                if not fresh:
                    self._rewrite()
            else:
                self.set_options([Option(row, id=name) for name, row in zip(names, self._rows(), strict=True)])
                self.call_after_refresh(self._rewrite)  # a scroll bar may have come
            if index is None:
                return None
            wanted = begun or before
            place = names.index(wanted) if wanted in self._runs else min(index, len(names) - 1)
            self.highlighted = place
        return self._runs[names[place]]

    def run_of(self, name: str | None) -> RunInfo | None:
        """The run that an option stands for."""
        return self._runs.get(name or "")

    def on_focus(self) -> None:
        """Keys mean the run under the cursor: there is one."""
        if self.highlighted is None and self._runs:
            self.highlighted = 0

    def _rows(self) -> list[Text]:
        """Each part below its like; without room ages lose their last words, all alike, before they go."""
        runs, unicode = self._runs.values(), bool(getattr(self.app, "unicode", True))
        scores = [run.score.removesuffix(" %") for run in runs]
        most = max(map(len, scores))
        left = self.scrollable_content_region.width - PADDING - 2 - (most + 1 if most else 0)
        labelled = labels(list(runs), left)
        now, rows = time.time(), []
        ages = [_ages(now - run.started) if run.started else [""] for run in runs]
        spelt = _alike(ages, [max(0, left - len(label)) for label in labelled])
        for run, score, label, old in zip(runs, scores, labelled, spelt, strict=True):
            mark, colour = STATES.get(run.state, ("?", "secondary"))
            row = Text(no_wrap=True, overflow="ellipsis")
            style = in_rich(self, colour)
            row.append((mark if unicode else run.state[0]) + " ", style=style)
            row.append(f"{score:>{most}} " if most else "", style="bold")
            row.append(label)
            row.append(old, style="dim")
            rows.append(row)
        return rows

    def on_resize(self) -> None:
        """The rows follow the width."""
        self.call_after_refresh(self._rewrite)

    def recolour(self) -> None:
        """The theme is another."""
        self._rewrite()

    def _rewrite(self) -> None:
        if self._runs and self.is_attached:
            self._written = time.monotonic()
            for place, row in enumerate(self._rows()):
                if row != self.get_option_at_index(place).prompt:
                    self.replace_option_prompt_at_index(place, row)


def _ages(seconds: float) -> list[str]:
    """Ever shorter ways of saying how old a run is; the last says nothing."""
    whole, brief = ago(seconds), age(seconds)
    return [f"  {whole}", f"  {whole.removesuffix(' ago')}", f"  {brief}", f" {brief}", ""]


def _alike(ages: Sequence[Sequence[str]], room: Sequence[int]) -> list[str]:
    """Ages in one spelling: the longest for which all have room that have room for any."""
    fits = [next(i for i, text in enumerate(ways) if len(text) <= left) for ways, left in zip(ages, room, strict=True)]
    most = max((i for i, ways in zip(fits, ages, strict=True) if ways[i]), default=0)
    return [ways[max(i, min(most, len(ways) - 1))] for i, ways in zip(fits, ages, strict=True)]
