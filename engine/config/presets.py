"""Where presets are: those that come with the program, and the user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_config_path

from engine.config.fields import nearest
from engine.config.validate import printable
from engine.errors import ConfigError
from engine.files import expanded

if TYPE_CHECKING:
    from engine.config.schema import Config

TOML = ".toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
"""A preset's or run's name: no separators, no leading dot or dash."""


LONGEST = 1000
"""Characters of a name that a file may have, as it is printed."""


@dataclass(frozen=True)
class PresetInfo:
    """What a list of presets shows. One that cannot be used says why in ``summary``; nothing else is known of it."""

    name: str
    summary: str
    dataset: str
    images_per_class: int | None
    objective: str
    path: Path
    builtin: bool

    @property
    def usable(self) -> bool:
        """Whether it can be run."""
        return self.images_per_class is not None


@cache
def builtin_dir() -> Path:
    """The folder of the presets that come with the program."""
    return Path(str(resources.files("presets"))).resolve()


def user_dir() -> Path:
    """The user's presets: ``presets`` in MIM4DD_CONFIG_DIR or the user's configuration folder."""
    given = os.environ.get("MIM4DD_CONFIG_DIR")
    return (expanded(given) if given else user_config_path("mim4dd")) / "presets"


def names(*, hidden: bool = False) -> dict[str, Path]:
    """Files of all presets by name; the user's own win. Names with an underscore are bases for others."""
    found: dict[str, Path] = {}
    for folder in (builtin_dir(), user_dir()):
        for path in sorted(folder.glob("*.toml")):
            if _is_name(path.stem) and (hidden or not path.name.startswith("_")):
                found[path.stem] = path
    return found


def misnamed() -> dict[str, Path]:
    """Files that lie where the user's presets do, and are called as none may be, by what would be their name."""
    paths = [path for path in sorted(user_dir().glob("*.toml")) if path.name[0] not in "._"]
    return {printable(path.stem, LONGEST): path for path in paths if not _is_name(path.stem)}


