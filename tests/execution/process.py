"""What a run settles for the whole process, put back after a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch

from engine import execution

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def as_before() -> Iterator[None]:
    """For a fixture: everything ``execution.settle`` may change is afterwards as it was."""
    memory: Any = torch.utils.deterministic
    threads, allowed, workspace = torch.get_num_threads(), torch.backends.cudnn.allow_tf32, os.environ.get(WORKSPACE)
    repeating, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filling = memory.fill_uninitialized_memory
    yield
    execution.repeat_bits(on_card=False)
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = allowed
    torch.use_deterministic_algorithms(repeating, warn_only=warns)
    memory.fill_uninitialized_memory = filling
    os.environ.pop(WORKSPACE, None)
    if workspace is not None:
        os.environ[WORKSPACE] = workspace
