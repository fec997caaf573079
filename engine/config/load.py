"""Configurations from presets and files, and back to TOML.

Layers, each over the one before: the schema's defaults, what a preset or file ``extends`` (in order), the
preset or file itself, ``--set``, ``--seed``. The origin of every value is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from engine.config import presets
from engine.config.fields import fields
from engine.config.layers import Layers, content
from engine.config.presets import PresetInfo
from engine.config.schema import CLASSES, Config
from engine.config.typed import parse_override, parse_value
from engine.config.validate import printable
from engine.errors import ConfigError
from engine.files import explained, private_folder, write_bytes

OPTION, EDITED, LENGTHENED = "--set", "edited", "lengthened"
CHANGED = (OPTION, EDITED, LENGTHENED)
"""Origins of what is changed on top of a preset or file: on the command line, in a form, of a run made longer."""


@dataclass(frozen=True)
class Resolved:
    """A configuration, what it came from, and for every key where its value came from.

    ``preset`` is the preset's name; of a file what :func:`engine.config.presets.of_file` says of it.

    Origins are "default", "preset NAME", a file's path, "--set" or "--seed"; of a run also "edited", in a form. A value
    that "--set" only repeats is still its preset's or file's.
    """

    config: Config
    origins: dict[str, str]
    preset: str | None


def resolve(preset_or_file: str, overrides: Sequence[str] = (), *, seed: int | None = None) -> Resolved:
    """The configuration of a preset's name or a TOML file's path, with changes on top.

    A word with a path separator or ending in ``.toml`` is a file, any other a preset.

    Args:
        preset_or_file: "digits-ipc1", "mine.toml", "settings/mine.toml".
        overrides: ``section.key=value`` each; values are TOML, bare words are text.
        seed: of the run.

    Raises:
        ConfigError: a line for everything that is wrong: file or option, key, what is wrong, what is allowed.
    """
    layers = Layers()
    preset = _lay_named(layers, preset_or_file)
    below = layers.copy()
    for text in overrides:
        try:
            key, value = parse_override(text)
        except ConfigError as error:
            layers.wrong.append(str(error))
        else:
            layers.set(key, value, OPTION)
    if seed is not None:
        layers.set("seed", seed, "--seed")
    config = layers.config()
    settled = Layers(config.model_dump())

    def origin(key: str) -> str:
        repeated = layers.origin(key) == OPTION and below.value(key) == settled.value(key)
        return (below if repeated else layers).origin(key)

    return Resolved(config, {field.key: origin(field.key) for field in fields()}, preset)


def load_config(path: Path) -> Config:
    """The configuration in one TOML file, as :func:`dump` wrote it or a person did.

    Raises:
        ConfigError: as :func:`resolve`.
    """
    layers = Layers()
    layers.read(path)
    return layers.config()


def dump(config: Config, *, base: Config | None = None) -> str:
    """A configuration as TOML: all of it, or with ``base`` only what differs from it."""
    tree = config.model_dump()
    if base is not None:
        tree = _difference(tree, base.model_dump())
    return tomli_w.dumps(tree)


def list_presets() -> list[PresetInfo]:
    """All presets that are meant to be run; of one that cannot be used, the summary says why, also where that is its
    name.

    One's own first; then those that come with the program, in the order of the data sets, the sized-down ones leading.
    """
    wrong = (presets.broken(name, path, presets.wrong_name(name)) for name, path in presets.misnamed().items())
    return listed([*(_info(name, path) for name, path in presets.names().items()), *wrong])


def preset_info(name: str) -> PresetInfo | None:
    """One preset as :func:`list_presets` has it; None where there is none of this name that is meant to be run."""
    path = presets.names().get(name)
    return None if path is None else _info(name, path)


def listed(found: Iterable[PresetInfo]) -> list[PresetInfo]:
    """Presets in the order of :func:`list_presets`."""
    return sorted(found, key=_order)


def _info(name: str, path: Path) -> PresetInfo:
    layers = Layers()
    try:
        layers.read(path, name)
        return presets.info(name, path, layers.config())
    except ConfigError as error:
        return presets.broken(name, path, str(error))


def _order(info: PresetInfo) -> tuple[bool, int, bool, int, str]:
    place = [*CLASSES].index(info.dataset) if info.dataset in CLASSES else len(CLASSES)
    return info.builtin, place, not info.name.endswith("-small"), info.images_per_class or 0, info.name


def change(config: Config, key: str, text: str) -> Config:
    """The configuration with one setting changed, as a person types it.

    Raises:
        ConfigError: the key does not exist, or the value is not allowed there.
    """
    return changed(config, {key: parse_value(key, text)})


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with some settings changed, validated as a whole.

    Raises:
        ConfigError: as :func:`change`. Where two values do not go together, it is said of the changed one.
    """
    layers = Layers()
    layers.lay(config.model_dump(), "settings")
    for key, value in values.items():
        layers.set(key, value, "settings")
    return layers.config()


