"""Reading TOML files and what they extend, layer over layer, with the origin of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli

from engine.config import presets
from engine.config.fields import by_key, nearest
from engine.config.schema import Config
from engine.config.validate import MOST, printable, structure, validated, written
from engine.errors import ConfigError

LARGEST = 1 << 20
"""Bytes of the largest configuration file that is read."""

DEEPEST = 16
"""Longest chain of ``extends``."""

MOST_FILES = 64
"""Files read for one configuration: lists of ``extends`` can multiply."""


@dataclass(frozen=True)
class Source:
    """What set a value: its name for the record, its name in messages, and when (later layers count higher)."""

    origin: str
    shown: str
    rank: int


@dataclass
class Layers:
    """A tree of sections built up layer by layer. What is wrong with a layer's structure is left out and kept
    in ``wrong``, a line for each problem."""

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    rank: int = 0

    def lay(self, tree: Mapping[str, Any], origin: str, shown: str | None = None) -> None:
        """Put another layer on top."""
        self.rank += 1
        source = Source(origin, shown or origin, self.rank)
        known, wrong = structure(tree, source.shown)
        if len(self.wrong) <= MOST:
            self.wrong += wrong
        for name, value in known.items():
            self.sources[name] = source
            if isinstance(tree[name], Mapping) and isinstance(self.tree.get(name, {}), Mapping):
                self.tree[name] = {**self.tree.get(name, {}), **value}
                self.sources |= {f"{name}.{key}": source for key in value}
            else:
                self.tree[name] = value

    def set(self, key: str, value: Any, origin: str) -> None:
        """Put a layer of one setting on top."""
        section, _, name = key.rpartition(".")
        self.lay({section: {name: value}} if section else {name: value}, origin)

    def copy(self) -> Layers:
        """The layers as they are now, which those that come on top do not change."""
        return replace(self, tree=dict(self.tree), sources=dict(self.sources), wrong=[*self.wrong], paths=[*self.paths])

    def value(self, key: str) -> Any:
        """What a setting is given, as it was laid, else its default."""
        section, _, name = key.rpartition(".")
        values = self.tree.get(section, {}) if section else self.tree
        return values[name] if isinstance(values, Mapping) and name in values else by_key()[key].default

    def origin(self, key: str) -> str:
        """Where a setting's value came from, for the record."""
        return self.sources[key].origin if key in self.sources else "default"

    def shown(self, key: str) -> str:
        """File or option that set a key, for a message."""
        return self.sources[key].shown if key in self.sources else "default"

    def latest(self, keys: Sequence[str]) -> str:
        """Of some keys, the one that was set last; the first of them among equals."""
        return max(keys, key=lambda key: self.sources[key].rank if key in self.sources else 0)

    def config(self) -> Config:
        """The configuration of all layers.

        Raises:
            ConfigError: see :func:`engine.config.validate.validated`.
        """
        return validated(self.tree, self, self.wrong)

    def read(self, path: Path, preset: str | None = None, chain: tuple[Path, ...] = ()) -> None:
        """Lay what a file extends, then the file.

        Args:
            preset: its name, where it is a preset.
            chain: files that led here by ``extends``.

        Raises:
            ConfigError: a file cannot be read, or extends what it must not.
        """
        origin, shown = _named(path, preset)
        tree = read_toml(path, shown)
        real = path.resolve()
        if real in chain:
            circle = " -> ".join(p.name for p in (*chain[chain.index(real) :], real))
            raise ConfigError(f"{shown}: extends: the files extend each other in a circle: {printable(circle, 400)}")
        self.paths.append(real)
        self._read_parents(path, tree, shown, (*chain, real))
        tree.pop("extends", None)
        self.lay(tree, origin, shown)

    def read_beneath(self, path: Path) -> None:
        """Lay what a file extends, without the file. Raises ConfigError as :meth:`read`."""
        self._read_parents(path, read_toml(path, path.name), path.name, (path.resolve(),))

    def _read_parents(self, path: Path, tree: Mapping[str, Any], shown: str, chain: tuple[Path, ...]) -> None:
        for parent in _parents(tree, shown):
            if len(chain) >= DEEPEST or len(self.paths) >= MOST_FILES:
                raise ConfigError(f"{shown}: extends: at most {DEEPEST} files in a chain and {MOST_FILES} in all")
            target, name = _parent(path, parent, shown)
            self.read(target, name, chain)


