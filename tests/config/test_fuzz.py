"""Whatever is written into a file or typed: a configuration, or sentences that say what is wrong."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config.fields import by_key, fields, nearest, sections
from engine.config.load import change, dump, list_presets, load_config, resolve
from engine.config.schema import Config
from engine.errors import ConfigError

KEYS = [field.key for field in fields()]
LONGEST_LINE = 700

quick = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
words = st.text(max_size=12)
scalars = (
    st.none().map(lambda _: True)
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats()
    | words
    | st.dates()
    | st.just(datetime.time(1, 2, 3))
    | st.sampled_from(["real", "noise", "cifar10", "none", "auto", "on", "off", "nce", "same"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(KEYS) | words
trees = st.dictionaries(
    st.sampled_from([*sections(), "summary", "seed", "extends"]) | words,
    st.dictionaries(st.sampled_from([key.rpartition(".")[2] for key in KEYS]) | words, values, max_size=4) | values,
    max_size=4,
)


def outcome(action: Callable[[], Config], place: str) -> Config | list[str]:
    """The configuration, or the lines of the error; nothing else may come out."""
    try:
        config = action()
    except ConfigError as error:
        lines = str(error).split("\n")
        for line in lines:
            assert line.isprintable(), line
            assert line.startswith((place, "...")), line
            assert 0 < len(line) < LONGEST_LINE + len(place), line
        assert len(lines) <= 21
        return lines
    for value in (leaf for part in config.model_dump().values() if isinstance(part, dict) for leaf in part.values()):
        assert not isinstance(value, float) or math.isfinite(value)
    return config


@quick
@given(tree=trees)
def test_random_trees(tmp_path: Path, tree: dict[str, Any]) -> None:
    path = tmp_path / "own.toml"
    path.write_text(tomli_w.dumps(tree), encoding="utf-8", errors="surrogatepass")
    result = outcome(lambda: resolve(str(path)).config, str(path))
    if isinstance(result, Config):
        path.write_text(dump(result), encoding="utf-8")
        assert load_config(path) == result
        return
    for name in set(tree) - set(Config.model_fields) - {"extends"}:  # every key that does not exist is named
        said = any(": unknown key" in line for line in result)
        assert said or any(": extends: " in line or "not valid TOML" in line or "UTF-8" in line for line in result), (
            name
        )


@quick
@given(data=st.binary(max_size=200) | st.text(alphabet='[]{}="\n#.,ab1e-\\u', max_size=80).map(str.encode))
def test_random_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(data)
    outcome(lambda: resolve(str(path)).config, str(path))


@quick
@given(override=st.builds("{}={}".format, keys, st.text(max_size=20)) | st.text(max_size=30))
def test_random_overrides(override: str) -> None:
    outcome(lambda: resolve("digits-ipc1", [override]).config, "--set")


@quick
@given(key=st.sampled_from(KEYS), value=values)
def test_a_setting_takes_a_value_or_says_what_it_takes(key: str, value: Any) -> None:
    text = tomli_w.dumps({"value": value}).partition("=")[2] if not isinstance(value, dict) else "{}"
    result = outcome(lambda: change(Config(), key, text), "settings")
    if isinstance(result, list):
        assert all(line.startswith(f"settings: {key}: ") for line in result)


@quick
@given(
    key=st.sampled_from(KEYS),
    text=st.text(max_size=10) | st.from_regex(r"[-+]?[0-9]{1,4}(\.[0-9])?(e[0-9])?", fullmatch=True),
)
def test_the_form_names_the_key_that_was_typed(key: str, text: str) -> None:
    result = outcome(lambda: change(Config(), key, text), "settings")
    if isinstance(result, list):
        assert all(line.startswith(f"settings: {key}: ") for line in result)


@quick
@given(name=st.text(max_size=20))
def test_random_names_of_presets_and_files(tmp_path: Path, name: str) -> None:
    try:
        resolve(name)
    except ConfigError as error:
        assert str(error).isprintable()
        return
    assert name in {info.name for info in list_presets()} | {"_mtt"}


@quick
@given(extends=st.text(max_size=12) | st.sampled_from(["../x.toml", "own.toml", "a\0.toml", "/etc/passwd.toml"]))
def test_random_parents(tmp_path: Path, extends: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(tomli_w.dumps({"extends": extends}), encoding="utf-8", errors="surrogatepass")
    outcome(lambda: resolve(str(path)).config, str(path))


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 50_000,
        "x = " + "[" * 300 + "]" * 300,
        "network = " + "[" * 300 + "]" * 300,
        "x" + ".x" * 20_000 + " = 1",
        "network.depth" + ".x" * 20_000 + " = 1",
        "[" + "a." * 20_000 + "b]",
        "seed = " + "9" * 50_000,
        "seed = 0x" + "f" * 50_000,
        "[information]\nweight = 0x" + "f" * 5_000,
        "[data]\nvalidation = 1e999",
        "".join(f"key{i} = 1\n" for i in range(30_000)),
        "".join(f"[section{i}]\n" for i in range(20_000)),
        '"' + "k" * 500_000 + '" = 1',
        'extends = "' + "k" * 5_000 + '"',
        'extends = "' + "k/" * 5_000 + '.toml"',
        "extends = [" + '"digits-ipc1",' * 2_000 + "]",
        'summary = "\\u0000\\u001b[2J\\n"',
        '[network]\n"wid\\nth" = 3',
    ],
    ids=lambda text: text[:24],
)
def test_what_is_too_deep_too_long_or_too_much(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    assert isinstance(outcome(lambda: resolve(str(path)).config, str(path)), list)


def test_bytes_of_the_command_line_that_are_no_text() -> None:
    broken = b"\xff\xfe".decode("utf-8", "surrogateescape")
    for override in (f"summary={broken}", f"{broken}=1", broken, f"execution.device={broken}"):
        assert isinstance(outcome(lambda text=override: resolve("digits-ipc1", [text]).config, "--set"), list)  # type: ignore[misc]


def test_the_nearest_word_is_found_in_time_whatever_is_compared() -> None:
    assert nearest("k" * 1_000_000, by_key()) is None
