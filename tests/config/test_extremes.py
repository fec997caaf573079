"""Files that are too deep, too long or too much: a short error in a short time, and no RecursionError."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.config.fields import by_key, nearest
from engine.config.load import resolve
from tests.config.helpers import message, written

TEXTS = {
    "lists that never end": "x = " + "[" * 50_000,
    "nested lists": "x = " + "[" * 300 + "]" * 300,
    "nested lists for a section": "network = " + "[" * 300 + "]" * 300,
    "a key of many parts": "x" + ".x" * 20_000 + " = 1",
    "a setting of many parts": "network.depth" + ".x" * 20_000 + " = 1",
    "a section of many parts": "[" + "a." * 20_000 + "b]",
    "a number of many digits": "seed = " + "9" * 50_000,
    "a number of many hexadecimal digits": "seed = 0x" + "f" * 50_000,
    "an integer that is no float": "[information]\nweight = 0x" + "f" * 5_000,
    "a float that is infinite": "[data]\nvalidation = 1e999",
    "many keys": "".join(f"key{i} = 1\n" for i in range(30_000)),
    "many sections": "".join(f"[section{i}]\n" for i in range(20_000)),
    "a long key": '"' + "k" * 500_000 + '" = 1',
    "a long value": '[data]\nname = "' + "k" * 500_000 + '"',
    "a long parent": 'extends = "' + "k" * 5_000 + '"',
    "a long parent's path": 'extends = "' + "k/" * 5_000 + '.toml"',
    "a long file name of a parent": 'extends = "' + "k" * 5_000 + '.toml"',
    "a null character": 'extends = "a\\u0000.toml"',
    "many parents": "extends = [" + '"digits-ipc1",' * 2_000 + "]",
    "a summary with control characters": 'summary = "\\u0000\\u001b[2J\\n"',
    "a key with a line break": '[network]\n"wid\\nth" = 3',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_file_that_is_too_much_gives_a_short_error(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    began = time.process_time()
    said = message(lambda: resolve(path))
    assert time.process_time() - began < 5
    lines = said.split("\n")
    assert len(lines) <= 21
    assert all(line.startswith((f"{path}: ", "... and ")) and len(line) < 800 + len(path) for line in lines)


def test_a_wide_tree_of_files_ends_with_the_file_that_widens_it(tmp_path: Path) -> None:
    written(tmp_path, "seed = 1", "leaf.toml")
    path = written(tmp_path, "extends = [" + '"leaf.toml",' * 100 + "]")
    assert message(lambda: resolve(path)).startswith(f"{path}: extends: ")


def test_bytes_of_the_command_line_that_are_no_text() -> None:
    broken = b"\xff\xfe".decode("utf-8", "surrogateescape")
    for override in (f"summary={broken}", f"{broken}=1", broken, f"execution.device={broken}"):
        assert message(lambda text=override: resolve("digits-ipc1", [text])).startswith("--set")  # type: ignore[misc]
    assert message(lambda: resolve(broken))
    assert message(lambda: resolve(f"{broken}.toml"))


def test_comparing_with_a_very_long_word_ends() -> None:
    assert nearest("k" * 1_000_000, by_key()) is None