def content(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a TOML file itself says: the presets or files it extends, as it names them, and the keys it sets.

    Raises:
        ConfigError: as :func:`read_toml`, or ``extends`` holds something else.
    """
    tree = read_toml(path, path.name)
    bases = _parents(tree, path.name)
    tree.pop("extends", None)
    keys = [
        f"{name}.{inner}" if inner else name
        for name, value in tree.items()
        for inner in (value if isinstance(value, dict) else ("",))
    ]
    return tuple(bases), tuple(keys)


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """The tree of a TOML file.

    Raises:
        ConfigError: it is missing, no file, unreadable, too large, not UTF-8 or not TOML (with the line).
    """
    try:
        if path.is_dir():
            raise ConfigError(f"{shown}: is a folder, not a TOML file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"{shown}: there is no such file{_hint(path)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{shown}: cannot be read: {reason}") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{shown}: is larger than {LARGEST >> 20} MiB; this is no configuration file")
    try:
        return tomli.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}: is not UTF-8 text (line {line}); a configuration is a TOML file") from None
    except tomli.TOMLDecodeError as error:
        last = data.count(b"\n") + (not data.endswith(b"\n"))
        reason = str(error).replace("at end of document", f"at the end, line {last}")
        raise ConfigError(f"{shown}: is not valid TOML: {printable(reason, 200)}") from None
    except RecursionError:
        raise ConfigError(f"{shown}: is not a configuration: lists or tables are nested too deeply") from None
    except ValueError as error:  # a number or date that TOML's grammar allows and Python does not
        raise ConfigError(f"{shown}: is not valid TOML: {printable(str(error), 200)}") from None


def _named(path: Path, preset: str | None) -> tuple[str, str]:
    """A file's name for the record and in messages."""
    file = printable(str(path), 1000)
    if preset is None:
        return file, file
    return f"preset {preset}", f"preset {preset}" if presets.is_builtin(path) else f"preset {preset} ({file})"


def _parents(tree: Mapping[str, Any], shown: str) -> list[str]:
    extends = tree.get("extends", [])
    listed = [extends] if isinstance(extends, str) else extends
    if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
        found = "" if isinstance(extends, list) else f", not {written(extends)}"
        raise ConfigError(
            f"{shown}: extends: must be a preset's name, a file beside this one, or a list of these{found}"
        )
    return listed


def _parent(path: Path, parent: str, shown: str) -> tuple[Path, str | None]:
    """The file that ``extends`` means, and its name where it is a preset."""
    if not parent.endswith(".toml"):
        try:
            return presets.parent(path, parent), parent
        except ConfigError as error:
            raise ConfigError(f"{shown}: extends: {error}") from None
    name = printable(parent)
    beside = path.parent / parent
    try:
        inside = not Path(parent).is_absolute() and beside.resolve().is_relative_to(path.parent.resolve())
        there = beside.exists()
    except (OSError, ValueError, RuntimeError):  # a null character, too long, or links that lead in a circle
        raise ConfigError(f"{shown}: extends: {name!r} is no path of a file") from None
    if not inside:
        raise ConfigError(f"{shown}: extends: {name!r} is outside the file's own folder")
    if not there:
        raise ConfigError(f"{shown}: extends: there is no file {name!r} beside it{_hint(beside)}")
    return beside, None


def _hint(path: Path) -> str:
    """What a missing file may have meant: the preset of its name, the file beside it named most like it, a preset."""
    known = presets.names()
    name = path.name.removesuffix(".toml")
    try:
        beside = nearest(path.name, [other.name for other in path.parent.glob("*.toml")])
    except (OSError, ValueError):
        beside = None
    if beside and name not in known:
        return f"; did you mean {printable(str(path.parent / beside), 1000)}?"
    close = name if name in known else nearest(name, known)
    return f"; did you mean the preset {close}?" if close else "; `mim4dd presets` lists the presets"
