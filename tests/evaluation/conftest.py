"""The digits, loaded once."""

from __future__ import annotations

import pytest

from engine.data.sources import load
from engine.data.types import RawSet


@pytest.fixture(scope="session")
def digits() -> RawSet:
    return load("digits")
