"""Reading presets and files, layering them, and writing configurations.

Layers, each over the one before: the schema's defaults, what a preset or file ``extends`` (in order), the
preset or file itself, ``--set``, ``--seed``. The origin of every value is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from engine.config import presets
from engine.config.fields import by_key, fields
from engine.config.presets import PresetInfo
from engine.config.schema import Config
from engine.config.validate import unknown_key, validated
from engine.errors import ConfigError
from engine.files import write_bytes

LARGEST = 1 << 20
"""Bytes of the largest configuration file that is read."""

DEEPEST = 16
"""Longest chain of ``extends``."""


@dataclass(frozen=True)
class Resolved:
    """A configuration, the preset it came from, and for every key where its value came from."""

    config: Config
    origins: dict[str, str]
    preset: str | None


@dataclass
class _Layers:
    """A tree of sections built up layer by layer, with the origin of every leaf."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def lay(self, tree: Mapping[str, Any], origin: str) -> None:
        """Put another layer on top."""
        for name, value in tree.items():
            if isinstance(value, dict):
                below = self.tree.get(name)
                section = self.tree[name] = dict(below) if isinstance(below, dict) else {}
                for key, leaf in value.items():
                    section[key] = leaf
                    self.origins[f"{name}.{key}"] = origin
                self.origins.setdefault(name, origin)
            else:
                self.tree[name] = value
                self.origins[name] = origin

    def where(self, key: str) -> str:
        """Where a key's value came from, or that of its section."""
        return self.origins.get(key) or self.origins.get(key.partition(".")[0]) or "settings"


def resolve(preset_or_file: str, overrides: Sequence[str] = (), *, seed: int | None = None) -> Resolved:
    """The configuration of a preset's name or a TOML file's path, with changes on top.

    A word with a path separator or ending in ``.toml`` is a file, any other a preset.

    Args:
        overrides: ``section.key=value`` each; values are TOML, bare words are text.
        seed: of the run.

    Raises:
        ConfigError: names file or option, key, what is wrong and what is allowed.
    """
    layers = _Layers()
    is_file = preset_or_file.endswith(".toml") or "/" in preset_or_file or "\\" in preset_or_file
    path = Path(preset_or_file) if is_file else presets.find(preset_or_file)
    _lay_file(layers, path, None if is_file else preset_or_file, ())
    for text in overrides:
        key, value = parse_override(text)
        section, _, name = key.rpartition(".")
        layers.lay({section: {name: value}} if section else {name: value}, "--set")
    if seed is not None:
        layers.lay({"seed": seed}, "--seed")
    config = validated(layers.tree, layers.where)
    origins = {f.key: layers.origins.get(f.key, "default") for f in fields()}
    return Resolved(config, origins, None if is_file else preset_or_file)


def load_config(path: Path) -> Config:
    """The configuration in one TOML file, as :func:`dump` wrote it or a person did.

    Raises:
        ConfigError: as :func:`resolve`.
    """
    layers = _Layers()
    _lay_file(layers, path, None, ())
    return validated(layers.tree, layers.where)


def dump(config: Config, *, base: Config | None = None) -> str:
    """A configuration as TOML: all of it, or with ``base`` only what differs from it."""
    tree = config.model_dump()
    if base is not None:
        tree = _difference(tree, base.model_dump())
    return tomli_w.dumps(tree)


def list_presets() -> list[PresetInfo]:
    """All presets that are meant to be run; a broken one of the user's is listed with what is wrong."""
    found = []
    for name, path in presets.names().items():
        layers = _Layers()
        try:
            _lay_file(layers, path, name, ())
            found.append(presets.info(name, path, layers.tree))
        except (ConfigError, AttributeError, TypeError, ValueError) as error:
            broken = {"summary": f"cannot be used: {error}".splitlines()[0]}
            found.append(presets.info(name, path, broken))
    return found


