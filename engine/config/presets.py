"""Where presets are: those that come with the program, and the user's own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from engine.config.fields import nearest
from engine.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
"""A preset's or run's name: no separators, no leading dot or dash."""


@dataclass(frozen=True)
class PresetInfo:
    """What a list of presets shows."""

    name: str
    summary: str
    dataset: str
    images_per_class: int
    objective: str
    path: Path
    builtin: bool


def builtin_dir() -> Path:
    """The folder of the presets that come with the program."""
    return Path(str(resources.files("presets")))


def user_dir() -> Path:
    """The user's presets: ``presets`` in MIM4DD_CONFIG_DIR or the user's configuration folder."""
    given = os.environ.get("MIM4DD_CONFIG_DIR")
    return (Path(given) if given else user_config_path("mim4dd")) / "presets"


def names(*, hidden: bool = False) -> dict[str, Path]:
    """Files of all presets by name; the user's own come last and win. Names with an underscore are bases."""
    found: dict[str, Path] = {}
    for folder in (builtin_dir(), user_dir()):
        if folder.is_dir():
            for path in sorted(folder.glob("*.toml")):
                if hidden or not path.name.startswith("_"):
                    found[path.stem] = path
    return found


def find(name: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: there is none of this name; the nearest is named.
    """
    known = names(hidden=True)
    if name in known:
        return known[name]
    listed = names()
    close = nearest(name, listed)
    hint = f"did you mean {close}?" if close else f"there are {', '.join(listed)}"
    raise ConfigError(f"no preset and no file is named {name!r}; {hint} (`mim4dd presets` lists them)")


def checked_name(name: str, what: str) -> str:
    """The name, if it is one.

    Raises:
        ConfigError: it could reach outside its folder, or is no good as a file name.
    """
    if not NAME.match(name):
        raise ConfigError(
            f"{name!r} is no name for a {what}: use letters, digits, dot, dash and underscore, "
            "beginning with a letter or digit, at most 100"
        )
    return name


def info(name: str, path: Path, tree: dict[str, Any]) -> PresetInfo:
    """What a list shows of a preset whose tree has been read."""
    return PresetInfo(
        name=name,
        summary=str(tree.get("summary", "")),
        dataset=str(tree.get("data", {}).get("name", "digits")),
        images_per_class=int(tree.get("synthetic", {}).get("images_per_class", 1)),
        objective=str(tree.get("objective", {}).get("name", "trajectory")),
        path=path,
        builtin=path.parent == builtin_dir(),
    )
