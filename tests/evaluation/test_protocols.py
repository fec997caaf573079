"""Protocols in words: complete, and the documentation's are the code's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.evaluation.protocols import PROTOCOLS
from mim4dd_tui.__main__ import main

USING = Path(__file__).resolve().parents[2] / "docs" / "using.md"


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_the_documentation_has_every_protocol_as_it_is(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert f"| `{name}` | {protocol.told()} | {protocol.source} |" in USING.read_text(encoding="utf-8")


def test_a_protocol_is_told_with_all_that_it_takes() -> None:
    assert PROTOCOLS["dream-1000"].told() == (
        "1,000 epochs of SGD in batches of 64; rate 0.01, times 0.2 from epoch 667 on, times 0.2 from epoch 834 on; "
        "momentum 0.9, weight decay 0.0005; the run's augmentation without cutout, then CutMix in 50 % of the batches"
    )
    assert "constant" in PROTOCOLS["bptt-300"].told()
    assert "the set's own step size, else 0.01" in PROTOCOLS["mtt-1000"].told()


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocols"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for protocol in PROTOCOLS.values():
        assert f"{protocol.name} {protocol.told()}" in out
    assert main(["protocols", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(PROTOCOLS)
