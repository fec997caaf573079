"""The planted faults (``make mutants``) can be planted: what they replace stands in the source; their tests exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_stands_where_it_is_planted(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text().count(fault.old) == 1
    assert fault.new != fault.old
    file, _, name = fault.test.partition("::")
    assert not name or f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()
