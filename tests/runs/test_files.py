"""A file is replaced as a whole or not at all, and what is written is private."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import files
from engine.errors import RunFailed


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_replaces_and_leaves_nothing_beside(tmp_path: Path, open_umask: None) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    files.write_json(path, {"x": [1, "é"]})
    assert json.loads(path.read_text()) == {"x": [1, "é"]}
    assert list(tmp_path.iterdir()) == [path]
    assert mode(path) == 0o600


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(RunFailed, match="is a device or a pipe, and no file"):
        files.write_bytes(path, b"new")
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_failure_of_the_block_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), files.replacing(path) as aside:
        aside.write_text("half \ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")])
@pytest.mark.parametrize("where", ["open", "fsync", "replace"])
def test_a_refusing_disk_is_explained_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str, where: str
) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(*{"open": (os, "open"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[where], refuse)
        with pytest.raises(RunFailed, match=advice) as caught:
            files.write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_private_folder_makes_parents_private_too(tmp_path: Path, open_umask: None) -> None:
    files.private_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == 0o700
    assert mode(tmp_path / "a" / "b") == 0o700


def test_private_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")
    with pytest.raises(RunFailed, match="cannot write"):
        files.private_folder(tmp_path / "a" / "b")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with pytest.raises(UnicodeEncodeError), files.creating_folder(path) as aside:
        (aside / "x").write_text("half \ud800", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []
    with files.creating_folder(path) as aside:
        (aside / "x").write_text("1")
        assert not path.exists()
    assert (path / "x").read_text() == "1"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_existing_folder_is_never_replaced(tmp_path: Path, when: str) -> None:
    path = tmp_path / "f"

    def occupy(aside: Path | None = None) -> None:
        if aside is not None:
            (aside / "mine").write_text("1")
        path.mkdir()
        (path / "theirs").write_text("1")

    if when == "before":
        occupy()
    with pytest.raises(FileExistsError), files.creating_folder(path) as aside:
        occupy(aside)
    assert [child.name for child in path.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    leftover, folder = tmp_path / "sub" / f".a.1234{files.ASIDE}", tmp_path / f".f.12{files.ASIDE}"
    leftover.write_text("half")
    folder.mkdir()
    (folder / "x").write_text("1")
    keep = tmp_path / "sub" / "keep.part"
    keep.write_text("whole")
    assert set(files.remove_leftovers(tmp_path)) == {leftover, folder}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["keep.part", "sub"]


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", '"x"', "[" * 100_000, "\x00" * 50])
def test_what_is_no_json_object_reads_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a"
    path.write_text(text)
    assert files.read_json_object(path) is None


def test_json_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a", {"x": float("nan")})


def test_npy_comes_back(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    files.write_npy(tmp_path / "a.npy", array)
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path))
    assert files.default_cache_dir() == tmp_path
    monkeypatch.delenv("MIM4DD_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.default_cache_dir() == tmp_path / "xdg" / "mim4dd"


def test_every_advice_says_what_to_do(tmp_path: Path) -> None:
    for number in files.ADVICE:
        text = str(files.disk_error(OSError(number, os.strerror(number)), tmp_path))
        assert any(word in text for word in ("free", "mount", "choose", "check", "make"))
