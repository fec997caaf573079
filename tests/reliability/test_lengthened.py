"""A run that is given more iterations ends in what one begun with that many ends in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine.config.schema import Config
from engine.errors import ConfigError, DataError, MimError, RunFailed, RunLocked
from engine.events import Lengthened, RunEnded
from engine.runs import lengthening
from engine.runs.changes import changes
from engine.runs.checkpoint import latest, newest_due
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, read_all
from engine.runs.lengthening import lengthen
from engine.runs.lock import RunLock
from engine.runs.result import document
from engine.worth import student_flops
from tests.distill.helpers import Place, Watch, iterations_of, outcome, quickly, tiny
from tests.reliability.kills import Killed, ended_at

SHORT, LONG = 6, 14
AT_EVERY_ITERATION = {"information__readout_every": 1}
"""Else the last of the shorter run has one reading more."""
EVERYTHING: dict[str, Any] = {
    "data__validation": 0.15,
    "synthetic__labels": "softmax",
    "objective__batch_size": 4,
    "information__synthetic_network": "attached",
    "information__embedding_layers": 1,
    "information__augment": "independent",
}
BASES: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "dream": {"objective__name": "dream", "objective__network_life": 4, "objective__select_every": 2},
    "bptt": {"objective__name": "bptt"},
    "tesla": {"objective__name": "tesla"},
    "distribution": {"objective__name": "distribution", "objective__step_size_rate": 0.0},
}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly():
        yield


def longer(place: Place, iterations: int = LONG) -> None:
    lengthen(RunFolder(place.folder), iterations)


def whole(path: Path, **settings: Any) -> tuple[Config, dict[str, Any]]:
    """A run begun with all its iterations, and what it ends in."""
    config = tiny(objective__iterations=LONG, **settings)
    Place(path).start(config)
    return config, outcome(Place(path))


def stopped_at(place: Place, config: Config, iteration: int) -> None:
    def act(watch: Watch) -> None:
        if watch.after(kind="iteration", iteration=iteration):
            watch.request("stop")

    assert place.start(config, Watch(act=act))["state"] == "stopped"


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """All but that it was lengthened, and says so."""
    assert found["result"].pop("lengthened")
    assert not wanted["result"].pop("lengthened")
    assert found["result"].pop("changes") == {"objective.iterations": LONG}
    assert wanted["result"].pop("changes") == {}
    assert found == wanted


@pytest.mark.parametrize(
    "base", ["everything", *[pytest.param(name, marks=pytest.mark.long) for name in BASES if name != "everything"]]
)
def test_a_finished_run_goes_on_to_the_bits_of_a_longer_one(base: str, tmp_path: Path) -> None:
    _, wanted = whole(tmp_path / "whole", **AT_EVERY_ITERATION, **BASES[base])
    place = Place(tmp_path / "short")
    assert place.start(tiny(objective__iterations=SHORT, **AT_EVERY_ITERATION, **BASES[base]))["state"] == "done"
    longer(place)
    watch = Watch()
    assert place.resume(watch)["state"] == "done"
    assert iterations_of(watch.events) == list(range(SHORT + 1, LONG + 1))
    same(outcome(place), wanted)


def test_a_stopped_run_goes_on_to_the_bits_of_a_longer_one(tmp_path: Path) -> None:
    _, wanted = whole(tmp_path / "whole", **AT_EVERY_ITERATION, **EVERYTHING)
    place = Place(tmp_path / "short")
    stopped_at(place, tiny(objective__iterations=SHORT, **AT_EVERY_ITERATION, **EVERYTHING), 5)
    longer(place)
    place.resume()
    same(outcome(place), wanted)


def test_at_its_earlier_end_it_has_one_more_evaluation_picture_and_reading_and_nothing_else(tmp_path: Path) -> None:
    """Of 7 iterations, of which neither 3, 5 nor 2 is a divisor."""
    odd, settings = 7, {"data__validation": 0.15}
    Place(tmp_path / "whole").start(tiny(objective__iterations=LONG, **settings))
    place = Place(tmp_path / "short")
    place.start(tiny(objective__iterations=odd, **settings))
    longer(place)
    place.resume()
    told = RunHistory.load(place.folder / "journal.jsonl")
    wanted = RunHistory.load(tmp_path / "whole" / "runs" / "one" / "journal.jsonl")
    for name in ("objective", "nce", "gradient_norm", "gradient_ratio", "step_size"):
        assert told.series[name].points() == wanted.series[name].points(), name
    assert set(told.series["accuracy"].points()) - set(wanted.series["accuracy"].points()) == {
        (odd, dict(told.series["accuracy"].points())[odd])
    }
    assert set(wanted.series["accuracy"].points()) < set(told.series["accuracy"].points())
    assert set(told.series["bound"].iterations) - set(wanted.series["bound"].iterations) <= {odd}
    pictured = {e.iteration for e in told.snapshots} - {e.iteration for e in wanted.snapshots}
    assert pictured == {odd}
    assert outcome(place)["last"] == outcome(Place(tmp_path / "whole"))["last"]


def test_a_run_that_goes_back_goes_to_the_same_place_as_a_longer_one(tmp_path: Path) -> None:
    """The last checkpoint of the shorter run, at 6, is none that was due (every 4)."""
    place = Place(tmp_path)
    place.start(tiny(objective__iterations=SHORT))
    assert newest_due(place.folder) == 4
    found = latest(place.folder)
    assert found is not None
    assert found.iteration == SHORT
    longer(place)
    place.resume()
    assert newest_due(place.folder) == 12


def test_everything_says_that_it_was_lengthened(tmp_path: Path) -> None:
    place, folder = Place(tmp_path), RunFolder(tmp_path / "runs" / "one")
    done = place.start(tiny(objective__iterations=SHORT))
    accuracy = done["accuracy"]["mean"]
    longer(place)
    event = Lengthened(SHORT, SHORT, LONG, accuracy)
    told = f"lengthened from {SHORT} to {LONG} iterations"
    for history in (RunHistory.load(folder.journal_path), RunHistory.of(JournalReader(folder.journal_path).poll())):
        assert history.lengthened == [event]
        assert (history.state, history.message, history.iterations) == ("stopped", told, LONG)
        assert history.best is not None
        assert history.best.live
        assert history.result is None
        assert history.log[-1].text == f"{told}; its final accuracy was {100 * accuracy:.1f} %"
    status = folder.status()
    assert status is not None
    assert (status.state, status.iteration, status.iterations, status.message) == ("stopped", SHORT, LONG, told)
    assert status.live
    assert folder.config().objective.iterations == LONG
    shown = document(folder.path)
    assert (shown["state"], shown["iteration"], shown["iterations"]) == ("stopped", SHORT, LONG)
    assert shown["accuracy"]["final"] is False
    assert shown["last"]["final"] is False
    lengthened = [{"iteration": SHORT, "before": SHORT, "iterations": LONG, "accuracy": accuracy}]
    assert shown["lengthened"] == lengthened
    watch = Watch()
    result = place.resume(watch)
    assert not [event for event in watch.events if isinstance(event, Lengthened)], "it was said before"
    assert result["lengthened"] == lengthened
    assert result["changes"] == {"objective.iterations": LONG}
    assert folder.result() == result
    for history in (RunHistory.load(folder.journal_path), RunHistory.of(JournalReader(folder.journal_path).poll())):
        assert history.lengthened == [event]
        assert history.state == "done"
        assert [line.text.partition(";")[0] for line in history.log].count(told) == 1
        assert len([e for e in history.evaluations if e.subject == "best"]) == 1
    records = read_all(folder.journal_path)
    assert len([1 for record in records if isinstance(record.event, RunEnded)]) == 1


def test_a_run_is_lengthened_more_than_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    stopped_at(place, tiny(objective__iterations=SHORT), 5)
    longer(place, SHORT + 1)
    longer(place, SHORT + 2)
    result = place.resume()
    assert result["state"] == "done"
    assert [(e["iteration"], e["before"], e["iterations"]) for e in result["lengthened"]] == [
        (5, SHORT, SHORT + 1),
        (5, SHORT + 1, SHORT + 2),
    ]


def test_one_that_never_began_only_has_another_number(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", "one", tiny(objective__iterations=SHORT))
    lengthen(folder, LONG)
    status = folder.status()
    assert status is not None
    assert (status.state, status.iterations) == ("queued", LONG)
    assert not folder.journal_path.exists()
    result = Place(tmp_path).resume()
    assert (result["state"], result["iteration"]) == ("done", LONG)
    assert changes(folder) == {"objective.iterations": LONG}


# ---- kills and disks


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("short") / "one")
    with quickly():
        place.start(tiny(objective__iterations=SHORT, **EVERYTHING))
    return place


def test_killed_at_any_change_it_has_the_old_number_or_the_new_one_and_goes_on(short: Place, tmp_path: Path) -> None:
    changes_made = ended_at(partial(longer, short.copy(tmp_path / "all")))
    assert changes_made >= 8
    ends = []
    for at in range(1, changes_made + 1):
        place = short.copy(tmp_path / str(at))
        with pytest.raises(Killed):
            ended_at(partial(longer, place), at)
        number = RunFolder(place.folder).config().objective.iterations
        assert document(place.folder)["iterations"] == number
        result = place.resume()
        ends.append(number)
        assert (result["state"], result["iteration"], result["iterations"]) == ("done", number, number)
        assert len(result["lengthened"]) == (number == LONG)
        status = RunFolder(place.folder).status()
        assert status is not None
        assert (status.state, status.iterations) == ("done", number)
        if number == LONG:
            assert result["changes"] == {"objective.iterations": LONG}
        else:
            longer(place)
    assert ends == sorted(ends)
    assert set(ends) == {SHORT, LONG}


def test_a_disk_that_refuses_the_new_number_leaves_a_run_that_is_done(short: Place, tmp_path: Path) -> None:
    place = short.copy(tmp_path / "one")
    before = document(place.folder)
    full = RunFailed("cannot write config.toml: full")
    with mock.patch.object(RunFolder, "write_config", side_effect=full), pytest.raises(RunFailed, match="full"):
        longer(place)
    assert document(place.folder) == before
    assert place.resume()["state"] == "done"
    assert RunFolder(place.folder).result() is not None


def test_a_disk_that_fails_after_taking_the_new_number_leaves_a_run_that_goes_on(short: Place, tmp_path: Path) -> None:
    place, real = short.copy(tmp_path / "one"), RunFolder.write_config

    def taken(folder: RunFolder, config: Config) -> None:
        real(folder, config)
        raise RunFailed("cannot write config.toml: the disk reports an input/output error")

    with mock.patch.object(RunFolder, "write_config", taken), pytest.raises(RunFailed, match="input/output"):
        longer(place)
    assert document(place.folder)["state"] == "stopped"
    result = place.resume()
    assert (result["state"], result["iteration"], len(result["lengthened"])) == ("done", LONG, 1)


# ---- what is refused


def refused(place: Place, kind: type[MimError], *words: str, iterations: int = LONG) -> None:
    def there() -> dict[Path, bytes]:
        files = [path for path in place.folder.rglob("*") if path.is_file() and path.name != "lock"]
        return {path: path.read_bytes() for path in files}

    before = there()
    with pytest.raises(kind) as found:
        longer(place, iterations)
    for each in words:
        assert each in str(found.value)
    assert there() == before


@pytest.mark.parametrize("number", [SHORT - 1, SHORT])
def test_too_few_iterations(number: int, short: Place, tmp_path: Path) -> None:
    place = short.copy(tmp_path / "one")
    refused(place, ConfigError, f"one has {SHORT} iterations already, and can only be given more", iterations=number)


def test_a_run_that_somebody_works_on(short: Place, tmp_path: Path) -> None:
    place = short.copy(tmp_path / "one")
    with RunLock(place.folder), pytest.raises(RunLocked, match="mim4dd stop"):
        longer(place)


def test_a_run_that_diverged(short: Place, tmp_path: Path) -> None:
    place = short.copy(tmp_path / "one")
    path = place.folder / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "failed", "diverged": True}))
    refused(place, ConfigError, "diverged", f"--set objective.iterations={LONG}", "other settings")


def test_a_run_of_an_analysis(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", "one", tiny(objective__iterations=SHORT), cell=True)
    refused(Place(tmp_path), ConfigError, "is an analysis's", f"with the {SHORT} iterations", "begin a longer one")


@pytest.mark.parametrize("damaged", [False, True])
def test_a_finished_run_without_a_whole_checkpoint(damaged: bool, short: Place, tmp_path: Path) -> None:
    place = short.copy(tmp_path / "one")
    if damaged:
        for path in (place.folder / "checkpoints").iterdir():
            path.write_bytes(path.read_bytes()[:-3])
    else:
        shutil.rmtree(place.folder / "checkpoints")
    refused(place, DataError, "no whole checkpoint", "begin a longer one", f"objective.iterations={LONG}")


# ---- what it says


def test_what_is_not_as_in_a_run_begun_so_long_is_said(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "one", tiny(evaluation__share=0.3, evaluation__every=1))
    before, after = (tiny(objective__iterations=n, evaluation__share=0.3, evaluation__every=1) for n in (7, 1000))
    folder.write_execution({"why_eager": "the run is too short for compilation to pay"})
    note = lengthening._note(folder, before, after)
    assert note.startswith("live evaluations come every ")
    assert "uncompiled" not in note, "neither would be compiled"
    with mock.patch("engine.worth.COMPILE_PAYS", student_flops(before) / 2):
        assert "uncompiled" not in lengthening._note(folder, before, after), "both would be"
    with mock.patch("engine.worth.COMPILE_PAYS", student_flops(before) * 2):
        assert "its steps stay uncompiled" in lengthening._note(folder, before, after)
