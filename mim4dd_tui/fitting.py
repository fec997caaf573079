"""Text where there is little room: shortened, or in lines that leave paths and commands whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from mim4dd_tui.terminal import columns

SHORTEST = 8
"""Cells of the shortest text that is read by its two ends; where there are fewer, its beginning is all that is left."""
LEAST = 2
"""Cells of a preset's name at least where a run's seed is told behind it."""
_UNITS = re.compile(r"[^\s`]*`[^`\n]*`[^\s`]*|\S+")
"""Words, and commands in backquotes with what stands close to them."""
_COMMANDS = re.compile(r"(`[^`\n]*`)")
_BETWEEN = "- "
_WORDS = re.compile(r"[^- ]*[- ]|[^- ]+$")
"""Of a name, each with the sign that follows it."""
_DATED = re.compile(r"(?P<preset>.+)-(?P<seed>s\d+)-(?P<when>\d{8}-(?P<time>\d{6}(-\d+)?))")
"""The name that a run is given where nobody names it."""
_SEED = re.compile(r" s\d+$")
"""What a short name ends with where it tells a seed."""
_STEPS = re.compile(r"[^/]*/+|[^/]+")
"""A path's folders, each with its slash, and its end."""


def shortened(text: str, width: int, mark: str = "…", *, middle: bool = True) -> str:
    """A text in at most ``width`` cells, with ``mark`` (one cell) where something was left out.

    Args:
        middle: what is left out is in its middle, and more is kept of its end: there the names of runs differ.
    """
    if cell_len(text) <= width:
        return text
    kept = max(0, width - 1)
    if not middle or width < SHORTEST:
        return set_cell_size(text, kept) + mark
    begin = kept // 3
    return set_cell_size(text, begin) + mark + set_cell_size(text[::-1], kept - begin)[::-1]