def save_user_preset(name: str, config: Config, base: str | None = None) -> Path:
    """Save a configuration as a preset of the user's own.

    Args:
        name: of the preset; one of the user's own of this name is replaced.
        config: what it holds.
        base: a preset that it extends (see :func:`beneath`): then only what differs is written.

    Raises:
        ConfigError: a name is no good, see :func:`engine.config.presets.own_name`.
        RunFailed: the folder cannot be written.
    """
    presets.own_name(name)
    path = presets.user_dir() / f"{name}.toml"
    extends, below = beneath(name, base)
    text = dump(config)
    if extends:
        listed = list(extends) if len(extends) > 1 else extends[0]
        text = tomli_w.dumps({"extends": listed}) + dump(config, base=below)
    private_folder(path.parent)
    write_bytes(path, text.encode())
    return path


def delete_user_preset(name: str) -> None:
    """Delete a preset of the user's own. Runs keep all their settings themselves.

    Raises:
        ConfigError: there is none of this name, or others of the user's own extend it, which are named.
        RunFailed: the folder cannot be written.
    """
    require_deletable(name)
    path = presets.user_dir() / f"{name}.toml"
    with explained(path):
        path.unlink()


def require_deletable(name: str) -> None:
    """Refuses what :func:`delete_user_preset` would. Raises its ConfigError."""
    if wrong := presets.unusable(name):
        raise wrong
    path = presets.user_dir() / f"{presets.checked_name(name, 'preset')}.toml"
    if not path.is_file():
        raise ConfigError(f"{name} is no preset of your own ({path.parent})")
    builtin = presets.builtin_dir() / path.name
    children = [] if builtin.is_file() else [other for other in _own_names() if name in _bases(other)]
    if children:
        raise ConfigError(f"{name} is extended by your {', '.join(children)}: delete or change that first")


def _own_names() -> list[str]:
    return [name for name, path in presets.names(hidden=True).items() if not presets.is_builtin(path)]


def _bases(name: str) -> tuple[str, ...]:
    """What a preset extends; () where that cannot be read."""
    try:
        return content(presets.find(name))[0]
    except ConfigError:
        return ()


def beneath(name: str, base: str | None) -> tuple[tuple[str, ...], Config]:
    """What a preset of the user's own extends where it is saved on ``base``, and the configuration of all of that.

    It is the base; where that builds on the preset that is replaced (or is it), what that one extends; () for nothing.

    Raises:
        ConfigError: a preset is missing or cannot be read.
    """
    if base is None:
        return (), Config()
    path, below = presets.user_dir() / f"{name}.toml", Layers()
    below.read(presets.find(base), base)
    if path.resolve() not in below.paths:
        return (base,), below.config()
    below = Layers()
    below.read_beneath(path)
    return content(path)[0], below.config()


def _lay_named(layers: Layers, preset_or_file: str) -> str:
    """Lay a preset or a file; the preset's name, or what stands in its place."""
    if presets.is_file(preset_or_file):
        path = Path(preset_or_file)
        layers.read(path)
        return presets.of_file(path, content(path)[0])
    try:
        path = presets.find(preset_or_file)
    except ConfigError:
        if os.path.isfile(preset_or_file):  # noqa: PTH113 - False, and no error, for a name no file can have
            raise ConfigError(
                f"{printable(preset_or_file)}: is a file, but its name does not end in .toml: rename it, "
                f"or write ./{printable(preset_or_file)}"
            ) from None
        raise
    layers.read(path, preset_or_file)
    return preset_or_file


def _difference(tree: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            inner = {key: leaf for key, leaf in value.items() if base[name][key] != leaf}
            if inner:
                result[name] = inner
        elif base[name] != value:
            result[name] = value
    return result
