"""Compared runs that differ in their seed alone: what they come to together, and pair by pair beside others.

Pure, as ``comparison`` is. Only accuracies of finished evaluations count: live ones are of few networks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from engine.analysis.estimates import Estimate, paired, spread
from engine.analysis.tables import points
from engine.events import Evaluation
from engine.wording import counted
from mim4dd_tui.dashboard.contenders import Contender, Line
from mim4dd_tui.dashboard.curves import OVER
from mim4dd_tui.plain import percent

Which = Literal["best", "last"]
Way = tuple[str, str, str]
"""By what an accuracy came about: protocol, the images that measured it, and those that chose the iterate."""
WHICH: tuple[Which, ...] = ("best", "last")
NO_BEST = "none"


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of the same settings and of several seeds."""

    members: tuple[Contender, ...]

    @property
    def marks(self) -> str:
        """Their letters."""
        return " ".join(one.mark for one in self.members)

    def marks_of(self, seeds: Collection[int]) -> str:
        """The letters of some seeds."""
        return " ".join(one.mark for one in self.members if one.config is not None and one.config.seed in seeds)

    @cached_property
    def twice(self) -> int | None:
        """A seed of which there are several runs: a mean would count it more than others."""
        found = Counter(one.config.seed for one in self.members if one.config is not None)
        return next((seed for seed, count in found.items() if count > 1), None)

    def scores(self, which: Which) -> dict[int, Evaluation]:
        """The finished evaluation of every seed that has one."""
        found = {}
        for one in self.members:
            event = one.history.best if which == "best" else one.history.last
            if one.config is not None and event is not None and not event.live and math.isfinite(event.mean):
                found[one.config.seed] = event
        return found

    @property
    def chosen(self) -> bool:
        """Whether a best iterate was chosen, so that it is another one than the last."""
        return any(event.selected_on != NO_BEST for event in self.scores("best").values())


@dataclass(frozen=True)
class Together:
    """A mean over the seeds of a group, or of the differences to another group at the same seeds.

    Attributes:
        of, beside: letters of the runs, and of those that are subtracted (empty: a mean).
        mean: a fraction.
        spread: of a mean the standard deviation over seeds (n-1), of differences half of the 95 % t-interval.
        count: seeds, or pairs.
        ways: by what the accuracies came about: of a difference one way alone, else there is none.
    """

    which: Which
    of: str
    beside: str
    mean: float
    spread: float
    count: int
    ways: frozenset[Way]


def groups(contenders: Sequence[Contender]) -> list[Group]:
    """Runs whose settings are the same but for the seed, where there are several; in the order of their first ones."""
    found: dict[str, list[Contender]] = {}
    for one in contenders:
        if one.config is not None:
            settings = one.config.model_copy(update={"seed": 0, "summary": ""}).model_dump_json()
            found.setdefault(settings, []).append(one)
    return [Group(tuple(members)) for members in found.values() if len(members) > 1]


def means(group: Group) -> list[Together]:
    """Over seeds, of the best iterates and of the last ones; none below two seeds, or where one is there twice."""
    if group.twice is not None:
        return []
    told = []
    for which in WHICH if group.chosen else WHICH[1:]:
        found = group.scores(which)
        if len(found) > 1:
            mean, deviation = spread([event.mean for event in found.values()])
            ways = frozenset(map(_way, found.values()))
            told.append(Together(which, group.marks_of(found), "", mean, deviation, len(found), ways))
    return told


def differences(group: Group, other: Group) -> list[Together]:
    """``group`` minus ``other`` over the seeds of both, where all were measured in one way on the same images."""
    if group.twice is not None or other.twice is not None or group.members[0].images != other.members[0].images:
        return []
    told = []
    for which in WHICH if group.chosen and other.chosen else WHICH[1:]:
        ours, theirs = group.scores(which), other.scores(which)
        seeds = sorted(ours.keys() & theirs.keys())
        ways = frozenset(_way(scores[seed]) for scores in (ours, theirs) for seed in seeds)
        if len(seeds) > 1 and len(ways) == 1:
            found: Estimate = paired([ours[seed].mean for seed in seeds], [theirs[seed].mean for seed in seeds])
            of, beside = group.marks_of(seeds), other.marks_of(seeds)
            told.append(Together(which, of, beside, found.mean, found.half, found.count, ways))
    return told


def lines(contenders: Sequence[Contender]) -> Iterator[Line]:
    """A line a group, and one for every later group beside the first."""
    found = groups(contenders)
    for group in found:
        told = _alike(means(group))
        of, count = (told[0].of, told[0].count) if told else (group.marks, len(group.members))
        yield Line(f"{of}, {counted(count, 'seed' if group.twice is None else 'run')}", words=_mean_words(group, told))
    for group in found[1:]:
        told = _alike(differences(group, found[0]))
        of, beside = (told[0].of, told[0].beside) if told else (group.marks, found[0].marks)
        pairs = f", {counted(told[0].count, 'pair')}" if told else ""
        yield Line(f"{of} − {beside}{pairs}", words=_difference_words(group, found[0], told))


def _alike(told: Sequence[Together]) -> list[Together]:
    """Those of the runs that the first is of, which a line is named by: of a run that ends its best iterate is measured
    before its last."""
    return [one for one in told if (one.of, one.beside) == (told[0].of, told[0].beside)]


def rows(contenders: Sequence[Contender]) -> Iterator[dict[str, str]]:
    """For ``seeds.csv``: a row for every mean and every difference."""
    found = groups(contenders)
    differing = [told for group in found[1:] for told in differences(group, found[0])]
    for told in [*(mean for group in found for mean in means(group)), *differing]:
        protocols, measured, chosen = (" ".join(sorted(set(part))) for part in zip(*told.ways, strict=True))
        yield {
            "runs": told.of,
            "minus": told.beside,
            "which": told.which,
            "mean": repr(told.mean),
            "spread": repr(told.spread),
            "spread_is": "half of the 95 % t-interval over pairs" if told.beside else "standard deviation over seeds",
            "count": str(told.count),
            "protocol": protocols,
            "measured_on": measured,
            "selected_on": chosen,
        }


def _way(event: Evaluation) -> Way:
    return event.protocol, event.measured_on, event.selected_on


def _mean_words(group: Group, told: Sequence[Together]) -> tuple[str, ...]:
    if group.twice is not None:
        return (f"no mean: seed {group.twice} is there more than once", f"no mean: seed {group.twice} twice")
    if not told:
        yet = "" if all(one.state in OVER for one in group.members) else " yet"
        return (f"no mean{yet}: {len(group.scores('last'))} of {len(group.members)} seeds finished",)
    each = [f"{one.which} {percent(one.mean, one.spread)}" for one in told]
    brief = [f"{one.which} {percent(one.mean, one.spread).removesuffix(' %')}" for one in told]
    return f"{', '.join(each)} (± over seeds)", ", ".join(each), ", ".join(brief)


def _difference_words(group: Group, other: Group, told: Sequence[Together]) -> tuple[str, ...]:
    if told:
        each = [f"{one.which} {points(Estimate(one.mean, one.spread, one.count), signed=True)}" for one in told]
        return f"{', '.join(each)} points (± 95 %)", f"{', '.join(each)} points", ", ".join(each)
    if group.twice is not None or other.twice is not None:
        return ("no pairs: a seed is there more than once", "no pairs: a seed twice")
    common = group.scores("last").keys() & other.scores("last").keys()
    if len(common) > 1:
        return ("not measured alike: protocol or images differ", "not measured alike")
    finished = f"{counted(len(common), 'finished seed')} in common"
    return f"no interval: {finished}", finished
