"""What a run was begun on is there, or said to be missing; and what is settled for the process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from engine import arithmetic, execution
from engine.config.schema import Config, Execution
from engine.errors import ConfigError


@pytest.fixture
def resolved() -> execution.Resolved:
    return execution.resolve(Config(execution=Execution(device="cpu", threads=1)))


@pytest.fixture
def settled() -> Iterator[None]:
    threads, allowed = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = allowed


@pytest.mark.parametrize("device", ["cuda:0", "cuda:7", "mps"])
def test_a_run_begun_on_a_device_that_is_not_here_says_so(
    device: str, resolved: execution.Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"computes on {device}.*--device cpu"):
        execution.require_device(dataclasses.replace(resolved, device=device))


def test_devices_that_are_here_are_taken(resolved: execution.Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1"):
        execution.require_device(dataclasses.replace(resolved, device=device))
    with pytest.raises(ConfigError, match="cuda:2"):
        execution.require_device(dataclasses.replace(resolved, device="cuda:2"))


def test_what_differs_from_the_machine_a_run_was_begun_on_is_named(resolved: execution.Resolved) -> None:
    assert execution.differences(resolved) == []
    moved = dataclasses.replace(resolved, torch="2.11.0", processor="another")
    assert [text.split(" ")[0] for text in execution.differences(moved)] == ["torch", "processor"]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("mixed", True)])
def test_float32_is_float32_on_cards_that_would_round(
    precision: str, allowed: bool, resolved: execution.Resolved
) -> None:
    torch.backends.cudnn.allow_tf32 = not allowed
    execution.settle(dataclasses.replace(resolved, precision=precision))
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.get_num_threads() == 1


def test_a_torch_without_onednn_has_no_fast_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert arithmetic.bfloat16_pays() is False
