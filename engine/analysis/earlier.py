"""What an analysis was written with before: a table is not to be lost for one that holds less."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.cells import Document
from engine.analysis.plan import WITHOUT, Plan
from engine.analysis.sweep import sweep_of
from engine.config.typed import parse_value
from engine.runs.log import told_changes


def lost(before: Document, plan: Plan, values: Sequence[str] | None = None) -> str:
    """What a document that was written before holds and the one that is asked for would not; empty if nothing.

    Args:
        before: of the same analysis.
        plan: what is asked for.
        values: of a sweep, instead of its own.

    Raises:
        ConfigError: the values are wrong.
    """
    if _typed(before["set"]) != _typed(dict(plan.changes)):
        return f"runs with {told_changes(before['set'])}" if before["set"] else "runs of the preset as it is"
    seeds = [seed for seed in before["seeds"] if seed not in plan.seeds]
    if seeds:
        return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} as well"
    if "setting" not in before:
        return ""
    setting = before["setting"]
    asked = [parse_value(setting, text) for text in sweep_of(before["analysis"], values).values]
    rows = [row["value"] for row in before["rows"] if row["value"] != WITHOUT.label]
    more = [text for text in rows if parse_value(setting, text) not in asked]
    return f"{setting} {', '.join(more)} as well" if more else ""


def _typed(changes: dict[str, str]) -> Document:
    return {key: parse_value(key, text) for key, text in changes.items()}
