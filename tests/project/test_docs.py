"""What the documentation names is there: links, files, tests, settings, commands, options, keys, tables."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from engine import objectives
from engine.artifact import DistilledSet
from engine.config import consistency
from engine.config.load import resolve
from engine.config.presets import names
from engine.config.schema import Config, Information
from engine.data.sources import load
from engine.data.transform import fit_normalise
from engine.export import FORMATS
from mim4dd_tui.cli import app as commands
from mim4dd_tui.dashboard import own_themes
from mim4dd_tui.dashboard.keys import KEYS, TYPING, Scope
from tests.cli.test_running import settings
from tests.project.test_hygiene import ROOT

PAGES = {path.name: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TEXT = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
FOLDERS = ("", "engine", "mim4dd_tui", "benchmarks")
"""Where a file that is named without its folder may lie."""

MADE = {"control/", "crashes/", "distilled/", "exports/", "cells/", "themes/"}
"""Folders that a run, an analysis or a person makes, and no part of the source."""

FIRST = re.compile(r"^(?:(?:exec )?mim4dd|make|python -m|pytest)\b")


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", TEXT[page], flags=re.S)


def named(page: str) -> list[str]:
    """What stands between backticks, in the order of the page."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


def section(page: str, title: str) -> str:
    """What stands under a heading of the second level."""
    (found,) = (part for part in prose(page).split("\n## ")[1:] if part.partition("\n")[0] == title)
    return found


def lines_of_commands(page: str) -> Iterator[list[str]]:
    """The words of every command on a page, in blocks and in sentences."""
    blocks = [line.strip() for line in prose(page).splitlines() if line.startswith("    ")]
    for line in (*blocks, *named(page)):
        for command in re.split(r"\s{2,}", line)[0].split("; "):  # what it does stands apart
            if FIRST.match(command.strip()):
                yield shlex.split(command.replace("\\|", "|").removeprefix("exec "))


def python_of(*folders: str) -> list[Path]:
    """The Python files of some folders of the source."""
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@cache
def source(*folders: str) -> str:
    """All that is written in them."""
    return "".join(file.read_text(encoding="utf-8") for file in python_of(*folders))


COMMANDS = [(page, words) for page in TEXT for words in lines_of_commands(page)]