def find(name: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: there is none of this name; the nearest is named.
    """
    known = names(hidden=True)
    if name not in known:
        raise unusable(name) or _missing(name)
    return known[name]


def parent(path: Path, name: str) -> Path:
    """The file of the preset that a file ``extends``.

    The program's presets extend the program's alone; all other files the user's first. A user's preset that
    extends its own name means the one that comes with the program.

    Raises:
        ConfigError: there is none of this name; the nearest is named.
    """
    builtin = builtin_dir() / f"{name}.toml"
    own = user_dir() / f"{name}.toml"
    at = path.resolve()
    candidates = [builtin] if at.parent == builtin_dir() else [own, builtin]
    if _is_name(name):
        existing = [candidate for candidate in candidates if candidate.is_file()]
        others = [candidate for candidate in existing if candidate.resolve() != at]
        if existing:
            return (others or existing)[0]
    raise unusable(name) or _missing(name)


SOME = 12
"""Presets that are named where none of them is meant."""


def is_builtin(path: Path) -> bool:
    """Whether a file is one of the program's presets."""
    return path.resolve().parent == builtin_dir()


ON = ".toml on "
"""Between a file and what it extends, as :func:`of_file` has it."""


def of_file(path: Path, bases: Sequence[str]) -> str:
    """What stands in a preset's place where settings come from a file: ``mine.toml``, or ``mine.toml on digits-ipc1``.

    A file without the ending is ``./mine``, as it has to be written to be read as one.
    """
    name = printable(path.name if path.suffix == ".toml" else f"./{path.name}")
    return f"{name} on {' and '.join(map(printable, bases))}" if bases else name


def is_file(source: str) -> bool:
    """Whether a word, or what stands in a preset's place, names a file: it holds a separator or ends in ``.toml``."""
    return ON in source or source.endswith(".toml") or "/" in source or "\\" in source


GONE, RUN = " (gone)", "run "
"""After a preset that is gone, and before a run, where these stand in a preset's place. No preset has a blank."""


def of_gone(name: str) -> str:
    """What stands in a preset's place where settings come from one that is gone: ``mine (gone)``."""
    return f"{name}{GONE}"


def of_run(name: str) -> str:
    """What stands in a preset's place where the settings of a run were taken as they are: ``run mine-s0``."""
    return f"{RUN}{name}"


def is_preset(source: str) -> bool:
    """Whether what stands in a preset's place is one that was there; also where it has gone since."""
    return bool(source) and not (is_file(source) or is_run(source) or source.endswith(GONE))


def is_run(source: str) -> bool:
    """Whether what stands in a preset's place is a run."""
    return source.startswith(RUN)


def lacking(source: str) -> str:
    """What is to be known of what stands in a preset's place where no preset tells its values; else nothing."""
    if source.endswith(GONE):
        return f"the preset {source.removesuffix(GONE)} was gone when the run was made"
    return f"made of the settings of {source}" if is_run(source) else ""


def brief(source: str) -> str:
    """What stands in a preset's place where there is little room: ``mine.toml`` of ``mine.toml on digits-ipc1``."""
    name, on, _ = source.partition(ON)
    return f"{name}.toml" if on else source.removesuffix(GONE)


def stem(source: str) -> str:
    """What runs are named after: the preset, or the file without its ending."""
    return brief(source).removesuffix(".toml")


def info(name: str, path: Path, config: Config) -> PresetInfo:
    """What a list shows of a preset."""
    return PresetInfo(
        name=name,
        summary=config.summary,
        dataset=config.data.name,
        images_per_class=config.synthetic.images_per_class,
        objective=config.objective.name,
        path=path,
        builtin=is_builtin(path),
    )


def broken(name: str, path: Path, why: str) -> PresetInfo:
    """What a list shows of a preset that cannot be used."""
    return PresetInfo(name, f"cannot be used: {why.splitlines()[0]}", "", None, "", path, is_builtin(path))


def checked_name(name: str, what: str) -> str:
    """The name, if it is one.

    Raises:
        ConfigError: it could reach outside its folder, or is no good as a file name.
    """
    if not NAME.match(name):
        raise ConfigError(
            f"{printable(name)} is no name for a {what}: use letters A to Z, a to z, digits, dot, dash, underscore, "
            "beginning with a letter or digit, at most 100"
        )
    return name


def _is_name(name: str) -> bool:
    return bool(NAME.match(name.removeprefix("_"))) and not name.endswith(TOML)


def own_name(name: str) -> str:
    """The name, if a preset of the user's own can have it. Raises ConfigError, as :func:`checked_name`."""
    checked_name(name, "preset")
    if name.endswith(TOML):
        raise ConfigError(f"{name} would be read as a file: leave out the {TOML}")
    if (builtin_dir() / f"{name}{TOML}").exists():
        raise ConfigError(f"{name} is a preset that comes with the program; choose another name")
    return name


def wrong_name(name: str) -> str:
    """Why no preset of the user's own can be called so; "" where one can."""
    try:
        own_name(name)
    except ConfigError as error:
        return str(error)
    return ""


def unusable(name: str) -> ConfigError | None:
    """The error of a file that lies where presets do, and has a name that none can have."""
    path = misnamed().get(name, user_dir() / f"{name}{TOML}")
    if _is_name(name) or not os.path.isfile(path):  # noqa: PTH113 - False, and no error, for a name no file can have
        return None
    why = wrong_name(name)
    return ConfigError(f"{printable(str(path), 1000)} is no preset under this name: {why}") if why else None


def _missing(name: str) -> ConfigError:
    listed = [*names()]
    close = nearest(name, listed)
    shortest = sorted(sorted(listed, key=len)[:SOME])  # those without a suffix
    hint = f"did you mean {close}?" if close else f"there are {', '.join(shortest)} and others"
    return ConfigError(
        f"no preset is named {shortened(name)}; {hint} (`mim4dd presets` lists them; a file ends in .toml)"
    )


def shortened(name: str) -> str:
    """A wrong name in a message: quoted, in one line, and not much longer than a right one could be."""
    return repr(name if len(name) <= 100 else name[:97] + "...")
