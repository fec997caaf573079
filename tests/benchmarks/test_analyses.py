"""The page of analyses is what its kept documents say, and these what the kept cells say."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest

from benchmarks import analyses
from engine.analysis.ask import analyse
from engine.analysis.cells import Cell, Places
from engine.analysis.plan import Plan
from mim4dd_tui.plots.analyses import draw

DOCUMENTS = {name: json.loads((analyses.KEPT / f"{name}.json").read_text()) for name in analyses.NAMES}


def test_the_page_holds_todays_tables() -> None:
    text = analyses.PAGE.read_text()
    assert analyses.rendered(text) == text
    for name in analyses.NAMES:
        assert f"![{name}](analyses/" in text


@pytest.mark.parametrize("name", analyses.NAMES)
def test_a_document_is_made_of_the_kept_cells_alone(name: str, tmp_path: Path) -> None:
    """Also after a setting was added, at its default: no cell is run again."""
    document = DOCUMENTS[name]
    changes = list(document["set"].items())
    places = Places(analyses.KEPT / "cells", tmp_path)
    plan = Plan(target=analyses.PRESET, seeds=document["seeds"], places=places, changes=changes, finished=True)
    with mock.patch.object(Cell, "run", side_effect=AssertionError("a cell is run")):
        assert json.loads(json.dumps(analyse(name, plan))) == document
    assert draw(document, analyses.KEPT / "cells").startswith(b"\x89PNG")