def anchor(heading: str) -> str:
    """The name by which a link reaches a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", TEXT)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT[page]):
        if target.startswith("https://"):
            continue
        name, _, place = target.partition("#")
        file = PAGES[page].parent / name if name else PAGES[page]
        assert file.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
            assert place in map(anchor, headings), target


@pytest.mark.parametrize("page", TEXT)
def test_files_and_tests_that_are_named_are_there(page: str) -> None:
    for word in named(page):
        name, _, test = word.partition("::")
        if not re.fullmatch(r"[a-z\d_/]+(\.py|/)", name) or name in MADE:
            continue
        found = [ROOT / folder / name for folder in FOLDERS if (ROOT / folder / name).exists()]
        if "/" not in name.rstrip("/"):
            found += (file for folder in (*FOLDERS[1:], "tests") for file in (ROOT / folder).rglob(name.rstrip("/")))
        assert found, word
        assert not test or any(f"def {test}(" in file.read_text(encoding="utf-8") for file in found), word


@pytest.mark.parametrize("page", TEXT)
def test_settings_that_are_named_are_in_the_schema(page: str) -> None:
    for word in named(page):
        place, _, setting = word.partition(" ")[0].partition(".")
        if place in Config.model_fields and setting.isidentifier() and setting not in ("py", "json"):
            assert setting in Config.model_fields[place].default.__class__.model_fields, word


@pytest.mark.parametrize("page", TEXT)
def test_names_and_files_of_the_program_are_its_own(page: str) -> None:
    sources = source("engine", "mim4dd_tui", "benchmarks")
    for word in named(page):
        if re.fullmatch(r"[a-z]+(_[a-z\d]+)+", word.removesuffix("()")):
            assert re.search(rf"\b{word.removesuffix('()')}\b", sources), word
        if re.fullmatch(r"\.?[a-z\d-]+\.(json|jsonl|toml|csv|log|txt)", word):
            assert word in sources, word


def test_the_run_folder_holds_what_the_program_writes() -> None:
    block = section("architecture.md", "The run folder").partition("runs/<name>/")[2].partition("\n\n")[0]
    files = [name for line in block.splitlines() for name in re.findall(r"[\w.]+", line[6:27])]
    assert {"config.toml", "holder.json", "distilled"} <= set(files)
    for name in files:
        assert f'"{name}"' in source("engine", "mim4dd_tui"), name


def test_tables_that_a_method_is_entered_in_are_there() -> None:
    spoken = [word for word in named("architecture.md") if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", word) and len(word) > 1]
    assert {"OBJECTIVES", "TRAIN_STUDENTS"} <= set(spoken)
    for word in spoken:
        assert hasattr(consistency, word) or hasattr(objectives, word), word


def test_the_terms_choices_are_headed_by_its_settings() -> None:
    headings = re.findall(r"^### (.*)$", section("mutual-information.md", "The open choices"), flags=re.M)
    found = [name.removeprefix("information.") for heading in headings for name in re.findall(r"`([^`]+)`", heading)]
    assert len(found) > 10
    for name in found:
        fits = re.compile(name.replace("*", r"\w+"))
        assert any(fits.fullmatch(field) for field in Information.model_fields), name


def said(command: Any) -> set[str]:
    """The options of a command."""
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("words", [words for _, words in COMMANDS if words[0] == "mim4dd"], ids=" ".join)
def test_commands_and_their_options_are_there(words: list[str]) -> None:
    group: Any = typer.main.get_command(commands.app)
    rest = words[1:]
    command = group.commands[rest.pop(0)] if rest else group
    options = [word.partition("=")[0] for word in rest if word.startswith("-")]
    assert set(options) <= said(command)
    preset = next((word for word in rest if re.fullmatch(r"[a-z][\w-]*-[\w-]+", word)), None)
    if preset is not None:
        assert preset in names()
    changes = [value for option, value in pairwise(rest) if option == "--set"]
    resolve(preset or "digits-ipc1", changes)


@pytest.mark.parametrize("words", [words for _, words in COMMANDS if words[0] == "python"], ids=" ".join)
def test_modules_and_their_options_are_there(words: list[str]) -> None:
    file = ROOT / Path(*words[2].split("."))
    source = (file / "__main__.py" if file.is_dir() else file.with_suffix(".py")).read_text(encoding="utf-8")
    for word in words[3:]:
        assert not word.startswith("--") or f'"{word}"' in source, word


@pytest.mark.parametrize("words", [words for _, words in COMMANDS if words[0] == "make"], ids=" ".join)
def test_targets_are_in_the_makefile(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)


HERE: dict[str, tuple[Scope, ...]] = {
    "Start": ("app", "home", "settings"),
    "Settings": ("app", "home", "settings"),
    "A run": ("app", "run", "plot", "panes", "pictures", "gallery", "log"),
    "All runs": ("app", "runs", "compare", "table"),
    "Queue": ("app", "home", "runs", "queue"),
    "Habits": ("app", "run", "compare", "queue"),
}
"""The scopes of the keys that each part of the page on the dashboard speaks of."""

MARKS = {"~", "*", "v"}
"""Single characters that are no keys there: of a live accuracy, of another baseline, of validation images."""

FACES = {
    "!": "exclamation_mark", "?": "question_mark", ":": "colon", "/": "slash", ",": "comma", ".": "full_stop",
    "+": "plus", "-": "minus", "(": "left_parenthesis", ")": "right_parenthesis", "[": "left_square_bracket",
    "]": "right_square_bracket", "{": "left_curly_bracket", "}": "right_curly_bracket", "\\": "backslash",
    "<": "less_than_sign", ">": "greater_than_sign",
}  # fmt: skip


@pytest.mark.parametrize("title", HERE)
def test_keys_that_are_named_are_in_the_table_of_keys(title: str) -> None:
    keys = {name for key in KEYS if key.scope in HERE[title] for name in key.keys.split(",")}
    keys |= {name for field in TYPING.values() for name, _, _ in field}
    spoken = [word for word in re.findall(r"`([^`\n]+)`", section("dashboard.md", title)) if word not in MARKS]
    pressed = [word for word in spoken if len(word) == 1 or word.startswith("ctrl+") or word in ("tab", "space")]
    assert pressed
    for word in pressed:
        assert FACES.get(word, word) in keys, word


def test_the_colours_of_a_theme_are_those_that_are_read() -> None:
    (item,) = re.findall(r"\* A theme of your own .*?(?=\n\* )", TEXT["dashboard.md"], flags=re.S)
    assert set(own_themes.KEYS) | set(own_themes.BASES) <= set(re.findall(r"`([a-z]+)`", item))


def test_formats_of_an_export_are_those_that_are_written() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("using.md", "On another machine"), flags=re.M)
    assert rows == [name for name in ("safetensors", "npz", "pt", "folder", "png") if name in FORMATS]
    assert len(rows) == len(FORMATS)


def test_every_dashboard_of_the_comparison_is_answered() -> None:
    anchors = re.search(r'"best" is the one that does it best among (.*?)\.\n', TEXT["dashboard.md"], flags=re.S)
    assert anchors is not None
    table = section("dashboard.md", "Beside the others")
    _, *rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|$", table, flags=re.M)
    for name in re.split(r",\s+|\s+and\s+", anchors[1]):
        assert any((name.partition("W&B ")[2] or name.partition("'s")[0]) in best for best, _ in rows), name
    assert all(ours.strip() for _, ours in rows)


def test_environment_variables_are_those_that_are_read() -> None:
    spoken = set(re.findall(r"`(MIM4DD_[A-Z_]+)`", "".join(TEXT.values())))
    assert spoken == set(re.findall(r'"(MIM4DD_[A-Z_]+)"', source("engine", "mim4dd_tui")))


def rooms() -> dict[str, int]:
    """The rooms of the engine, as dotted names below it, with the number of their row in the table."""
    table = [line for line in section("architecture.md", "Rooms of `engine/`").splitlines() if line.startswith("| `")]
    return {
        name.removesuffix("/").removesuffix(".py").replace("/", "."): row
        for row, line in enumerate(table)
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


EVERYWHERE = {"evaluation.protocols", "record", "worth"}
"""Read from whichever room needs them, as the page says."""


def imported(file: Path) -> Iterator[str]:
    """What a file imports of the engine, as dotted names below it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine."):
            yield from (f"{node.module}.{one.name}".removeprefix("engine.") for one in node.names)


