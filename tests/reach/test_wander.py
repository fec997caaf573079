"""Whatever dashboards and commands do to runs at once: every place says the same of them, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reach.wander import Ground, wander


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_is_well_after_every_step_of_a_random_walk(seed: int, tmp_path: Path) -> None:
    found = wander(Ground(tmp_path), seed, 25)
    assert not found, found
