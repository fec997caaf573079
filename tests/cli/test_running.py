"""Real runs through the command line, as small as they get."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import numpy as np
import pytest
import torch

from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.files import read_json_object, write_json
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import results, running
from mim4dd_tui.cli.results import Format, artifact_path, evaluate
from mim4dd_tui.cli.sequence import Later
from mim4dd_tui.graphics.choice import Graphics
from tests.cli.command import COMMAND, Ended, begun, environment, mim4dd, set_options

TINY = {
    "execution.threads": 1, "execution.compile": "off", "network.depth": 1, "network.width": 8,
    "data.train_limit": 100, "data.test_limit": 50, "experts.count": 1, "experts.epochs": 3,
    "objective.iterations": 3, "objective.student_steps": 2, "objective.expert_epochs": 1,
    "objective.max_start_epoch": 1, "objective.step_size_rate": 0, "information.readout": 20,
    "information.real_batch": 20, "information.warmup": 1, "evaluation.every": 3, "evaluation.share": 1.0,
    "evaluation.random_draws": 1,
    "evaluation.networks": 2, "evaluation.live_networks": 1, "evaluation.protocol": "quick-100",
}  # fmt: skip


def settings(**changes: object) -> list[str]:
    """``--set`` options of the tiny run."""
    return set_options(TINY, **changes)


@dataclass(frozen=True)
class Place:
    """A folder with runs in ``runs``, and the environment in which they were made."""

    folder: Path
    env: dict[str, str]
    ended: Ended

    def command(self, *arguments: str) -> Ended:
        """Another command in the same place; in this process, which has torch loaded already."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.env, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(arguments)
        return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One finished run called ``first``."""
    folder = tmp_path_factory.mktemp("place")
    env = environment(HOME=str(folder), MIM4DD_CACHE_DIR=str(folder / "cache"), XDG_STATE_HOME=str(folder))
    ended = mim4dd("run", "digits-ipc1", "--name", "first", "--json", *settings(), cwd=folder, env=env)
    return Place(folder, env, ended)


def test_run_prints_one_document_and_its_progress_elsewhere(place: Place) -> None:
    assert place.ended.code == 0, place.ended.err
    document = json.loads(place.ended.out)
    assert document["state"] == "done"
    assert document["run"] == "first"
    assert document["preset"] == "digits-ipc1"
    assert document["seed"] == 0
    assert {"mean", "std", "networks", "protocol", "selected_on"} <= set(document["accuracy"])
    assert document["accuracy"]["networks"] == 2
    assert {"nats", "ceiling"} <= set(document["mutual_information"])
    assert 0 <= document["random_selection"]["mean"] <= 1
    assert Path(document["artifact"]).is_file()
    assert len(document["fingerprint"]) == 64
    assert "iteration 3/3" in place.ended.err
    assert "\x1b" not in place.ended.out + place.ended.err


def test_show_gives_the_same_document_again(place: Place) -> None:
    shown = place.command("show", "first", "--json")
    assert json.loads(shown.out) == json.loads(place.ended.out)
    assert place.command("show", "--latest", "--json").out == shown.out
    assert place.command("show", "runs/first", "--json").out == shown.out
    text = place.command("show", "first").out
    assert "quick-100 at step size 0.05, 2 networks" in text
    assert "best iterate chosen on the test images" in text


def test_show_config_says_what_set_every_value(place: Place) -> None:
    document = json.loads(place.command("show", "first", "--config", "--json").out)
    assert document["config"]["network"]["width"] == 8
    assert document["origins"]["network.width"] == "--set"
    assert document["origins"]["objective.name"] == "default"
    assert "width = 8  # --set" in place.command("show", "first", "--config").out


def test_runs_lists_it(place: Place) -> None:
    listed = {row["run"]: row for row in json.loads(place.command("runs", "--json").out)}
    assert listed["first"]["state"] == "done"
    assert listed["first"]["iteration"] == 3
    assert listed["first"]["preset"] == "digits-ipc1"
    assert (listed["first"]["accuracy_final"], listed["first"]["accuracy_measured_on"]) == (True, "test")
    lines = place.command("runs").out.splitlines()
    assert lines[0].split() == ["run", "state", "progress", "accuracy", "begun", "changed"]
    assert any(line.split()[:3] == ["first", "done", "3/3"] for line in lines)


def test_evaluate_repeats_the_runs_networks_and_adds_more(place: Place) -> None:
    again = json.loads(place.command("evaluate", "first", "--networks", "3", "--json").out)
    document = json.loads(place.ended.out)
    assert again["fingerprint"] == document["fingerprint"]
    assert again["accuracy"]["accuracies"][:2] == document["accuracy"]["accuracies"]
    assert again["accuracy"]["networks"] == 3
    spoken = place.command("evaluate", "first", "--networks", "3").err.splitlines()
    counts = [line for line in spoken if line.startswith("  network ")]
    assert counts[-1] == "  network 3/3"
    assert len(counts) == len(set(counts)), "each count once"
    for protocol in ("paper-300", "dream-1000"):
        other = place.command("evaluate", document["artifact"], "--networks", "1", "--protocol", protocol, "--json")
        assert json.loads(other.out)["accuracy"]["protocol"] == protocol
    assert place.command("evaluate", "first", "--protocol", "best-ever").code == 2
    for command in ("evaluate", "export"):
        refused = place.command(command, document["artifact"], "--which", "last")
        assert refused.code == 2
        assert "leave --which out" in refused.err


def test_evaluate_prints_what_its_number_is_to_be_read_beside(place: Place) -> None:
    run = json.loads(place.ended.out)
    same = json.loads(place.command("evaluate", "first", "--networks", "1", "--json").out)
    assert same["selected_on"] == "test"
    assert run["full_set"]["train_images"] == TINY["data.train_limit"], "which is not the whole set"
    assert (same["random_selection"], same["full_set"]) == (run["random_selection"], run["full_set"])
    last = json.loads(place.command("evaluate", "first", "--which", "last", "--networks", "1", "--json").out)
    assert last["selected_on"] == "none"
    words = place.command("evaluate", "first", "--which", "last", "--networks", "1").out
    assert "by no images: the last iterate written" in words
    assert f"1 network, iteration {last['iteration']})" in words
    options = ("--networks", "1", "--protocol", "paper-300")
    other = json.loads(place.command("evaluate", "first", *options, "--json").out)
    assert (other["random_selection"], other["full_set"]) == (None, run["full_set"]), "that is the experts', always"
    assert "evaluation.protocol=paper-300" in other["random_selection_reason"]
    words = place.command("evaluate", "first", *options).out
    assert "chosen  " not in words
    assert "best iterate chosen on the test images" in words
    assert "- (none by paper-300, the run's is by quick-100: compare by --protocol quick-100" in words
    random = f"{run['random_selection']['mean'] * 100:.1f}"
    assert f"random real images  {random}" in place.command("evaluate", "first", "--networks", "1").out
    alone = place.folder / "alone.safetensors"
    alone.write_bytes(Path(run["artifact"]).read_bytes())
    copied = json.loads(place.command("evaluate", str(alone), "--networks", "1", "--json").out)
    for key in ("selected_on", "random_selection", "full_set"):
        assert copied[key] is None
        assert "lies in no run's folder" in copied[f"{key}_reason"]
    said = place.command("evaluate", str(alone), "--networks", "1").out
    assert said.count("lies in no run's folder") == 1, "the same reason is said once"
    assert "full set            -\n" in said


START = "this set is of iteration 0, what distillation started from"


@pytest.mark.parametrize(
    ("name", "iteration", "last", "said"),
    [
        ("best", 0, 7, f"{START}; last.safetensors beside it (--which last) is of iteration 7"),
        ("best", 0, 0, START),
        ("best", 0, None, START),
        ("last", 0, 0, START),
        ("best", 3, 7, ""),
    ],
)
def test_a_set_that_no_iteration_has_changed_is_said_to_be_so(
    name: str,
    iteration: int,
    last: int | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a run that was stopped before a later iterate was measured; or killed before a later one was written."""
    monkeypatch.setattr(RunFolder, "held", lambda _folder, _which: last)
    item = mock.Mock(provenance={"iteration": iteration})
    results._tell_of_start(Path(f"runs/x/distilled/{name}.safetensors"), item)
    assert capsys.readouterr().err.strip() == said


