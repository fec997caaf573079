"""Text where there is little room."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mim4dd_tui.fitting import SHORTEST, shortened


@given(st.text(alphabet=string.ascii_lowercase + "é数…-", max_size=30), st.integers(1, 30), st.booleans())
def test_a_shortened_text_has_as_many_cells_as_it_may_have(text: str, width: int, middle: bool) -> None:
    short = shortened(text, width, middle=middle)
    assert short == text if cell_len(text) <= width else cell_len(short) == width


@pytest.mark.parametrize(
    ("width", "short"),
    [
        (31, "digits-ipc1-s3-20260101-120000"),
        (20, "digits…260101-120000"),
        (SHORTEST, "di…20000"),
        (7, "digits…"),
        (1, "…"),
    ],
)
def test_what_is_left_out_is_in_the_middle_where_both_ends_can_be_read(width: int, short: str) -> None:
    assert shortened("digits-ipc1-s3-20260101-120000", width) == short


def test_what_is_left_out_can_be_the_end_and_any_sign_its_mark() -> None:
    assert shortened("many words at once", 10, ".", middle=False) == "many word."
    assert shortened("many words at once", 10, "~") == "man~t once"
