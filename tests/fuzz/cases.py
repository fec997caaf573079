"""Cases by the thousand: how many, of what, and what must never happen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import MimError
from engine.sealed import _BEFORE, _ZEROS
from tests.reliability.disk import failing

T = TypeVar("T")

LONGEST = timedelta(seconds=20)
"""No single case may take longer: it hangs."""


def budget(fast: int, long: int) -> pytest.MarkDecorator:
    """Parametrises ``count``: few and always the same in the fast suite, many and new in the long one."""
    return pytest.mark.parametrize(
        "count", [fast, pytest.param(long, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
    )


def every(count: int, strategy: st.SearchStrategy[T], check: Callable[[T], None]) -> None:
    """Checks ``count`` cases."""

    @settings(
        max_examples=count,
        deadline=LONGEST,
        database=None,
        derandomize=count < 500,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(value: T) -> None:
        check(value)

    each()


def refused_or_given(act: Callable[[], T]) -> T | None:
    """What ``act`` gives; None where it refuses in words. Anything else it raises is a fault."""
    try:
        return act()
    except MimError as error:
        said = str(error)
    assert said.strip()
    return None


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Asserts that nothing outside of a folder is written, renamed, linked or removed."""
    inside = str(folder.resolve())
    with failing(Path("/"), 0) as disk:
        yield
    own = (inside, "/.hypothesis/", "/__pycache__/")  # what is looked for, and what the tools of the tests keep
    strangers = [what for what in disk.done if " /" in what and not any(place in f"{what}/" for place in own)]
    assert strangers == [], "\n".join(strangers[:5])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with some values replaced, missing or added, on any level."""
    result = dict(document)
    for _ in range(draw(st.integers(1, 3))):
        if not result:
            break
        key = draw(st.sampled_from(sorted(result)))
        inner = result[key]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            result[key] = draw(changed(inner))
        elif draw(st.integers(0, 4)) == 0:
            del result[key]
        else:
            result[key] = draw(json_values)
    return result


NUMBERS = st.sampled_from([0, 1, 7, 8, 255, 256, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1])


@st.composite
def mutated(draw: st.DrawFn, whole: bytes, other: bytes = b"") -> bytes:
    """Bytes of a file after one to four accidents: flipped, cut, doubled, spliced, zeroed, with another length."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        size = len(data)
        at = draw(st.integers(0, max(0, min(size - 1, 4096)))) if draw(st.booleans()) else draw(st.integers(0, size))
        span = draw(st.integers(1, 64))
        match draw(st.integers(0, 8)):
            case 0 if size:
                data[at % size] ^= 1 << draw(st.integers(0, 7))
            case 1 if size:
                data[at % size] = draw(st.integers(0, 255))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + span]
            case 4:
                data[at:at] = draw(st.binary(max_size=64))
            case 5:
                data[at : at + span] = bytes(span)
            case 6:
                data[at:at] = data[at : at + span] * 3
            case 7:
                data[at:] = other[draw(st.integers(0, len(other))) :]
            case _:
                data[0:8] = draw(NUMBERS).to_bytes(8, "little")
    return bytes(data)


def resealed(data: bytes) -> bytes:
    """The same bytes under a checksum that fits: what gets past the seal has still to be refused in words."""
    start = 8 + len(_BEFORE)
    if data[8:start] != _BEFORE or len(data) < start + 64:
        return data
    digest = hashlib.sha256(data[:start] + _ZEROS + data[start + 64 :]).hexdigest()
    return data[:start] + digest.encode() + data[start + 64 :]