def test_every_protocol_is_named_in_the_help_of_evaluate() -> None:
    option = get_type_hints(evaluate, include_extras=True)["protocol"].__metadata__[0]
    assert [name for name in PROTOCOLS if name not in option.help] == []


def test_export_writes_every_format(place: Place) -> None:
    from engine.export import FORMATS

    assert set(FORMATS) == set(Format.__args__)  # type: ignore[attr-defined]
    for kind, name in (("npz", "first-best.npz"), ("png", "first-best.png"), ("pt", "first-best.pt")):
        document = json.loads(place.command("export", "first", "--format", kind, "--json").out)
        assert document["path"] == str(place.folder / name)
        assert Path(document["path"]).stat().st_size > 100
    with np.load(place.folder / "first-best.npz", allow_pickle=False) as archive:
        assert archive["images"].shape == (10, 1, 8, 8)
    tensors = torch.load(place.folder / "first-best.pt", weights_only=True)
    assert tensors["labels"].tolist() == list(range(10))
    assert place.command("export", "--latest", "--which", "last", "-o", "pictures").code == 0
    assert len(list((place.folder / "pictures").rglob("*.png"))) == 10


def test_export_replaces_nothing_unasked(place: Place) -> None:
    taken = place.folder / "taken.npz"
    taken.write_text("mine")
    refused = place.command("export", "first", "-o", "taken.npz")
    assert refused.code == 2
    assert "--force" in refused.err
    assert taken.read_text() == "mine"
    assert place.command("export", "first", "-o", "taken.npz", "--force").code == 0
    assert taken.read_bytes()[:2] == b"PK"
    assert place.command("export", "first", "-o", "odd.gif").code == 2
    contradicted = place.command("export", "first", "--format", "pt", "-o", "x.npz")
    assert contradicted.code == 2
    assert "--output x.npz ends as npz does" in contradicted.err
    assert not Path("x.npz").exists()
    assert place.command("export", "first", "--format", "pt", "-o", "own.ending").code == 0


