"""What a run will take: measured where one like it ran here, named as unknown where none did."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine import memory, trained
from engine.budget import live_evaluations, live_every
from engine.config.load import changed, resolve
from engine.config.schema import Config
from engine.events import Evaluation, ExpertEpoch, Iteration, RunStarted
from engine.networks import ConvNet
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.status import host_name
from mim4dd_tui.dashboard import estimate
from mim4dd_tui.dashboard import measured as measuring
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.details import preset_line
from mim4dd_tui.dashboard.estimate import in_a_line, in_words, parameters
from mim4dd_tui.dashboard.measured import Measured, Measurements
from mim4dd_tui.dashboard.widgets.summary import Summary
from mim4dd_tui.dashboard.written import pixels
from mim4dd_tui.own import own_preset
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, until, words

BASE = resolve("digits-ipc1").config


def measured(config: Config = BASE, **values: object) -> Measured:
    known = Measured("like", config, 0.5, 2.0, 8, {"mtt-1000": 4.0, "quick-100": 1.0, "paper-300": 2.0}, 700.0)
    return replace(known, **values)  # type: ignore[arg-type]


def test_without_a_measurement_nothing_is_guessed() -> None:
    found = estimate.estimate(BASE, [])
    assert found.seconds is None
    assert set(found.unknown) == {"experts", "iterations", "evaluations"}
    assert found.memory is not None
    assert not found.memory_measured
    assert found.memory == memory.estimate(BASE).total / 2**20 + estimate.OWN, "the dashboard is in the same process"
    assert "(calculated)" in in_words(found)[1]
    assert "not known until it has run" in in_words(found)[0]


def test_counts_are_multiplied_by_measured_seconds() -> None:
    config = changed(BASE, {"objective.iterations": 100, "objective.student_steps": 30, "experts.count": 10})
    found = estimate.estimate(config, [measured()])
    steps = 30 / BASE.objective.student_steps
    assert found.parts["iterations"] == pytest.approx(100 * 0.5 * steps)
    assert found.parts["experts"] == pytest.approx(2 * config.experts.epochs * 2.0), "eight experts are there already"
    live = live_evaluations(config) * config.evaluation.live_networks
    final = 2 * config.evaluation.networks + config.evaluation.random_draws * config.evaluation.random_networks
    seconds = measured().networks
    wanted = live * seconds[config.evaluation.live_protocol] + final * seconds[config.evaluation.protocol]
    assert found.parts["evaluations"] == pytest.approx(wanted)
    assert found.unknown == ()
    assert found.memory == 700.0
    assert found.memory_measured


def test_live_evaluations_are_counted_as_they_will_be_made() -> None:
    """The first and the last iterate's too, and no more often than the share of a run allows."""
    seldom = changed(BASE, {"evaluation.every": 1, "evaluation.share": 0.1, "evaluation.networks": 1})
    assert live_every(seldom) > 1
    evaluation = seldom.evaluation
    seconds = measured().networks
    final = 2 + evaluation.random_draws * evaluation.random_networks
    wanted = live_evaluations(seldom) * evaluation.live_networks * seconds[evaluation.live_protocol]
    parts = estimate.estimate(seldom, [measured()]).parts
    assert parts["evaluations"] == pytest.approx(wanted + final * seconds[evaluation.protocol])


@pytest.mark.parametrize(
    ("changes", "sets"),
    [({"evaluation.every": 0}, 1), ({}, 2), ({"data.validation": 0.1}, 3)],
    ids=["none are chosen", "test images choose", "validation images choose"],
)
def test_as_many_sets_are_measured_at_the_end_as_are_told_apart(changes: dict[str, object], sets: int) -> None:
    one, two = (changed(BASE, {**changes, "evaluation.networks": count}) for count in (1, 2))
    each = measured().networks[BASE.evaluation.protocol]
    less, more = (estimate.estimate(config, [measured(config)]).parts["evaluations"] for config in (one, two))
    assert more - less == pytest.approx(sets * each)


def test_where_no_student_is_trained_its_steps_take_no_time() -> None:
    config = resolve("digits-ipc1-distribution").config
    more = changed(config, {"objective.student_steps": 2 * config.objective.student_steps})
    times = [estimate.estimate(each, [measured(config)]).parts["iterations"] for each in (config, more)]
    assert times[0] == times[1] == config.objective.iterations * 0.5


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("network.width", 48, "iterations"),
        ("synthetic.images_per_class", 3, "iterations"),
        ("information.real_batch", 64, "iterations"),
        ("information.weight", 0, "iterations"),
        ("execution.threads", 1, "iterations"),
        ("execution.compile", "off", "iterations"),
        ("execution.compile", "off", "experts"),
        ("execution.keep_activations", 0, "iterations"),
        ("experts.batch_size", 17, "experts"),
        ("data.test_limit", 100, "evaluations"),
        ("data.validation", 0.1, "evaluations"),
        ("synthetic.formation", 2, "evaluations"),
        ("synthetic.labels", "softmax", "evaluations"),
    ],
)
def test_what_changes_the_cost_makes_it_unknown_again(key: str, value: int | str, part: str) -> None:
    real = {"synthetic.init": "real"}  # as soft labels begin
    config = changed(BASE, {**real, key: value, "experts.count": 9})  # one more than there are
    assert part in estimate.estimate(config, [measured()]).unknown