def test_a_room_imports_only_rooms_above_it() -> None:
    row = rooms()

    def room(module: str) -> str | None:
        first, _, rest = module.partition(".")
        inner = f"{first}.{rest.partition('.')[0]}"
        return inner if inner in row else first if first in row else None

    for file in python_of("engine"):
        module = ".".join(file.relative_to(ROOT / "engine").with_suffix("").parts).removesuffix(".__init__")
        own = room(module)
        if own is None:
            assert module in {"__init__", *EVERYWHERE}, f"{module} is in no room"
            continue
        for other in imported(file):
            where = room(other)
            if where is None or ".".join(other.split(".")[:2]) in EVERYWHERE or other.split(".")[0] in EVERYWHERE:
                continue
            assert row[where] <= row[own], f"{module} imports {other}, of a room below its own"


def test_every_file_at_the_top_of_the_interface_is_named() -> None:
    text = TEXT["architecture.md"]
    for path in sorted((ROOT / "mim4dd_tui").iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}/`" in text, path.name
        elif path.suffix == ".py" and not path.name.startswith("__"):
            assert f"`{path.name}`" in text, path.name


def program(page: str) -> str:
    """The Python on a page."""
    (found,) = re.findall(r"```python\n(.*?)```", TEXT[page], flags=re.S)
    return str(found)


def test_the_program_for_a_distilled_set_does_what_is_said(tmp_path: Path) -> None:
    real = load("digits")
    transform = fit_normalise(real.train.pixels)
    file = tmp_path / "best.safetensors"
    DistilledSet(
        pixels=transform.forward(real.train.pixels[:10]),
        labels=torch.arange(10),
        step_size=0.05,
        transform=transform,
        classes=10,
        class_names=tuple("0123456789"),
        provenance={"config": Config().model_dump()},
    ).save(file)
    space: dict[str, Any] = {}
    exec(program("using.md").replace("runs/NAME/distilled/best.safetensors", str(file)), space)
    assert space["images"].shape == (10, 1, 8, 8)
    assert space["seen"].shape == (360, 1, 8, 8)
    assert len(real.train.pixels) == 1437
    assert space["test"].labels.bincount().tolist() == [36] * 10


def test_the_program_for_a_run_does_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = program("README.md").replace('resolve("digits-ipc1")', 'resolve("digits-ipc1", changes)')
    space: dict[str, Any] = {"changes": settings()[1::2], "test_images": load("digits").test.pixels}
    exec(text, space)
    assert space["distilled"].images().shape == (10, 1, 8, 8)
