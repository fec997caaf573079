"""The first iteration of a run with the term waits for the critic: what it waits for is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.events import Event, Iteration, Progress
from tests.distill.helpers import Place, Watch, quickly, tiny


@dataclass
class Listener(Watch):
    """What is said of the work beside counting on, up to the first iteration and after it."""

    until: set[str] = field(default_factory=set)
    since: set[str] = field(default_factory=set)
    begun: bool = False

    def hear(self, event: Event) -> None:
        self.begun |= isinstance(event, Iteration)
        if isinstance(event, Progress) and event.phase == "distill":
            (self.since if self.begun else self.until).add(event.detail)
        super().hear(event)


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_the_warm_up_of_the_critic_is_told(tmp_path: Path, weight: float) -> None:
    heard = Listener()
    with quickly():
        Place(tmp_path).start(tiny(information__weight=weight), heard)
    assert ("warming up the critic" in heard.until) == (weight > 0)
    assert "warming up the critic" not in heard.since