def shortened_apart(texts: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """Texts as :func:`shortened` makes them; where some become the same, they keep the part in which they differ.

    Names that runs were given lose their date first, then their time, then of their preset. All others are shortened
    in one way, where that tells them apart: names that differ in several places, as in seed and number, by the words
    that they do not have in common.
    """
    every = sorted(set(texts))
    brief = {text: text for text in every if cell_len(text) <= width}
    dated = [found for text in every if text not in brief and (found := _DATED.fullmatch(text))]
    if dated:
        brief |= _without_dates(dated, width, mark)
        others = [text for text in every if text not in brief]
        if len(others) < len(every):
            brief |= zip(others, shortened_apart(others, width, mark), strict=True)
    if len(set(brief.values())) < len(every):
        brief = _told_apart(every, width, mark)
    return [brief[text] for text in texts]


def cut_apart(texts: Sequence[str], width: int, mark: str = "…") -> list[str]:
    """Texts cut at their ends; where different ones become the same, without the beginning that those cut have in
    common."""
    brief = [shortened(text, width, mark, middle=False) for text in texts]
    cut = {text for text in texts if cell_len(text) > width}
    if len(set(brief)) == len(set(texts)):
        return brief
    common = _shared(sorted(cut))
    return [shortened(f"{mark}{text[common:]}" if text in cut else text, width, mark, middle=False) for text in texts]


def _without_dates(names: Sequence[re.Match[str]], width: int, mark: str) -> dict[str, str]:
    """Names of runs with preset and seed, and the time where it has room or tells runs of one preset and seed apart.

    Those for which there is no room even so are left out.
    """
    alike: dict[str, list[re.Match[str]]] = {}
    for name in names:
        alike.setdefault(name["preset"], []).append(name)
    ends = {name: _end(name, alike[name["preset"]]) for name in names}
    brief: dict[str, str] = {}
    for name, end in ends.items():
        head = f"{name['preset']}-{name['seed']}{mark}"
        way = head + (end or name["time"])
        if not end and cell_len(way) > width:
            way = head
        if cell_len(way) <= width:
            brief[name[0]] = way
    tails = {name: name["seed"] + (mark + end if end else "") for name, end in ends.items() if name[0] not in brief}
    room = {name: width - cell_len(tail) - 1 for name, tail in tails.items()}
    if not room or min(room.values()) < LEAST:
        return brief
    heads = [
        name["preset"] + "-" if len(name["preset"]) < left + bool(ends[name]) else name["preset"][:left] + mark
        for name, left in room.items()
    ]
    same = len(set(zip(heads, tails.values(), strict=True))) < len(tails)
    if same and min(room.values()) < SHORTEST:
        return brief
    presets = {name["preset"] for name in names}
    cut = [name["preset"][:left] for name, left in room.items() if len(name["preset"]) > left]
    if same or (min(room.values()) >= SHORTEST and any(sum(p.startswith(c) for p in presets) > 1 for c in cut)):
        heads = [each + "-" for each in shortened_apart([name["preset"] for name in tails], min(room.values()), mark)]
    return brief | {name[0]: head + tail for (name, tail), head in zip(tails.items(), heads, strict=True)}


def _end(name: re.Match[str], alike: Sequence[re.Match[str]]) -> str:
    """What a run's name has to end with among those of its preset: nothing where their seeds tell them apart."""
    if len({each["seed"] for each in alike}) == len(alike):
        return ""
    for begin in (len("YYYYMMDD-"), len("YYYY")):
        if len({(each["seed"], each["when"][begin:]) for each in alike}) == len(alike):
            return name["when"][begin:]
    return name["when"]


def _told_apart(every: Sequence[str], width: int, mark: str) -> dict[str, str]:
    """Different texts, shortened in one way or, where that makes some the same, with the part in which these differ."""
    alike: dict[str, list[str]] = {}
    for text in every:
        alike.setdefault(shortened(text, width, mark), []).append(text)
    words = _differing_words(every, width, mark)
    if words is None and len(alike) < len(every):
        words = _with_difference(list(every), width, mark)
    if words is not None and len(set(words)) == len(every):
        return dict(zip(every, words, strict=True))
    brief: dict[str, str] = {}
    for short, group in alike.items():
        kept = _with_difference(group, width, mark) if len(group) > 1 else [short]
        apart = len(set(kept)) == len(group) and (len(group) == 1 or alike.keys().isdisjoint(kept))
        brief.update(zip(group, kept if apart else [short] * len(group), strict=True))
    if len(set(brief.values())) < len(every):
        _part(brief, width, mark)
    return brief


def _part(brief: dict[str, str], width: int, mark: str) -> None:
    """Those of several groups that have become the same are shortened once more, together."""
    counts = Counter(brief.values())
    equal = [text for text, short in brief.items() if counts[short] > 1]
    words = _differing_words(equal, width, mark)
    if words is not None and len(set(words)) == len(equal):
        brief.update(zip(equal, words, strict=True))


def _differing_words(texts: Sequence[str], width: int, mark: str) -> list[str] | None:
    """Texts with the words in which they differ, and of the others those that have room.

    None where these have no room, or differ in one place alone. Words are counted from the end: a preset's name, with
    which a run's begins, has as many as it likes.
    """
    split = [_WORDS.findall(text) for text in texts]
    count = max(map(len, split))
    rows = [[""] * (count - len(words)) + words for words in split]
    differ = [len({word.rstrip(_BETWEEN) for word in column}) > 1 for column in zip(*rows, strict=True)]
    if sum(differs and not before for before, differs in pairwise([False, *differ])) < 2:
        return None

    def left(shown: Sequence[bool]) -> int:
        return width - max(cell_len(_of_words(words, shown, mark)) for words in rows)

    if left(differ) < 0:
        return None
    for place in range(count):
        more = [*differ[:place], True, *differ[place + 1 :]]
        differ = more if left(more) >= 0 else differ
    begin = "".join(rows[0])[: 0 if differ[0] else left(differ)]
    short = (begin + _of_words(words, differ, mark) for words in rows)
    return [text if cell_len(text) <= width else brief for text, brief in zip(texts, short, strict=True)]


def _of_words(words: Sequence[str], shown: Sequence[bool], mark: str) -> str:
    """Some words of a text, with a mark for those between them and around."""
    text = ""
    for word, whole in zip(words, shown, strict=True):
        if whole:
            text += word
        elif word and not text.endswith(mark):
            text = text.rstrip(_BETWEEN) + mark
    return text


def _with_difference(texts: list[str], width: int, mark: str) -> list[str]:
    """Beginning, the part in which they differ, and end of every text; the part is of whole words.

    A seed behind a space belongs to the word before it where more than that has room.
    """
    common = _shared(texts)
    begin = texts[0].rfind("-", 0, common) + 1
    if max(len(text) for text in texts) - begin >= width:
        begin = max(begin, texts[0].rfind(" ", 0, common) + 1)
    same = min(_shared([text[::-1] for text in texts]), min(len(text) for text in texts) - begin)
    ending = texts[0][len(texts[0]) - same :]
    same = len(ending) - max(0, ending.find("-"))  # whole words: cifar10-ipc1 and cifar100-ipc1 share no 0
    short = []
    for text in texts:
        own = text[begin : len(text) - same]
        room = max(0, width - cell_len(own))
        seed = _SEED.search(text)
        most = min(room // 2, max(0, room - len(seed[0]))) if same and seed else room // 2 if same else room
        head = shortened(text[:begin], most, mark, middle=False) if room > 1 and most else ""
        left, tail = max(0, room - cell_len(head)), text[len(text) - same :]
        if cell_len(tail) > left:
            tail = mark + set_cell_size(tail[::-1], left - 1)[::-1] if left else ""
        brief = shortened((head + own + tail).replace(mark * 2, mark), width, mark, middle=False)
        short.append(text if cell_len(text) <= width else brief)
    return short


def _shared(texts: Sequence[str]) -> int:
    """How many signs at their beginning all texts have in common."""
    return next(
        (place for place, signs in enumerate(zip(*texts, strict=False)) if len(set(signs)) > 1),
        min(len(text) for text in texts),
    )


def homely(text: str) -> str:
    """A text in which every path below the person's home folder begins with ``~``: how folders are spelled for people.

    Relative paths stay as they were given, and so do commands in backquotes: a shell knows no ``~`` in quotes.
    """
    try:
        home = str(Path.home())
    except RuntimeError:  # of a user that the system does not know
        return text
    if home == "/":
        return text
    path = re.compile(rf"(?<![\w./~-]){re.escape(home)}(?![\w.-])")
    return "".join(piece if piece.startswith("`") else path.sub("~", piece) for piece in _COMMANDS.split(text))


def wrapped(text: str, width: int, *, within_paths: bool = False) -> list[str]:
    """A text in lines of ``width`` cells, broken at spaces, but not within a command in backquotes that fits in one.

    Args:
        within_paths: a path longer than a line is broken after slashes. Otherwise it stands alone in a line that is too
            long: a terminal breaks that where it must, and gives it whole to whoever copies it.
    """
    return [line for each in text.split("\n") for line in _filled(each, width, within_paths)]


def first_lines(lines: list[str], most: int, width: int) -> list[str]:
    """The lines, or of more than ``most`` the first ones, the last of them with a mark that some are left out."""
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], shortened(f"{lines[most - 1]} …", width, middle=False)]