@pytest.mark.parametrize(
    "key",
    ["seed", "objective.pixel_rate", "information.weight", "information.temperature", "evaluation.networks",
     "execution.snapshot_every"],
)  # fmt: skip
def test_what_does_not_change_the_cost_keeps_it_known(key: str) -> None:
    assert estimate.estimate(changed(BASE, {key: 7}), [measured()]).unknown == ()


@pytest.mark.parametrize(
    ("preset", "shape", "classes"),
    [("digits-ipc1", (1, 8, 8), 10), ("mnist-ipc1", (1, 28, 28), 10), ("cifar100-ipc1", (3, 32, 32), 100)],
)
def test_sizes_are_the_networks_and_the_sets_own(preset: str, shape: tuple[int, int, int], classes: int) -> None:
    config = resolve(preset).config
    assert parameters(config) == ConvNet(config.network, shape, classes).size
    assert pixels(config) == classes * config.synthetic.images_per_class * shape[0] * shape[1] * shape[2]


@pytest.mark.parametrize(
    ("preset", "key", "value"),
    [
        ("digits-ipc1", "objective.student_steps", 400),
        ("digits-ipc1", "experts.epochs", 900),
        ("cifar10-ipc1-small", "data.train_limit", 20_000),
    ],
)
def test_memory_is_that_of_a_run_that_needs_as_much(preset: str, key: str, value: int) -> None:
    """Its time may be multiplied out all the same."""
    config = changed(resolve(preset).config, {"network.width": 256, "experts.epochs": 100})
    other = changed(config, {key: value})
    found = estimate.estimate(other, [measured(config)])
    assert "iterations" not in found.unknown
    assert (found.memory_measured, found.memory) == (False, memory.estimate(other).total / 2**20 + estimate.OWN)
    assert found.memory != memory.estimate(config).total / 2**20 + estimate.OWN
    found = estimate.estimate(other, [measured(config), measured(other, peak=900.0, shared=True)])
    assert (found.memory_measured, found.memory, found.shared) == (True, 900.0, True)
    less = changed(config, {"evaluation.networks": 4})
    assert estimate.estimate(less, [measured(config)]).memory_measured, "its peak is another phase's"
    card, more = (changed(one, {"execution.device": "cuda"}) for one in (config, other))
    assert estimate.estimate(card, [measured(card)]).memory == 700.0
    assert estimate.estimate(more, [measured(card)]).memory is None, "there it is not calculated"


@pytest.mark.parametrize(("window", "factor"), [(0, 2.0), (20, (3 * 60 + 9 * 20) / (3 * 35 + 9 * 20))])
def test_steps_that_no_sweep_goes_back_through_cost_less(window: int, factor: float) -> None:
    """With a window an iteration takes a number of steps from the window's to all, and goes back through the window."""
    config = changed(resolve("digits-ipc1-bptt").config, {"objective.student_steps": 50, "objective.window": window})
    more = changed(config, {"objective.student_steps": 100})
    times = [estimate.estimate(each, [measured(config)]).parts["iterations"] for each in (config, more)]
    assert times[1] / times[0] == pytest.approx(factor)


def test_too_little_room_is_said() -> None:
    found = estimate.estimate(BASE, [measured(peak=4096.0)])
    lines = in_words(found, memory_free=1024.0, disk_free=10)
    assert "! only 1.0 GiB of memory are free" in lines
    assert "! only 10 bytes of disk are free" in lines
    assert not any(line.startswith("!") for line in in_words(found, memory_free=8192.0, disk_free=10**12))


def test_what_takes_the_disk_is_said_as_far_as_there_is_room() -> None:
    found = replace(estimate.estimate(BASE, [measured(peak=612.0)]), disk=2**20, cache=23 * 2**20)
    total = "memory 612 MiB · disk 24 MiB (calculated)"
    whole = f"{total}: checkpoints, snapshots, journal, distilled sets, 23 MiB of experts"
    brief, least = f"{total}, 23 MiB of it experts", "memory 612 MiB · disk ~24 MiB"
    for width, line in (
        (len(whole), whole),
        (len(whole) - 1, brief),
        (len(brief) - 1, total),
        (len(total) - 1, least),
        (0, least),
    ):
        assert in_words(found, width=width)[1] == line
    none = replace(found, cache=0)
    assert in_words(none, width=200)[1].endswith(
        "1.0 MiB (calculated): checkpoints, snapshots, journal, distilled sets"
    )
    assert in_words(none, width=50)[1].endswith("disk 1.0 MiB (calculated)")
    assert in_words(none, width=30)[1].endswith("disk ~1.0 MiB")


