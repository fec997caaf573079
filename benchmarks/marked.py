"""Pages of the documentation with parts that are made by commands, between two marks of a name."""

from __future__ import annotations


def filled(text: str, mark: str, part: str) -> str:
    """A page with ``part`` between its marks ``<!-- mark: begin -->`` and ``<!-- mark: end -->``.

    Raises:
        ValueError: the page has no such marks, or several.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{part}\n{end}{after}"