def change(config: Config, key: str, text: str) -> Config:
    """The configuration with one setting changed, as a person types it.

    Raises:
        ConfigError: the key does not exist, or the value is not allowed there.
    """
    return changed(config, {key: parse_value(key, text)})


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with some settings changed, validated as a whole."""
    layers = _Layers()
    layers.lay(config.model_dump(), "settings")
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        layers.lay({section: {name: value}} if section else {name: value}, "settings")
    return validated(layers.tree, layers.where)


def parse_override(text: str) -> tuple[str, Any]:
    """Key and value of ``section.key=value``.

    Raises:
        ConfigError: it has another form, or the key does not exist.
    """
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key:
        raise ConfigError(f"--set {text!r}: write section.key=value, for example objective.iterations=500")
    if key not in by_key():
        raise ConfigError(unknown_key(key, lambda _: "--set"))
    return key, parse_value(key, value)


def parse_value(key: str, text: str) -> Any:
    """A typed value: TOML where it is TOML, else the text itself. Text fields take what is written."""
    text = text.strip()
    field = by_key().get(key)
    if field is not None and (field.type == "text" or text in field.choices) and not text.startswith(('"', "'")):
        return text
    try:
        document = tomli.loads(f"value = {text}")
    except (tomli.TOMLDecodeError, RecursionError, ValueError):
        return text
    value = document["value"] if set(document) == {"value"} else text
    if isinstance(value, float) and value.is_integer() and field is not None and field.type == "integer":
        return int(value)  # 1e3 is how a thousand is written in this field
    return value


def save_user_preset(name: str, config: Config, base: str | None = None) -> Path:
    """Save a configuration as a preset of the user's own; with ``base`` as what differs from that preset.

    Raises:
        ConfigError: the name is no good, or belongs to a preset that comes with the program.
    """
    presets.checked_name(name, "preset")
    if (presets.builtin_dir() / f"{name}.toml").exists():
        raise ConfigError(f"{name} is a preset that comes with the program; choose another name")
    folder = presets.user_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = dump(config)
    if base is not None:
        text = f'extends = "{base}"\n\n' + dump(config, base=resolve(base).config)
    path = folder / f"{name}.toml"
    write_bytes(path, text.encode())
    return path


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


def _lay_file(layers: _Layers, path: Path, preset: str | None, chain: tuple[Path, ...]) -> None:
    """Lay what a file extends, then the file."""
    shown = f"preset {preset}" if preset else str(path)
    real = path.resolve()
    if real in chain:
        cycle = " -> ".join(p.name for p in (*chain[chain.index(real) :], real))
        raise ConfigError(f"{shown}: extends: the files extend each other in a circle: {cycle}")
    if len(chain) >= DEEPEST:
        raise ConfigError(f"{shown}: extends: more than {DEEPEST} files extend one another")
    tree = read_toml(path)
    for parent in _parents(tree, shown):
        _lay_parent(layers, path, parent, shown, (*chain, real))
    tree.pop("extends", None)
    layers.lay(tree, shown)


def _parents(tree: dict[str, Any], shown: str) -> list[str]:
    extends = tree.get("extends", [])
    listed = [extends] if isinstance(extends, str) else extends
    if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
        raise ConfigError(f"{shown}: extends: must be a preset's name, a file beside this one, or a list of these")
    return listed


def _lay_parent(layers: _Layers, path: Path, parent: str, shown: str, chain: tuple[Path, ...]) -> None:
    if parent.endswith(".toml"):
        beside = path.parent / parent
        if Path(parent).is_absolute() or not beside.resolve().is_relative_to(path.parent.resolve()):
            raise ConfigError(f"{shown}: extends: {parent!r} is outside the file's own folder")
        _lay_file(layers, beside, None, chain)
        return
    sibling = path.parent / f"{parent}.toml"
    try:
        presets.checked_name(parent.removeprefix("_"), "preset")
        own = sibling.is_file() and path.parent in (presets.builtin_dir(), presets.user_dir())
        target = sibling if own and sibling.resolve() not in chain[-1:] else presets.find(parent)
    except ConfigError as error:
        raise ConfigError(f"{shown}: extends: {error}") from None
    _lay_file(layers, target, parent, chain)


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a TOML file.

    Raises:
        ConfigError: it is missing, no file, unreadable, too large, not UTF-8 or not TOML (with the line).
    """
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not a TOML file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: is larger than {LARGEST >> 20} MiB; this is no configuration file")
    try:
        return tomli.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {type(error).__name__}") from None