@pytest.mark.parametrize("size", SIZES)
async def test_the_line_of_the_disk_follows_the_width(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "disk" in text(app))
        await pilot.resize_terminal(200, 48)
        await until(pilot, lambda: "checkpoints, snapshots, journal, distilled sets" in text(app))
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: "disk" in text(app) and "snapshots" not in text(app))


def make(tmp_path: Path, host: str, iterations: int = 20) -> RunFolder:
    folder = RunFolder.create(tmp_path, None, BASE, preset="digits-ipc1")
    with JournalWriter(folder.journal_path) as writer:
        writer.append(RunStarted(folder.name, "digits-ipc1", 0, 10, iterations, host, os.getpid(), "0", {}))
        epochs = BASE.experts.epochs
        writer.append(ExpertEpoch(0, 2, epochs, epochs, 0.1, 0.9, 0.9, 3.0))
        writer.append(ExpertEpoch(1, 2, epochs, epochs, 0.1, 0.9, 0.9, 0.0, reused=True))
        for i in range(1, iterations + 1):
            seconds = 60.0 if i == 1 else 0.25
            writer.append(Iteration(i, 1.0, None, None, None, None, 0.1, None, 0.05, seconds, 500.0 + i))
        writer.append(Evaluation(iterations, "live", "quick-100", 0.5, 0.1, [0.4, 0.6], "test", "test", 5.0))
    return folder


def test_a_journal_is_measured_without_its_slow_beginning(tmp_path: Path) -> None:
    found = measuring.measured(make(tmp_path, host_name()))
    assert found is not None
    assert (found.iteration, found.epoch, found.experts) == (0.25, 3.0, 2)
    assert found.networks == {"quick-100": 2.5}
    assert found.peak == 520.0


def test_a_run_that_was_not_the_first_of_its_process_tells_only_a_bound() -> None:
    first, later = measured(peak=789.0), measured(peak=1174.0, shared=True)
    for runs in ([first, later], [later, first]):
        found = estimate.estimate(BASE, runs)
        assert (found.memory, found.shared) == (789.0, False), "whatever came after it"
        assert in_words(found)[1].startswith("memory 789 MiB ")
    found = estimate.estimate(BASE, [later, measured(peak=1300.0, shared=True)])
    assert (found.memory, found.shared, found.memory_measured) == (1174.0, True, True)
    assert in_words(found)[1].startswith("memory at most 1.1 GiB ")
    assert in_a_line(found, memory_free=1e6, disk_free=10**15).endswith(" · at most 1.1 GiB")
    other = changed(BASE, {"network.width": 48})
    assert not estimate.estimate(other, [later]).shared, "its memory is calculated"


def test_a_trial_of_a_few_iterations_does_not_outweigh_a_run(tmp_path: Path) -> None:
    """Its iterations are those that warm up."""
    run, trial = measured(iteration=0.125, peak=820.0), measured(iteration=0.36, peak=790.0, over=0)
    for runs in ([run, trial], [trial, run]):
        found = estimate.estimate(BASE, runs)
        assert found.parts["iterations"] == pytest.approx(BASE.objective.iterations * 0.125)
        assert found.memory == 820.0
    longer = measured(iteration=0.2, peak=800.0, over=5)
    for runs in ([longer, trial], [trial, longer]):
        assert estimate.estimate(BASE, runs).parts["iterations"] == pytest.approx(BASE.objective.iterations * 0.2)
    counted = [measuring.measured(make(tmp_path / str(count), host_name(), count)) for count in (3, 8, 40)]
    assert [one.over for one in counted if one is not None] == [0, 5, 37]


def test_the_journal_says_whether_a_run_was_the_first_of_its_process(tmp_path: Path) -> None:
    folder = make(tmp_path, host_name())
    found = measuring.measured(folder)
    assert found is not None
    assert not found.shared
    started = RunStarted(folder.name, "digits-ipc1", 0, 10, 20, host_name(), 1, "0", {}, 20, earlier=2)
    with JournalWriter(folder.journal_path) as writer:
        writer.append(started)
    found = measuring.measured(folder)
    assert found is not None
    assert found.shared, "resumed in a process that had computed others"


def test_a_run_of_another_machine_says_nothing_about_this_one(tmp_path: Path) -> None:
    assert measuring.measured(make(tmp_path, "elsewhere")) is None


