"""What stands over pictures beside their heading, in the room there is."""

from __future__ import annotations

from collections.abc import Sequence

from mim4dd_tui.dashboard.widgets.sheet import Sheet

Ways = tuple[str, ...]
"""Ever shorter ways of saying one thing."""


def caption(
    sheet: Sheet, room: int, *, name: str, chosen: bool, seen: tuple[int, int, int], beside: bool, playing: bool
) -> list[str]:
    """Notes that fit into ``room`` columns, two blanks before each.

    That the sheet plays, which image has the keys, the moment, which images of all are seen where not all are, and what
    stands beside: each is shortened before one is left out. Then how contrast was treated.

    Args:
        name: what the selected image is called; empty where it is of no matter.
        chosen: it is one of several.
        seen: how many images there are before those in sight, with these, and in all.
    """
    before, last, count = seen
    wanted: list[Ways] = []
    if playing:
        wanted.append(("playing",))
    if name:
        wanted.append((f"{name} chosen", name) if chosen else (name,))
    wanted.append((sheet.caption, sheet.caption.replace("iteration ", "at ")))
    if last - before < count:
        wanted.append((f"{before + 1}-{last} of {count}",))
    if beside and sheet.start is not None:
        wanted.append((f"left: {sheet.origin} it started from", f"left: {sheet.origin}"))
    told = _shortened(wanted, room)
    fits = sum(len(note) + 2 for note in (*told, sheet.contrast)) <= room
    return [*told, sheet.contrast] if sheet.contrast and fits else told


def _shortened(wanted: Sequence[Ways], room: int) -> list[str]:
    """As many as there is room for, in this order, each as long as the others leave it."""
    taken: list[Ways] = []
    for ways in wanted:
        if len(ways[-1]) + 2 <= room:
            taken.append(ways)
            room -= len(ways[-1]) + 2
    told = []
    for ways in taken:
        way = next(each for each in ways if len(each) - len(ways[-1]) <= room)
        room -= len(way) - len(ways[-1])
        told.append(way)
    return told
