"""What a run knows that its distilled set's accuracy is to be read beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config.selection import selected_on
from engine.errors import MimError
from engine.runs.folder import RunFolder

if TYPE_CHECKING:
    from engine.config.schema import Config

Document = dict[str, Any]
BASELINES = ("random_selection", "full_set")


def beside(path: Path, config: Config, protocol: str) -> Document:
    """``selected_on``, ``random_selection`` and ``full_set`` as the result document has them; null beside a
    ``..._reason`` where the run that a distilled set lies in does not know them, random real images by this protocol.

    Args:
        path: of the distilled set.
        config: what it was made with.
        protocol: of the accuracy.
    """
    folder = RunFolder(path.parent.parent)
    chosen_on = {"best": selected_on(config), "last": "none"}.get(path.stem)
    if path.parent.name != "distilled" or chosen_on is None or not folder.exists:
        unknown = f"not known: {path} lies in no run's folder"
        return _unknown(("selected_on", *BASELINES), unknown)
    return {"selected_on": chosen_on} | _baselines(folder, protocol)


def _baselines(folder: RunFolder, protocol: str) -> Document:
    from engine.runs.result import document

    try:
        known = document(folder.path)
    except MimError as error:
        return _unknown(BASELINES, str(error))
    found: Document = {}
    for name in BASELINES:
        score = known[name]
        if score is None:
            found |= _unknown((name,), known[f"{name}_reason"])
        elif name == "random_selection" and score["protocol"] != protocol:
            found |= _unknown((name,), _other(score["protocol"], protocol))
        else:
            found[name] = score
    return found


def _other(known: str, wanted: str) -> str:
    return (
        f"none by {wanted}, the run's is by {known}: compare by --protocol {known}, or make a run with "
        f"evaluation.protocol={wanted}"
    )


def _unknown(names: tuple[str, ...], reason: str) -> Document:
    return dict.fromkeys(names) | {f"{name}_reason": reason for name in names}