def test_export_replaces_nothing_but_a_plain_file(place: Place) -> None:
    os.mkfifo(place.folder / "pipe.npz")
    (place.folder / "taken").write_text("mine")
    (place.folder / "folder.npz").mkdir()
    for name, said in (
        ("pipe.npz", "pipe.npz is a device or a pipe, and no file: choose another --output"),
        ("folder.npz", "folder.npz exists already, and is a folder: choose another --output"),
        ("taken", "choose another --output; without an ending taken is to be a folder of pictures (see --format)"),
    ):
        refused = place.command("export", "first", "-o", name, "--force")
        assert refused.code == 2
        assert said in " ".join(refused.err.split())
    assert stat.S_ISFIFO((place.folder / "pipe.npz").stat().st_mode)
    assert (place.folder / "taken").read_text() == "mine"


def test_seeds_run_one_after_another_and_are_averaged(place: Place) -> None:
    ended = place.command("run", "digits-ipc1", "--seeds", "0-1", "--name", "many", "--json", *settings())
    document = json.loads(ended.out)
    assert [run["seed"] for run in document["runs"]] == [0, 1]
    assert [run["run"] for run in document["runs"]] == ["many-seed0", "many-seed1"]
    means = [run["accuracy"]["mean"] for run in document["runs"]]
    assert document["accuracy"]["mean"] == pytest.approx(sum(means) / 2)
    assert document["accuracy"]["std"] == pytest.approx(abs(means[0] - means[1]) / 2**0.5)
    assert document["accuracy"]["runs"] == 2
    assert document["accuracy"]["selected_on"] == "test"
    assert document["last"]["mean"] == pytest.approx(sum(run["last"]["mean"] for run in document["runs"]) / 2)