def fitted(text: str, stream: TextIO) -> str:
    """A text as it is written to a stream: :func:`homely`, and in lines as wide as the terminal, where it is one."""
    text, width = homely(text), columns(stream)
    return text if width is None else "\n".join(wrapped(text, width))


def _filled(text: str, width: int, within_paths: bool) -> Iterator[str]:
    """One line in several, all indented as it is."""
    if cell_len(text) <= width:
        yield text
        return
    indent = text[: len(text) - len(text.lstrip())]
    room = max(1, width - len(indent))
    line = ""
    for piece in _pieces(text, room, within_paths):
        longer = f"{line} {piece}" if line else piece
        if line and cell_len(longer) > room:
            yield indent + line
            line = piece
        else:
            line = longer
    yield indent + line


def _pieces(text: str, room: int, within_paths: bool) -> Iterator[str]:
    """What stays together, as far as a line has room for it."""
    for unit in _UNITS.findall(text):
        for word in unit.split() if cell_len(unit) > room else [unit]:
            yield from _steps(word, room) if within_paths else [word]


def _steps(path: str, room: int) -> Iterator[str]:
    """A path in pieces as long as there is room for."""
    piece = ""
    for step in _STEPS.findall(path):
        if piece and cell_len(piece + step) > room:
            yield piece
            piece = ""
        piece += step
    yield piece
