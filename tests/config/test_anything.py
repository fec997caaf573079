"""Whatever is in a file or typed: a configuration, or a ConfigError that names file and key. Nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.analysis.cells import flat
from engine.config import Config, change, dump, fields, list_presets, load_config, resolve
from engine.config.fields import by_key, sections
from engine.config.validate import printable
from engine.errors import ConfigError

KEYS = [field.key for field in fields()]
quickly = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-2, 40)
    | st.floats()
    | st.sampled_from([choice for field in fields() for choice in field.choices])
    | words
    | st.datetimes()
    | st.dates()
    | st.times()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
known_names = st.sampled_from([field.key.rpartition(".")[2] for field in fields()])
tables = st.dictionaries(known_names | words, values, max_size=5)
trees = st.dictionaries(
    st.sampled_from([*sections(), "seed", "summary", "extends"]) | words, tables | values, max_size=5
)


def outcome(path: Path) -> str | None:
    """The message of what loading a file causes; None if it became a configuration that can be written again."""
    try:
        resolved = resolve(str(path))
    except ConfigError as error:
        return str(error)
    path.write_text(dump(resolved.config), encoding="utf-8")
    assert load_config(path) == resolved.config
    return None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "any.toml"


@quickly
@given(tree=trees)
def test_any_document(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(tomli_w.dumps(tree), encoding="utf-8")
    said = outcome(path)
    if said is None:
        return
    for line in said.split("\n"):
        assert line.startswith("... and ") or line.startswith(f"{path}: ")
        assert line.isprintable()
        assert len(line) < 1500
    assert any(said.startswith(f"{path}: {key}: ") for key in {"extends", *KEYS, *_spelled_keys(tree)})


def _spelled_keys(tree: dict[str, Any]) -> set[str]:
    """The keys of a document as a message may show them: escaped and shortened alike."""
    inner = {f"{name}.{key}" for name, table in tree.items() if isinstance(table, dict) for key in table}
    return {printable(key) for key in inner | set(tree)}


@quickly
@given(key=st.sampled_from(KEYS), value=values)
def test_any_value_of_any_key(path: Path, key: str, value: Any) -> None:
    section, _, name = key.rpartition(".")
    path.write_text(tomli_w.dumps({section: {name: value}} if section else {name: value}), encoding="utf-8")
    said = outcome(path)
    if said is not None:
        assert said.startswith(f"{path}: {key}: ")
        assert "\n" not in said or "must not" in said or "exceeds" in said
        field = by_key()[key]
        assert field.allowed in said or "." in said.removeprefix(f"{path}: {key}: ")


@quickly
@given(data=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    said = outcome(path)
    if said is not None:
        assert said.startswith(f"{path}: ")
        assert all(line.isprintable() for line in said.split("\n"))


mangled = st.sampled_from(
    ["[data]\nname = 'mnist'\n", "seed = 3\n[objective]\niterations = 10\n", "extends = 'digits-ipc1'\n"]
)


@quickly
@given(text=mangled, at=st.integers(0, 40), put=st.text(max_size=4), gone=st.integers(0, 4))
def test_any_slip_in_a_good_file(path: Path, text: str, at: int, put: str, gone: int) -> None:
    try:
        path.write_text(text[:at] + put + text[at + gone :], encoding="utf-8")
    except UnicodeEncodeError:
        return
    said = outcome(path)
    assert said is None or said.startswith(f"{path}: ")


typed = st.sampled_from(
    ["", "1", "1e3", "-1", "true", "nan", "'x", '"', "[", "{", "1\n2", "0x", "\udcff", "1979-05-27"]
) | st.text(max_size=12)


@quickly
@given(key=st.sampled_from(KEYS), text=typed)
def test_anything_typed_in_the_form(key: str, text: str) -> None:
    base = Config()
    try:
        config = change(base, key, text)
    except ConfigError as error:
        lines = str(error).split("\n")
        assert all(line.startswith(f"settings: {key}: ") for line in lines)
        assert all(line.isprintable() for line in lines)
        return
    assert Config.model_validate(tomli.loads(dump(config))) == config


@quickly
@given(
    overrides=st.lists(
        st.text(max_size=20) | st.builds(lambda k, v: f"{k}={v}", st.sampled_from(KEYS) | st.text(max_size=9), typed),
        max_size=4,
    )
)
def test_any_options(overrides: list[str]) -> None:
    try:
        resolved = resolve("digits-ipc1", overrides)
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert line.startswith("--set: ")
            assert line.isprintable()
        return
    assert set(resolved.origins.values()) <= {"default", "preset digits-ipc1", "--set"}
    plain = resolve("digits-ipc1")
    for key in {override.partition("=")[0].strip() for override in overrides}:
        kept = flat(resolved.config)[key] == flat(plain.config)[key]
        assert resolved.origins[key] == (plain.origins[key] if kept else "--set")


@quickly
@given(name=st.text(max_size=30))
def test_any_name_of_a_preset_or_file(name: str) -> None:
    try:
        resolved = resolve(name)
    except ConfigError as error:
        lines = str(error).split("\n")
        assert [line for line in lines if line.isprintable()] == lines
        return
    assert resolved.preset in {info.name for info in list_presets()}


@settings(quickly, max_examples=50)
@given(trees=st.lists(trees, max_size=3))
def test_any_presets_of_the_users_can_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trees: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    (tmp_path / "presets").mkdir(exist_ok=True)
    for number, tree in enumerate(trees):
        (tmp_path / "presets" / f"p{number}.toml").write_text(tomli_w.dumps(tree), encoding="utf-8")
    own = [info for info in list_presets() if not info.builtin]
    assert {f"p{number}" for number in range(len(trees))} <= {info.name for info in own}
    for info in own:
        assert info.summary.isprintable()
        assert info.dataset or info.summary.startswith("cannot be used: ")