@pytest.mark.parametrize(("name", "word"), [("mine", "there is a run 'mine-seed1'"), ("../mine", "'../mine-seed0'")])
@pytest.mark.parametrize("how", ["--json", "--detach"])
def test_a_name_that_one_of_several_seeds_cannot_have_is_refused_before_the_first(
    name: str, word: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing follows then, or could be begun by a command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine-seed1").mkdir(parents=True)
    assert main(["run", "digits-ipc1", "--seeds", "0-2", "--name", name, how]) == 2
    err = capsys.readouterr().err
    assert word in err
    assert "follow" not in err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine-seed1"]


@pytest.mark.parametrize(("option", "told"), [((), True), (("--headless",), False), (("--json",), False)])
def test_on_a_terminal_seeds_say_why_no_dashboard_opens(
    option: tuple[str, ...],
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def done(work: object, runs_dir: Path, config: Config, rest: Later | None) -> tuple[dict[str, Any], int, int]:
        return {"state": "done", "run": "r", "accuracy": None}, 0, 0

    monkeypatch.setattr(running, "_headless", done)
    monkeypatch.setattr(running, "_dashboard_possible", lambda: True)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits-ipc1", "--seeds", "0,1,2", *option]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "queue" in line]
    assert len(lines) == told
    assert all(len(line) <= 80 for line in lines)


def test_ctrl_c_at_the_very_end_of_a_run_still_ends_the_series(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is done before it can be stopped; the seeds after it are not begun all the same."""
    begun: list[object] = []

    def done(work: object, runs_dir: Path, config: Config, rest: Later | None) -> tuple[dict[str, Any], int, int]:
        begun.append(work)
        return {"state": "done", "seed": len(begun) - 1, "accuracy": None}, 0, 130 if len(begun) == 2 else 0

    monkeypatch.setattr(running, "_headless", done)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits-ipc1", "--seeds", "0-3", "--json"]) == 130
    out, err = capsys.readouterr()
    assert [run["seed"] for run in json.loads(out)["runs"]] == [0, 1]
    assert "seed 1 was done before it could be stopped; seeds 2-3 do not follow: `mim4dd run digits-ipc1 " in err
    begun.clear()
    assert main(["run", "digits-ipc1", "--seeds", "0-1", "--json"]) == 0, "nothing was left to be stopped"


def test_ctrl_c_stops_with_a_checkpoint_and_resume_completes(place: Place) -> None:
    changes = settings(objective__iterations=100, evaluation__every=100)
    command = [*COMMAND, "run", "digits-ipc1", "--name", "cut", "--json", *changes]
    with begun(command, cwd=place.folder, env=place.env) as process:
        journal = place.folder / "runs" / "cut" / "journal.jsonl"
        while not (journal.exists() and '"iteration":2,' in journal.read_text()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    document = json.loads(out)
    assert document["state"] == "stopped"
    assert 2 <= document["iteration"] < 100
    resumed = place.command("resume", "--latest", "--json")
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out)["run"] == "cut"
    assert json.loads(resumed.out)["state"] == "done"
    assert json.loads(resumed.out)["iteration"] == 100
    assert f"resumed from iteration {document['iteration']}" in resumed.err


def test_a_run_held_by_another_process_ends_with_4(place: Place) -> None:
    begun = place.command("run", "digits-ipc1", "--name", "held", "--json", *settings(information__weight=0))
    assert begun.code == 0
    (place.folder / "runs" / "held" / "result.json").unlink()
    with RunLock(place.folder / "runs" / "held"):
        ended = place.command("resume", "held", "--json")
    assert ended.code == 4
    assert json.loads(ended.out)["kind"] == "RunLocked"
    assert str(os.getpid()) in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["run", "digits-ipc2"], 2, "digits-ipc1"),
        (["run", "nowhere.toml"], 2, "nowhere.toml"),
        (["run", "digits-ipc1", "--set", "network.widht=3"], 2, "network.width"),
        (["run", "digits-ipc1", "--set", "network.width=0"], 2, "network.width"),
        (["run", "digits-ipc1", "--seed", "1", "--seeds", "0-1"], 2, "--seeds"),
        (["run", "digits-ipc1", "--name", "../out"], 2, "../out"),
        (["run", "digits-ipc1", "--device", "tpu"], 2, "mim4dd: --device: 'tpu'"),
        (["resume"], 2, "--latest"),
        (["show", "nothing-here"], 3, "nothing-here"),
        (["show", "some/where"], 3, "some/where"),
        (["evaluate", "gone.safetensors"], 3, "gone.safetensors"),
        (["export", "nothing-here"], 3, "nothing-here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_named_with_their_exit_code(
    arguments: list[str], code: int, word: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_distilled_set_is_told_from_a_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("# Mine\n")
    for target in ("README.md", "./README.md", str(tmp_path / "README.md")):
        assert main(["evaluate", target]) == 3
        assert f"{target} is a file, but does not end in .safetensors" in capsys.readouterr().err
    Path("bets.safetensors").write_bytes(b"")
    assert main(["evaluate", "best.safetensors"]) == 3
    assert "did you mean bets.safetensors?" in capsys.readouterr().err
    Path("first").write_text("a file of a run's name")
    runs = place.folder / "runs"
    assert artifact_path(runs, "first", None) == runs / "first" / "distilled" / "best.safetensors"


def test_on_a_terminal_run_and_resume_open_the_dashboard(
    place: Place, monkeypatch: pytest.MonkeyPatch, opened: list[dict[str, Any]]
) -> None:
    monkeypatch.chdir(place.folder)
    assert main(["run", "digits-ipc1", "--set", "network.width=4", "--seed", "3", "--device", "cpu"]) == 7
    assert opened[0]["preset"] == "digits-ipc1"
    assert opened[0]["autostart"] is True
    assert list(opened[0]["overrides"]) == ["network.width=4", "execution.device=cpu", "seed=3"]
    assert opened[0]["runs_dir"] == Path("runs")
    assert main(["resume", "first", "--graphics", "kitty"]) == 7
    assert (opened[0]["graphics"], opened[1]["graphics"]) == (None, Graphics.KITTY)
    assert opened[1]["attach"] == place.folder / "runs" / "first"
    assert opened[1]["autostart"] is False, "it is done"
    assert opened[1]["notice"] == "first is done: there is nothing to resume (I lengthens it)"
    status = place.folder / "runs" / "first" / "status.json"
    before = status.read_text()
    status.write_text(before.replace('"done"', '"stopped"'))
    assert main(["resume", "first"]) == 7
    assert (opened[2]["autostart"], opened[2]["notice"]) == (True, "")
    write_json(status, {**(read_json_object(status) or {}), "state": "failed", "diverged": True})
    assert main(["resume", "first"]) == 7
    assert opened[3]["autostart"] is False
    assert "not resumed: as it is, it would fail again" in opened[3]["notice"]
    status.write_text(before)
    assert main(["run", "digits-ipc1", "--set", "network.width=-4"]) == 2  # refused before anything opens
    assert len(opened) == 4


def test_a_torch_that_does_not_load_is_told_in_a_sentence(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for arguments in (["run", "digits-ipc1"], ["evaluate", "first"], ["export", "first", "-o", "other.npz"]):
        ended = place.command(*arguments)
        assert ended.code == 1
        assert "mim4dd doctor" in ended.err
        assert "Traceback" not in ended.err


def test_the_shell_completes_presets_and_runs(place: Place) -> None:
    for words, expected in (("mim4dd run dig", "digits-ipc1"), ("mim4dd show fir", "first")):
        asked = {"_MIM4DD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        ended = mim4dd(cwd=place.folder, env=place.env | asked)
        found = ended.out.split()
        assert expected in found
        assert all(name.startswith(words.split()[-1]) for name in found)


def test_a_run_that_is_done_has_not_failed_where_nothing_takes_its_report(place: Place) -> None:
    command = [*COMMAND, "run", "digits-ipc1", "--headless", *settings()]
    for name, how in (("shut", ">&-"), ("mute", "2>&-"), ("full", ">/dev/full")):
        shell = ["/bin/sh", "-c", f'exec "$@" {how}', "sh", *command, "--name", name]
        done = begun(shell, cwd=place.folder, env=place.env)
        _, err = done.communicate(timeout=120)
        assert done.returncode == 0, err
        assert json.loads((place.folder / "runs" / name / "result.json").read_text())["state"] == "done"
        if name != "mute":
            assert "standard output cannot be written" in err.splitlines()[-1]
            assert "met a bug" not in err
    exported = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "export", "shut"]
    assert begun(exported, cwd=place.folder, env=place.env).wait(120) == 0


def test_a_detached_run_that_was_begun_has_not_failed_where_nothing_takes_its_name(place: Place) -> None:
    words = [*COMMAND, "run", "digits-ipc1", "--detach", "--name", "off", *settings()]
    shell = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words]
    assert begun(shell, cwd=place.folder, env=place.env).wait(120) == 0
    path = place.folder / "runs" / "off" / "status.json"
    end = time.monotonic() + 60
    while json.loads(path.read_text())["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_run_of_a_file_says_which_and_what_that_extends(place: Place) -> None:
    (place.folder / "c10.toml").write_text('extends = "digits-ipc1"\n')
    made = place.command("run", "c10.toml", "--json", *settings())
    document = json.loads(made.out)
    assert document["preset"] == "c10.toml on digits-ipc1"
    assert document["run"].startswith("c10-s0-")
    assert "(preset c10.toml on digits-ipc1, seed 0)" in made.err
    assert "c10.toml on digits-ipc1" in place.command("show", document["run"]).out
    again = place.command("run", f"runs/{document['run']}/config.toml", "--json", *settings())
    assert json.loads(again.out)["run"].startswith("digits-s0-"), "the name of a run's own file says nothing"


def test_a_run_that_diverged_is_not_resumed_without_a_word(place: Place) -> None:
    failed = place.command("run", "digits-ipc1", "--name", "fast", "--json", *settings(objective__pixel_rate=1e9))
    assert failed.code == 1, failed.out
    told = "Changed: objective.pixel_rate 1e+09 (preset: 100.0)"
    assert told in json.loads(failed.out)["error"]
    assert told in " ".join(place.command("show", "fast").out.split())
    again = place.command("resume", "fast", "--json")
    assert again.code == 1
    assert "fast diverged: as it is, it would fail again" in again.err
    used = place.command("export", "fast", "--format", "npz", "-o", str(place.folder / "fast.npz"))
    assert used.code == 0, used.err
    assert "fast failed: this is what it had come to at iteration 0" in used.err
    assert "failed" not in place.command("export", "first", "-o", str(place.folder / "first.npz")).err
