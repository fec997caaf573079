"""Several seeds in one word, as ``--seeds`` and the dashboard's queue take them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import ConfigError

LARGEST = 2**31 - 1
MOST = 1000


def seeds_of(text: str) -> list[int]:
    """Seeds from ``0-4`` or ``0,2,5`` or a mixture, in the order given.

    Raises:
        ConfigError: it is neither, runs backwards, names a seed twice, or names too many or too large ones.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isascii() and first.isdecimal()) or (dash and not (last.isascii() and last.isdecimal())):
            raise ConfigError("write a range as 0-4, or a list as 0,2,5")
        begin, end = int(first), int(last or first)
        if max(begin, end) > LARGEST:
            raise ConfigError(f"{max(begin, end)} is too large: a seed is at most {LARGEST:,}")
        if end < begin:
            raise ConfigError(f"{part.strip()} runs backwards; write {end}-{begin}")
        if end - begin >= MOST:
            raise ConfigError(f"{end - begin + 1:,} runs; at most {MOST:,} at once")
        seeds.extend(range(begin, end + 1))
    if len(set(seeds)) != len(seeds):
        raise ConfigError("a seed is named twice")
    return seeds


def ranges(seeds: Sequence[int]) -> str:
    """The word for seeds: ``1-4`` or ``2,5``."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], seed]
        else:
            parts.append([seed])
    return ",".join("-".join(map(str, part)) for part in parts)


def named(seeds: str) -> str:
    """``seed 1`` or ``seeds 1-4``."""
    return f"seed {seeds}" if seeds.isdecimal() else f"seeds {seeds}"
