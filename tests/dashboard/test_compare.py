"""Runs compared: how they are chosen and told apart, which curve is seen, what is exported, and where the keys go."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from engine.events import Evaluation
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.comparison import BRIEF, METRICS, TOLD
from mim4dd_tui.dashboard.exports import of_comparison
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.compare import NAME_WIDTH, CompareScreen, _with_spread
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.plot_title import Title
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.plots.draw import Stroke
from mim4dd_tui.plots.figure import Figure, Series, Viewport
from mim4dd_tui.spelling import every_setting
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, told, until
from tests.dashboard.shelves import fill, make_run, shown


async def compared(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> CompareScreen:
    if not (runs / "lion").exists():
        make_run(runs, "lion")
    make_run(runs, "tapir", seed=1, accuracy=0.7)
    infos = Shelf(runs).read()
    app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
    await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "80.0" in text(app) and "70.0" in text(app))
    assert isinstance(app.screen, CompareScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_table_has_the_keys_again_when_it_comes_back(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        table = screen.query_one(Table)
        await pilot.press("g", "z")
        await until(pilot, lambda: not table.display)
        await pilot.press("z")
        await until(pilot, lambda: table.display and table.has_focus)
        before = table.cursor
        await pilot.press("j")
        await until(pilot, lambda: table.cursor == before + 1)


@pytest.mark.parametrize("size", SIZES)
async def test_one_curve_of_four_is_shown_alone(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")

        def seen() -> list[str | None]:
            return [pane.id for pane in screen.query(PlotPane) if pane.display]

        def alone(name: str) -> bool:
            return seen() == [name] and screen.query_one(f"#{name}").has_focus

        await pilot.press("M")
        four = ["compare-accuracy", "compare-objective", "compare-bound", "compare-nce"]
        await until(pilot, lambda: seen() == four)
        screen.query_one("#compare-bound").focus()
        await pilot.press("z")
        await until(pilot, lambda: seen() == ["compare-bound"] and not screen.query_one(Table).display)
        for key, name in (("tab", "nce"), ("tab", "accuracy"), ("shift+tab", "nce"), ("shift+tab", "bound")):
            await pilot.press(key)
            await until(pilot, partial(alone, f"compare-{name}"))
        await pilot.press("z")
        await until(pilot, lambda: seen() == four and screen.query_one(Table).display)
        screen.query_one("#compare-bound").focus()
        await pilot.press("z", "M")
        await until(pilot, lambda: seen() == ["compare-plot"])


async def test_beyond_the_end_of_one_curve_the_title_reads_the_place_of_the_others(
    make_app: MakeApp, tmp_path: Path
) -> None:
    short, long = np.arange(1.0, 151.0), np.arange(1.0, 301.0)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        pane = screen.query_one("#compare-plot", PlotPane)
        pane.show(Figure((Series("A", short, short, 1), Series("B", long, long, 2))))
        pane.viewport = pane.viewport.changed(cursor=296.0)
        assert pane.render_line(0).text.split("  ")[1:4] == ["A 150 (150)", "B 296", "at 296"]


async def test_curves_that_are_not_measured_alike_are_headed_so(make_app: MakeApp, tmp_path: Path) -> None:
    held_out = make_run(tmp_path / "runs", "lion", journal=False)
    with JournalWriter(held_out.journal_path) as journal:
        journal.append(Evaluation(1, "live", "quick-100", 0.8, 0.01, [0.8], "validation", "validation", 1.0, True))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        heading = "live accuracy, measured differently"
        await until(pilot, lambda: screen.query_one("#compare-plot", PlotPane).heading == heading)
        await until(pilot, lambda: "live accuracy on" in text(app) and "v80.0 ± 1.0 %" in text(app))


@pytest.mark.parametrize(("size", "seen"), [((80, 24), 6), ((60, 20), 4)])
async def test_what_differs_is_seen_below_the_accuracies(
    make_app: MakeApp, size: tuple[int, int], seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs", "zebra", preset="cifar10-ipc1", accuracy=0.6)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        table = screen.query_one(Table)
        await until(pilot, lambda: "cifar10" in text(app))
        copied: list[str] = []
        monkeypatch.setattr(app, "copy", lambda words, _: copied.append(words))
        await pilot.press("c")
        await until(pilot, lambda: bool(copied))
        rows = [line.split("\t")[0] for line in copied[0].splitlines()]
        accurate = ["run", "state", "best accuracy", "last accuracy", "live accuracy on", "A B, 2 seeds"]
        assert rows[:8] == [*accurate, "seed", "data.name"]
        assert rows[-8:] == [
            "iteration", "objective", "MI bound, mean at end", "MI bound, last reading", "step size",
            "random real images", "full set", "worked",
        ]  # fmt: skip
        shown = text(app).splitlines()[table.region.y + 1 : table.region.bottom]
        assert [line[1:NAME_WIDTH].strip() for line in shown] == rows[: 4 + seen]
        await pilot.press("d", "c")  # of all settings as well
        await until(pilot, lambda: len(copied) == 2)
        every = [line.split("\t")[0] for line in copied[1].splitlines()]
        assert (every[:7], every[-8:]) == (rows[:7], rows[-8:])
        assert len(every) == 14 + len(every_setting())


@pytest.mark.parametrize("size", SIZES)
async def test_mark_and_compare(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen), "one run was compared with nothing"
        await pilot.press("space", "space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "A 40" in text(app))
        table = app.screen.query_one(Table)
        rows = {row.id: [cell.text for cell in row.cells[1:]] for row in table._rows}
        assert rows["state"] == ["stopped", "done", "done"]
        assert rows["objective.student_steps"] == ["15", "7", "15"]
        assert rows["seed"] == ["0", "0", "1"]
        assert "network.width" not in rows
        await pilot.press("d")
        await pilot.pause()
        assert any(row.id == "network.width" for row in table._rows)
        await pilot.press("m")
        await until(pilot, lambda: text(app).lstrip().startswith("objective"))
        await pilot.press("y", "plus", "z")
        await pilot.pause()
        assert not table.display or table.size.height == 0
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_four_metrics_at_once(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("space", "space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "A 40" in text(app))
        await pilot.press("M")

        def seen() -> list[str | None]:
            return [pane.id for pane in app.screen.query(PlotPane) if pane.display and pane.size.height > 2]

        await until(pilot, lambda: len(seen()) == 4)
        for words in ("accuracy", "objective", "MI bound, nats", "contrastive loss"):
            assert words in text(app)
        assert app.screen.query_one(Table).size.height >= 3, "no room for the table"
        await pilot.press("y")
        await until(pilot, lambda: all(pane.viewport.log_y for pane in app.screen.query(PlotPane) if pane.display))
        await pilot.press("E")
        exports = tmp_path / "runs" / "exports"
        await until(pilot, lambda: len(list(exports.glob("compare-*/*.svg"))) == 4)
        await pilot.press("tab", "y")
        assert [pane.viewport.log_y for pane in app.screen.query(PlotPane) if pane.display].count(False) == 1
        await pilot.press("m")
        await until(pilot, lambda: seen() == ["compare-plot"])
    assert not make_app().remembered.grid


@pytest.mark.parametrize("size", SIZES)
async def test_the_heading_of_what_has_the_keys_is_reversed_and_no_other(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")

        def marked() -> list[str]:
            parts = [part for line in screen._compositor.render_strips() for part in line]
            reverse = [part.text for part in parts if part.style is not None and part.style.reverse]
            return [told for told in reverse if told[:1].isalpha()]  # no scroll bar

        assert screen.query_one(Table).has_focus
        await until(pilot, lambda: marked() == ["settings that differ"])
        await pilot.press("tab")
        plot = screen.query_one("#compare-plot", PlotPane)
        await until(pilot, lambda: plot.has_focus and marked() == [plot._said()[0]])
        await pilot.press("shift+tab")
        await until(pilot, lambda: marked() == ["settings that differ"])


@pytest.mark.parametrize(
    ("size", "seen", "before", "after"), [((80, 24), 5, "A B C", "F G H"), ((60, 20), 3, "A B C D E", "D E F G H")]
)
async def test_runs_that_have_no_room_in_a_comparison_are_reached_by_keys(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int], seen: int, before: str, after: str
) -> None:
    for seed in range(8):
        make_run(tmp_path / "runs", f"quick-s{seed}-20260101-120000", seed=seed)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("quick-s") == 8)
        await pilot.press(*["space"] * 8, "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and f"{after} →" in text(app))
        table = app.screen.query_one(Table)

        def heading() -> str:
            return table.render_line(0).text

        def columns() -> list[str]:
            return heading()[22:].split()

        assert columns() == list("ABCDEFGH"[:seen])
        rows = {row.id: row for row in table._rows}
        assert {cell.text for cell in rows["best accuracy"].cells[1:]} == {"~80.0 %"}
        assert "→ columns" in text(app).splitlines()[-1]
        assert "h ←" not in text(app).splitlines()[-1], "the arrow moves columns"
        await pilot.press("left")
        assert columns() == list("ABCDEFGH"[:seen]), "there is nothing before the first"
        await pilot.press("right")
        assert columns() == list("ABCDEFGH"[1 : seen + 1])
        assert heading().startswith("← A")
        await pilot.press(*["right"] * 9)
        assert columns() == list("ABCDEFGH"[-seen:])
        assert heading().startswith(f"← {before} ")
        assert "→" not in heading()
        await pilot.press("left")
        assert columns() == list("ABCDEFGH"[-seen - 1 : -1])
        cursors = [pane.viewport.cursor for pane in app.screen.query(PlotPane)]
        assert set(cursors) == {None}, "the keys went to the curves too"
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: "settings that differ" in text(app) and columns() == list("ABCDEFGH"))
        assert "columns" not in text(app).splitlines()[-1]
        await pilot.press("right")
        await until(pilot, lambda: any(pane.viewport.cursor is not None for pane in app.screen.query(PlotPane)))


async def test_that_too_many_are_marked_is_said_until_one_is_not(make_app: MakeApp, tmp_path: Path) -> None:
    for seed in range(9):
        make_run(tmp_path / "runs", f"quick-s{seed}-20260101-120000", seed=seed)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("quick-s") == 9)
        await pilot.press(*["space"] * 9)
        await until(pilot, lambda: "take one mark off first" in told(app))
        await pilot.press("k", "space")
        await until(pilot, lambda: "take one mark off first" not in told(app))


async def test_compared_runs_are_told_apart_at_80_columns(make_app: MakeApp, tmp_path: Path) -> None:
    """Of runs begun together, begin and end of the names are the same: only the seed between them differs."""
    for seed in (1, 2):
        make_run(tmp_path / "runs", f"digits-ipc1-s{seed}-20260101-120000", seed=seed)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("digits-ipc1-s") == 2)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "A 80" in text(app))
        table = app.screen.query_one(Table)
        names = {row.id: [cell.text for cell in row.cells[1:]] for row in table._rows}["run"]
        assert sorted(names) == ["digits-ipc1 s1", "digits-ipc1 s2"]
        assert "enter" not in text(app).splitlines()[-1], "a key that opens nothing is offered"


@pytest.mark.parametrize(("seconds", "age"), [(10, "now"), (600, "10m"), (7300, "2h"), (86_400 * 3, "3d")])
async def test_runs_of_one_seed_are_told_apart_by_their_age_also_beside_a_live_accuracy(
    make_app: MakeApp, tmp_path: Path, seconds: float, age: str
) -> None:
    name = "digits-ipc1-s0-20260101-000000"
    make_run(tmp_path / "runs", name, age=seconds)
    make_run(tmp_path / "runs", name.replace("-s0-", "-s1-"), state="stopped", seed=1, age=20)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "~" in text(app))
        line = next(line for line in text(app).splitlines() if "digits-ipc1 s0" in line)
        assert age in line


async def test_compared_curves_have_their_cursor_at_one_place_also_when_the_others_are_shown(
    make_app: MakeApp, tmp_path: Path
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "A 40" in text(app))
        await pilot.press("h", "h")

        def places() -> set[float | None]:
            return {pane.viewport.cursor for pane in app.screen.query(PlotPane)}

        assert len(places()) == 1
        assert None not in places()
        await pilot.press("M")
        await until(pilot, lambda: app.screen.query_one("#compare-objective").size.height > 2)
        pane = app.screen.query_one("#compare-objective", PlotPane)
        before = places()
        await pilot.click("#compare-objective", offset=(pane.size.width // 3, pane.size.height // 2))
        await until(pilot, lambda: len(places()) == 1 and places() != before)


async def test_nothing_is_exported_before_the_runs_are_read(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "runs")
    held = threading.Event()
    monkeypatch.setattr("mim4dd_tui.dashboard.screens.compare._poll", lambda _reader: held.wait(60) and [])
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("space", "space", "c", "E")
        await until(pilot, lambda: "still being read" in text(app))
        assert text(app).count("reading the runs") == 2, "the plot and the table"
        assert "best accuracy" not in text(app)
        held.set()
    assert not (tmp_path / "runs" / "exports").exists()


def test_every_comparison_is_exported_into_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [of_comparison(tmp_path) for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and folder.parent == tmp_path / "exports" for folder in folders)


async def test_keys_of_a_comparison_say_what_they_lead_to(make_app: MakeApp) -> None:
    app = make_app()
    for name, seed in (("one", 0), ("two", 1)):
        make_run(app.runs_dir, name, seed=seed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b", "space", "j", "space", "c")
        await until(pilot, lambda: "M four d all settings" in text(app))
        await pilot.press("M", "d")
        await until(pilot, lambda: "M one d differing" in text(app))
        await pilot.press("M", "d")
        await until(pilot, lambda: "M four d all settings" in text(app))


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("colours", [True, False], ids=["colours", "none"])
def test_two_curves_keep_their_names_and_a_value_in_24_columns(metric: str, colours: bool) -> None:
    x = np.array([0.0, 2500.0, 5000.0])
    curves = tuple(Series(letter, x, 0 * x + 0.71234, ink) for ink, letter in enumerate("AB", 1))
    samples = {} if colours else {ink: Stroke.of(ink).sample("ascii") + " " for ink in (1, 2)}
    headings = (METRICS[metric][0], BRIEF[metric])
    title = Title(Figure(curves, told=TOLD.get(metric)), Viewport(cursor=2500.0), headings, "", 24, samples, ">")
    heading, said = title.said()
    line = heading + "".join(part for part, _ in said)
    assert len(line) <= 24
    assert {ink for _, ink in said} >= {1, 2}, line
    assert " A 0.71" in line or " A 71.2" in line


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (13, ["33.1 ± 10.7 %", "~65.7 ± 2.1 %", "-"]),
        (12, ["33.1 ± 10.7", "~65.7 ± 2.1", "-"]),
        (10, ["33.1 %", "~65.7 %", "-"]),
    ],
)
def test_deviations_of_a_line_stay_or_go_together(width: int, told: list[str]) -> None:
    """The widest is of the run that is least sure."""
    assert _with_spread(["33.1 ± 10.7 %", "~65.7 ± 2.1 %", "-"], width) == told
    assert _with_spread(["color_crop", "none"], 8) == ["color_crop", "none"]


async def test_a_table_that_is_not_read_yet_is_not_copied(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompareScreen, "_refresh", lambda _: None)
    make_run(tmp_path / "runs", "lion")
    make_run(tmp_path / "runs", "tapir", seed=1)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        infos = Shelf(tmp_path / "runs").read()
        app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
        await until(pilot, lambda: "reading the runs" in text(app))
        monkeypatch.setattr(app, "copy", lambda *_: pytest.fail("of these numbers none is known yet"))
        for key in "cE":
            await pilot.press(key)
            await until(pilot, lambda: told(app) == "the runs are still being read")
            app.clear_notifications()
