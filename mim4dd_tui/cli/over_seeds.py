"""What several runs that differ in their seed come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.analysis.estimates import spread
from engine.wording import counted

Document = dict[str, Any]
MEANS = {
    "accuracy": "last iterates",  # unless images chose them, see below
    "accuracy_by_test": "those that the test images would have chosen",
    "last": "last iterates",
}
"""Accuracies of a result document that are averaged, in words."""
CHOSEN = {
    "validation": "best iterates, chosen on held-out training images",
    "test": "best iterates, chosen on the test images",
}


def over_seeds(documents: Sequence[Document]) -> Document:
    """The document of several runs: each one's (``runs``), and their mean accuracies over seeds.

    ``accuracy`` (of the best iterates), ``accuracy_by_test`` and ``last`` each have ``mean`` and ``std`` (n-1; null for
    one run) of the runs' mean accuracies in 0..1, how many ``runs`` that counts, ``protocol``, ``selected_on`` and
    ``measured_on``; null where no finished run has it.
    """
    return {"runs": list(documents), **{key: _mean(documents, key) for key in MEANS}}


def _mean(documents: Sequence[Document], key: str) -> Document | None:
    scores = [d[key] for d in documents if d.get("state") == "done" and d.get(key)]
    scores = [score for score in scores if score.get("mean") is not None]
    if not scores:
        return None
    mean, deviation = spread([float(score["mean"]) for score in scores])
    return {
        "mean": mean,
        "std": None if math.isnan(deviation) else deviation,
        "runs": len(scores),
        **{name: scores[0].get(name) for name in ("protocol", "selected_on", "measured_on")},
    }


def print_seeds(document: Document) -> None:
    """The last lines for people: the means over seeds."""
    from mim4dd_tui.cli.output import say_in_words

    for line in seed_lines(document):
        say_in_words(line)


def seed_lines(document: Document) -> list[str]:
    """``over 3 seeds: 84.7 ± 1.9 % (quick-100), best iterates, ...``, of the last ones too; and what ± is."""
    from mim4dd_tui.plain import percent

    lines = []
    for key, of in MEANS.items():
        found = document.get(key)
        if found is None or (key == "last" and (document["accuracy"] or {}).get("selected_on") == "none"):
            continue
        words = CHOSEN.get(found["selected_on"], of) if key == "accuracy" else of
        mean = percent(found["mean"], found["std"])
        lines.append(f"over {counted(found['runs'], 'seed')}: {mean} ({found['protocol']}), {words}")
    if any((document.get(key) or {}).get("std") is not None for key in MEANS):
        lines.append("± is the standard deviation over the seeds, no interval of the mean")
    return lines
