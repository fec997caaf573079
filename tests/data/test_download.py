"""Downloads from a local server: checked, complete or absent, interruptible."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.data.sources import load
from engine.errors import DataError
from tests.data.formats import md5, write
from tests.data.publisher import Server, publish, tar


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with closing(Server()) as running:
        yield running


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["mnist", "svhn", "cifar10", "cifar100"])
def test_a_set_is_downloaded_checked_and_read(name: str, server: Server, tmp_path: Path) -> None:
    written = write(name, tmp_path / "published")
    layouts = publish(name, server, written)
    heard: list[tuple[str, int, int | None]] = []
    ticks: list[int] = []
    raw = load(
        name,
        tmp_path / "mine",
        layouts=layouts,
        progress=lambda what, done, total: heard.append((what, done, total)),
        tick=lambda: ticks.append(1),
    )
    assert raw.fingerprint == load(name, written.data_dir, download=False, layouts=layouts).fingerprint
    target = tmp_path / "mine" / layouts[name][0].folders[0]
    assert contents(target) == sorted(file.name for file in layouts[name][0].files)
    sizes = {path.strip("/"): len(data) for path, data in server.files.items()}
    assert {what: done for what, done, _ in heard} == sizes
    assert all(total == sizes[what] for what, _, total in heard)
    assert len(ticks) >= len(heard)
    asked = len(server.asked)
    load(name, tmp_path / "mine", layouts=layouts)
    assert len(server.asked) == asked, "what is there is not fetched again"


def test_only_missing_files_are_fetched(server: Server, tmp_path: Path) -> None:
    written = write("mnist", tmp_path)
    layouts = publish("mnist", server, written)
    kept = written.folder / "train-images-idx3-ubyte"
    before = kept.stat().st_mtime_ns
    (written.folder / "t10k-labels-idx1-ubyte").unlink()
    load("mnist", tmp_path, layouts=layouts)
    assert server.asked == ["/t10k-labels-idx1-ubyte.gz"]
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["mnist", "svhn", "cifar10"])
def test_an_answer_that_breaks_off_leaves_nothing(name: str, server: Server, tmp_path: Path) -> None:
    layouts = publish(name, server, write(name, tmp_path / "published"))
    server.cut = set(server.files)
    with pytest.raises(DataError, match="the download failed") as caught:
        load(name, tmp_path / "mine", layouts=layouts)
    assert str(tmp_path / "mine" / layouts[name][0].folders[0]) in str(caught.value)
    assert "--data-dir" in str(caught.value)
    assert not any(path.is_file() for path in (tmp_path / "mine").rglob("*"))
    server.cut = set()
    load(name, tmp_path / "mine", layouts=layouts)


def test_another_content_under_the_address_is_refused(server: Server, tmp_path: Path) -> None:
    layouts = publish("svhn", server, write("svhn", tmp_path / "published"))
    server.files["/train_32x32.mat"] = b"an error page"
    with pytest.raises(DataError, match=f"MD5 of what came is {md5(b'an error page')}"):
        load("svhn", tmp_path / "mine", layouts=layouts)
    assert not (tmp_path / "mine" / "svhn").exists()


def test_an_archive_with_a_wrong_file_is_refused(server: Server, tmp_path: Path) -> None:
    written = write("cifar100", tmp_path / "published")
    layouts = publish("cifar100", server, written)
    for data, message in (
        ({"a/train.bin": b"other", "a/test.bin": b"other"}, r"train\.bin in it has the MD5"),
        ({"a/test.bin": b"other"}, r"train\.bin is not in it"),
    ):
        packed = tar(data)
        server.files["/cifar-100-binary.tar.gz"] = packed
        layout = layouts["cifar100"][0]
        archive = dataclasses.replace(layout.archives[0], md5=md5(packed))
        with pytest.raises(DataError, match=message):
            load(
                "cifar100",
                tmp_path / "mine",
                layouts={"cifar100": (dataclasses.replace(layout, archives=(archive,)),)},
            )
        assert not (tmp_path / "mine" / "cifar-100-binary").exists()


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    layouts = publish("svhn", server, write("svhn", tmp_path / "published"))
    layout = layouts["svhn"][0]
    archives = tuple(
        dataclasses.replace(archive, urls=(f"{server.address}/gone", *archive.urls)) for archive in layout.archives
    )
    raw = load("svhn", tmp_path / "mine", layouts={"svhn": (dataclasses.replace(layout, archives=archives),)})
    assert raw.official
    assert server.asked.count("/gone") == 2


def test_no_network(tmp_path: Path, server: Server) -> None:
    layouts = publish("cifar10", server, write("cifar10", tmp_path / "published"))
    server.http.socket.close()
    with pytest.raises(DataError, match=r"cifar10: data_batch_1\.bin.* not found in .*the download failed"):
        load("cifar10", tmp_path / "mine", layouts=layouts)


def test_an_interruption_leaves_nothing(server: Server, tmp_path: Path) -> None:
    layouts = publish("cifar10", server, write("cifar10", tmp_path / "published"))

    class StopHereError(Exception):
        pass

    for after in (1, 3):  # in the download, and while unpacking
        calls = 0

        def tick(after: int = after) -> None:
            nonlocal calls
            calls += 1
            if calls == after:
                raise StopHereError

        with pytest.raises(StopHereError):
            load("cifar10", tmp_path / "mine", layouts=layouts, tick=tick)
        files = [path for path in (tmp_path / "mine").rglob("*") if path.is_file()]
        done = layouts["cifar10"][0].files
        assert all(md5(path.read_bytes()) in {file.md5 for file in done} for path in files)
        assert not any(part.startswith(".download-") for path in files for part in path.parts)
    load("cifar10", tmp_path / "mine", layouts=layouts)


def test_a_directory_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    layouts = publish("mnist", server, write("mnist", tmp_path / "published"))
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(DataError, match=r"occupied.*cannot be written"):
        load("mnist", tmp_path / "occupied", layouts=layouts)


def test_leftovers_of_a_killed_process_are_swept(server: Server, tmp_path: Path) -> None:
    written = write("mnist", tmp_path)
    layouts = publish("mnist", server, written)
    (written.folder / "t10k-labels-idx1-ubyte").unlink()
    old, young = written.folder / ".download-old", written.folder / ".download-young"
    for left in (old, young):
        left.mkdir()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    load("mnist", tmp_path, layouts=layouts)
    assert not old.exists()
    assert young.exists()