def test_of_a_long_journal_the_beginning_and_the_end_are_read(tmp_path: Path) -> None:
    folder = make(tmp_path, host_name(), iterations=4000)
    assert folder.journal_path.stat().st_size > 2 * (measuring.HEAD_BYTES + measuring.TAIL_BYTES)
    found = measuring.measured(folder)
    assert found is not None
    assert found.networks == {"quick-100": 2.5}, "the evaluation stands at the end"
    assert found.experts == 2


def test_a_journal_is_measured_again_only_when_it_grew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, host_name())
    kept = Measurements()
    assert len(kept.of([folder])) == 1
    monkeypatch.setattr(measuring, "measured", lambda _folder: None)
    assert len(kept.of([folder])) == 1
    with JournalWriter(folder.journal_path) as writer:
        writer.append(Iteration(21, 1.0, None, None, None, None, 0.1, None, 0.05, 1.0, 1.0))
    assert kept.of([folder]) == []


def test_runs_that_wait_do_not_take_the_place_of_those_that_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = [make(tmp_path, host_name()) for _ in range(3)]
    waiting = [RunFolder.create(tmp_path, None, BASE, preset="digits-ipc1") for _ in range(4)]
    monkeypatch.setattr(measuring, "NEWEST", 2)
    assert [found.name for found in Measurements().of([*waiting, *ran])] == [ran[0].name, ran[1].name]


def test_a_line_says_what_there_is_not_enough_of_else_time_and_memory() -> None:
    found = estimate.estimate(BASE, [measured()])
    assert in_a_line(found, memory_free=1e6, disk_free=10**15).endswith(" · 700 MiB")
    assert in_a_line(found, memory_free=1e6, disk_free=10**15).startswith("about ")
    assert in_a_line(found, memory_free=10.0, disk_free=10**15) == "! only 10 MiB of memory are free"
    assert in_a_line(found, memory_free=1e6, disk_free=2048) == "! only 2.0 KiB of disk are free"
    assert in_a_line(estimate.estimate(BASE, [])).startswith("time not known · ~"), "calculated"


@pytest.mark.parametrize(
    ("room", "said"),
    [(40, "mnist-ipc10-dream  about 1:30"), (24, "mni…10-dream  about 1:30"), (16, "about 1:30")],
)
def test_a_preset_in_a_line_gives_up_its_name_before_what_it_takes(room: int, said: str) -> None:
    assert preset_line("mnist-ipc10-dream", "about 1:30", "red", room).plain == said


def test_a_run_that_is_not_over_may_need_more_later() -> None:
    young = measured(peak=500.0, whole=False)
    found = estimate.estimate(BASE, [young, measured()])
    assert found.memory == 700.0
    shared = measured(peak=900.0, shared=True)
    assert estimate.estimate(BASE, [young, shared]).memory == 900.0, "that of a whole run, though it is a bound"
    assert estimate.estimate(BASE, [young]).memory == 500.0, "better than none"


async def test_places_that_are_closed_are_told_of(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/closed/MNIST")

    app = make_app()
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: "not known until" in text(app))
        monkeypatch.setattr("mim4dd_tui.dashboard.widgets.summary.find", closed)
        await pilot.press("slash", *"mnist-ipc1", "enter")
        await until(pilot, lambda: "! mnist cannot be looked for: Permission denied: /closed/MNIST" in words(app))
    monkeypatch.setattr(Path, "exists", closed)
    assert estimate.room(Path("runs"))["disk_free"] is None


def test_a_preset_that_goes_while_it_is_read_is_none_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = iter([{"mine": tmp_path / "mine.toml"}])
    monkeypatch.setattr("mim4dd_tui.own.names", lambda: next(there, {}))
    assert own_preset("mine") is None


async def test_experts_of_a_run_that_was_deleted_are_not_counted_again(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    key = tmp_path / "cache" / "experts" / "0123"
    key.mkdir(parents=True)
    trained.note(key, BASE)
    assert estimate.estimate(BASE, measuring.kept_experts()).cache > 0
    for number in range(BASE.experts.count):
        (key / f"expert-{number:04d}.safetensors").write_bytes(b"four")
        (key / f"expert-{number:04d}.json").write_text('{"bytes": 4}')
    found = estimate.estimate(BASE, measuring.kept_experts())
    assert (found.cache, found.parts["experts"]) == (0, 0.0)
    assert estimate.estimate(changed(BASE, {"experts.learning_rate": 0.5}), measuring.kept_experts()).cache > 0
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: [one.experts for one in measured_by(app)] == [BASE.experts.count])


def measured_by(app: DashboardApp) -> list[Measured]:
    return app.screen.query_one(Summary).measured or []
