"""Soft labels where an image or a class is enlarged: what they are at that iteration, in the room there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.events import Iteration, RunEnded, RunStarted, Snapshot, StateChanged
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.snapshots import read_sheet
from mim4dd_tui.dashboard.widgets.graphics import GraphicsPane
from mim4dd_tui.dashboard.widgets.label_lines import Labels
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from mim4dd_tui.graphics.choice import Graphics
from mim4dd_tui.quantities import share, target
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import run_screen, text, until
from tests.dashboard.shelves import make_run

DIGITS = [str(label) for label in range(10)]


def row(**parts: float) -> NDArray[np.float32]:
    """A label of ten classes, the first ones named ``c3=0.62``; the others share what is left."""
    values = np.full(10, (1 - sum(parts.values())) / (10 - len(parts)))
    for name, part in parts.items():
        values[int(name[1:])] = part
    return values.astype(np.float32)


def soft(own: float, each: int = 1) -> NDArray[np.float32]:
    """Labels of ten classes with a part of the own one and one of the next."""
    classes = np.arange(10 * each) // each
    values = np.zeros((10 * each, 10), dtype=np.float32)
    values[np.arange(10 * each), classes] = own
    values[np.arange(10 * each), (classes + 1) % 10] = 1 - own
    return values


def of_image(values: NDArray[np.float32], width: int, *, shares: bool = True, names: Sequence[str] = DIGITS) -> str:
    return Labels(values[None], shares=shares).of_image(0, names, width, beside=False)[0]


def test_the_largest_shares_are_told_as_many_as_fit_and_the_others_summed() -> None:
    label = row(c3=0.62, c8=0.21, c5=0.09)
    assert of_image(label, 80) == ("label: 3 62 %  8 21 %  5 9 %  0 1 %  1 1 %  2 1 %  4 1 %  6 1 %  7 1 %  9 1 %")
    assert of_image(label, 38) == "label: 3 62 %  8 21 %  5 9 %  rest 8 %"
    assert of_image(label, 37) == "label: 3 62 %  8 21 %  rest 17 %"
    assert of_image(label, 24) == "label: 3 62 %  rest 38 %"
    assert of_image(label, 20) == "label: 3 62 %", "one class at least"


def test_no_share_is_rounded_to_all_or_nothing() -> None:
    assert [share(value) for value in (1.0, 0.99996, 0.996, 0.62, 0.004, 0.0001, 0.0, 1.0000001)] == [
        "100 %", ">99.9 %", "99.6 %", "62 %", "0.4 %", "<0.1 %", "0 %", "100 %",
    ]  # fmt: skip
    assert of_image(row(c3=0.99996), 80) == "label: 3 >99.9 %", "what is written like nothing is not told one by one"
    assert of_image(np.eye(10, dtype=np.float32)[4], 80) == "label: 4 100 %"


def test_free_labels_are_numbers_that_may_lie_below_zero() -> None:
    label = np.zeros(10, dtype=np.float32)
    label[[3, 8, 5]] = 1.13, 0.05, -0.2
    assert of_image(label, 80, shares=False) == "label: 3 1.13  8 0.05  rest -0.20"
    assert of_image(label, 25, shares=False) == "label: 3 1.13  rest -0.15"
    assert target(-0.001) == "0.00"
    assert of_image(np.zeros(10, dtype=np.float32), 80, shares=False) == "label: 0 0.00"


def test_many_small_parts_of_a_label_are_summed_where_the_sum_is_something() -> None:
    label = np.full((1, 100), 0.0004, dtype=np.float32)
    label[0, 7] = 1 - 99 * 0.0004
    names = [f"class-{number}" for number in range(100)]
    assert Labels(label).of_image(0, names, 80, beside=False) == ["label: class-7 96 %  rest 4 %"]


def test_what_stands_beside_and_a_class_have_lines_of_their_own() -> None:
    labels = Labels(soft(0.5, each=2), soft(0.75, each=2), holds=4)
    assert labels.of_image(7, DIGITS, 80, beside=True) == ["label of all 4: 3 50 %  4 50 %", "at first: 3 75 %  4 25 %"]
    assert len(labels.of_image(7, DIGITS, 80, beside=False)) == 1
    now = labels.now.copy()
    now[6, 3] = 1.0  # of class 3 one is hard, the other half
    assert replace(labels, now=now).of_class(3, 2, 80) == ["labels: 75 % on their own class, mean of 2"]
    assert replace(labels, now=now).of_class(3, 2, 35) == ["labels: 75 % on their own class"]
    assert replace(labels, now=now).of_class(3, 2, 20) == []
    assert replace(labels, now=now, shares=False).of_class(3, 2, 80) == ["labels: 0.75 on their own class, mean of 2"]


def test_hard_labels_say_nothing_and_no_line_is_told_of_all_images() -> None:
    hard = Sheet(digits(1.0), "iteration 30", 10, 1)
    assert [hard.below(extent, 3, 80, beside=True) for extent in ("all", "class", "one")] == [[], [], []]
    assert replace(hard, labels=Labels(soft(0.5))).below("all", 3, 80, beside=True) == []
    assert replace(hard, labels=Labels(soft(0.5))).below("class", 3, 80, beside=True) == [], "one image is no class"


def pictured(folder: RunFolder, at: int, labels: NDArray[np.float32] | None) -> Snapshot:
    """A snapshot of a run folder, with labels or as an older version left it."""
    path = folder.snapshot_path(at)
    np.save(path, digits(0.5 + at / 100))
    if labels is None:
        return Snapshot(at, folder.relative(path), 10, 1, "clipped to 0..1")
    np.save(folder.labels_path(at), labels)
    return Snapshot(at, folder.relative(path), 10, 1, "clipped to 0..1", folder.relative(folder.labels_path(at)))


@pytest.mark.parametrize(("preset", "shares"), [("digits-ipc1-soft", True), ("digits-ipc1-bptt-soft", False)])
def test_a_snapshots_labels_are_read_with_it(tmp_path: Path, preset: str, shares: bool) -> None:
    folder = make_run(tmp_path, "lion", preset=preset, journal=False)
    start, now = pictured(folder, 0, soft(0.9)), pictured(folder, 10, soft(0.6))
    labels = read_sheet(folder, now, start).labels
    assert labels is not None
    assert labels.start is not None
    assert (labels.shares, labels.holds) == (shares, 1)
    assert np.array_equal(labels.now, soft(0.6))
    assert np.array_equal(labels.start, soft(0.9))
    old = read_sheet(folder, replace(now, labels=""), start)
    assert (old.labels, old.below("one", 0, 80, beside=True)) == (None, []), "an older run's snapshot says nothing"
    before = read_sheet(folder, now, replace(start, labels="")).labels
    assert before is not None
    assert before.start is None


def test_stored_images_that_hold_several_have_one_label_for_all(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "lion", preset="digits-ipc1-soft", journal=False, synthetic__formation=2)
    sheet = read_sheet(folder, pictured(folder, 10, soft(0.6)))
    assert sheet.below("one", 3, 80, beside=False) == ["label of all 4: 3 60 %  4 40 %"]


@pytest.mark.parametrize("bad", [np.zeros((10, 3), np.float32), np.full((10, 10), np.nan, np.float32), None])
def test_labels_that_cannot_be_read_are_told_and_the_pictures_shown(
    tmp_path: Path, bad: NDArray[np.float32] | None
) -> None:
    folder = make_run(tmp_path, "lion", preset="digits-ipc1-soft", journal=False)
    snapshot = pictured(folder, 10, soft(0.6))
    if bad is None:
        folder.labels_path(10).unlink()
    else:
        np.save(folder.labels_path(10), bad)
    sheet = read_sheet(folder, snapshot)
    assert np.array_equal(sheet.images, digits(0.6))
    assert sheet.labels is None
    (line,) = sheet.below("one", 0, 200, beside=False)
    assert line.startswith("label: not read: ")
    assert "00000010.labels.npy" in line


def learned(runs: Path) -> RunFolder:
    """A run whose labels were learned, from one-hot or nearly so to ever softer ones; an old one's at 20."""
    folder = make_run(runs, "lion", preset="digits-ipc1-soft", journal=False)
    with JournalWriter(folder.journal_path) as journal:
        journal.append(RunStarted("lion", "digits-ipc1-soft", 0, 10, 50, "here", 1, "0", {"device": "cpu"}))
        for at, labels in ((0, soft(0.95)), (10, soft(0.7)), (20, None), (30, soft(0.62))):
            if at:
                journal.append(Iteration(at, 1.0, 3.0, 1.0, 2.3, [1.0], 0.1, 0.8, 0.05, 0.1))
            journal.append(pictured(folder, at, labels))
        journal.append(StateChanged("done", ""))
        journal.append(RunEnded("done", "", {}))
    return folder


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_the_label_stands_below_the_image_as_it_is_at_that_iteration(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    app = make_app(FakeEngine(), attach=learned(tmp_path / "runs").path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: "iteration 30" in text(app))
        assert "label" not in text(app), "of all images there are too many"
        await pilot.press("right", "right", "right", "enter")
        await until(pilot, lambda: "label: 3 62 %  4 38 %" in text(app))
        await pilot.press("right")
        await until(pilot, lambda: "label: 4 62 %  5 38 %" in text(app))
        await pilot.press("o")
        await until(pilot, lambda: "at first: 4 95 %  5 5 %" in text(app))
        assert "left: the real image" in text(app)
        await pilot.press("comma")
        await until(pilot, lambda: "iteration 20" in text(app))
        await until(pilot, lambda: "label" not in text(app) and "at first" not in text(app))
        await pilot.press("comma")
        await until(pilot, lambda: "label: 4 70 %  5 30 %" in text(app))
        shown = text(app).splitlines()
        label = next(y for y, line in enumerate(shown) if "label: " in line)
        assert "at first: " in shown[label + 1]
        assert pane._grid is not None
        assert 2 * (pane.content_size.height - 3) >= pane._grid.height, "the picture gives the lines their room"
        await pilot.press("escape")
        await until(pilot, lambda: "label" not in text(app))


@pytest.mark.parametrize("graphics", [Graphics.OFF, Graphics.KITTY, Graphics.SIXEL])
async def test_pixels_leave_the_label_its_line(make_app: MakeApp, tmp_path: Path, graphics: Graphics) -> None:
    app = make_app(FakeEngine(), attach=learned(tmp_path / "runs").path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        pane = app.screen.query_one(GraphicsPane)
        pane.graphics = graphics
        await until(pilot, lambda: "iteration 30" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "label: 0 62 %  1 38 %" in text(app))
        if graphics is not Graphics.OFF:
            await until(pilot, lambda: pane._made is not None and pane._made.plan is pane._plan)
            assert "label: 0 62 %  1 38 %" in text(app)
            assert pane._place.bottom < pane.content_region.bottom, "the picture lies on the label"


async def test_a_pane_without_room_keeps_its_picture(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(FakeEngine(), attach=learned(tmp_path / "runs").path)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: "iteration 30" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "label: 0" in text(app))
        pane.styles.height = 5
        await until(pilot, lambda: "label: 0" not in text(app))
        pane.styles.height = 6
        await until(pilot, lambda: "label: 0" in text(app))


async def test_a_class_says_how_far_from_hard_its_labels_are(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(FakeEngine(), attach=learned(tmp_path / "runs").path)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        await until(pilot, lambda: "iteration 30" in text(app))
        images = np.repeat(digits(1.0), 3, axis=0)
        app.screen.query_one(PicturesPane).show(Sheet(images, "at 40", 10, 3, labels=Labels(soft(0.6, each=3))))
        await pilot.press("enter")
        await until(pilot, lambda: "labels: 60 % on their own class, mean of 3" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "label: 0 60 %  1 40 %" in text(app))
