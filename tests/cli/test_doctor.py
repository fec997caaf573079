"""``doctor``: what it sees, and what it says of a broken pair of torch and torchvision."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine import doctor
from mim4dd_tui.__main__ import main
from mim4dd_tui.dashboard.remembered import Remembered

HEALTHY: dict[str, Any] = {
    "torch": "2.15.0+cpu", "cuda_build": None, "cpu": "AVX512", "amx": False, "mps": False,
    "cuda": [], "torchvision": "0.29.2+cpu",
}  # fmt: skip


def test_a_healthy_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "All is well." in out
    assert "FAIL" not in out
    assert "CPU only" in out
    assert "TERM" in out
    assert "digits" in out


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"ascii": True, "ascii_here": "xterm"}, "ascii, as chosen in the dashboard (a)"),
        ({"graphics": "sixel", "graphics_here": "xterm"}, "sixel, as chosen in the dashboard (P)"),
        ({"ascii": True, "ascii_here": "vt220"}, "half-blocks\n"),
    ],
)
def test_pictures_are_told_as_they_were_chosen_for_this_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("TMUX", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    Remembered(**kept).save()
    assert main(["doctor"]) == 0
    assert told in capsys.readouterr().out


def test_the_threads_are_those_that_a_run_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not torch's own number, which OMP_NUM_THREADS decides and no run asks for."""
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(doctor, "cores", lambda: 2)
    for known, told in ((4, "4 cores"), (None, "2 cores")):
        monkeypatch.setattr("os.cpu_count", lambda known=known: known)
        assert main(["doctor"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert f"a run takes 2 threads of {told}, 1 for small networks; AVX512" in said


def test_what_there_is_one_of_is_written_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    monkeypatch.setattr(doctor, "cores", lambda: 1)
    monkeypatch.setattr(doctor, "data_sets", lambda _dir: [doctor.Check("data", "svhn", "warning", doctor.MISSING)])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "a run takes 1 thread of 2 cores; AVX512" in out
    assert "svhn: downloaded when a run needs it" in out


def test_a_cpu_torch_with_a_cuda_torchvision_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {key: value for key, value in HEALTHY.items() if key != "torchvision"}
    broken["torchvision_error"] = "RuntimeError: operator torchvision::nms does not exist"
    monkeypatch.setattr(doctor, "probe", lambda: broken)
    assert main(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is False
    (failed,) = [check for check in document["checks"] if check["state"] == "problem"]
    assert failed["name"] == "torchvision"
    assert "do not belong together" in failed["detail"]
    assert "pip install --force-reinstall torch torchvision" in failed["advice"]


def test_a_torch_that_does_not_import_is_a_problem() -> None:
    (check,) = doctor.torch_checks({"torch_error": "OSError: libcudart.so.13: cannot open"})
    assert check.state == "problem"
    assert "libcudart" in check.detail
    assert "pip install" in check.advice


def test_gpus_are_listed_and_a_hidden_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = {"name": "H100", "memory_mib": 80_000, "capability": "9.0", "bfloat16": True}
    checks = doctor.torch_checks(HEALTHY | {"cuda_build": "13.0", "cuda": [gpu]})
    (found,) = [check for check in checks if check.name == "cuda:0"]
    assert "H100, 80000 MiB, capability 9.0; float32, mixed" in found.detail
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    hidden = doctor.torch_checks(HEALTHY | {"cuda_build": "13.0"})
    assert [check.state for check in hidden if check.name == "cuda"] == ["warning"]


def test_the_probe_looks_at_this_environments_torch() -> None:
    import importlib.metadata

    found = doctor.probe()
    assert found["torch"].partition("+")[0] == importlib.metadata.version("torch").partition("+")[0]
    assert "torchvision" in found
    assert found["cpu"]


def test_a_damaged_data_set_is_not_called_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    monkeypatch.setattr(doctor, "CLASSES", ["svhn"])
    (tmp_path / "svhn").mkdir()
    for name in ("train_32x32.mat", "test_32x32.mat"):
        (tmp_path / "svhn" / name).write_bytes(b"cut off")
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0, "other sets can be distilled"
    out = capsys.readouterr().out
    assert "note svhn" in out
    assert "svhn: not the published files; no run takes it" in out
    assert "train_32x32.mat: is corrupted or not the published file" in out
    assert "downloaded when a run needs it" not in out
    monkeypatch.setenv("MIM4DD_UNOFFICIAL", "mnist, svhn")
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0
    assert "taken all the same, as MIM4DD_UNOFFICIAL says" in capsys.readouterr().out


def test_data_sets_are_found_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "fault", lambda *_: None)
    states = {check.name: check.state for check in doctor.data_sets(tmp_path)}
    assert states == {
        "digits": "ok",
        "mnist": "warning",
        "svhn": "warning",
        "cifar10": "warning",
        "cifar100": "warning",
    }
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").touch()
    assert {check.name: check.state for check in doctor.data_sets(tmp_path)}["mnist"] == "ok"


def test_every_package_that_is_needed_is_looked_for() -> None:
    root = Path(doctor.__file__).resolve().parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(doctor.PACKAGES) == [re.split(r"[><=~]", needed)[0] for needed in project["dependencies"]]


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package-at-all"))
    states = {check.name: check.state for check in doctor.packages()}
    assert states == {"python": "ok", "numpy": "ok", "no-such-package-at-all": "problem"}


def test_on_a_terminal_lines_are_broken_between_words_and_paths_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "probe", lambda: HEALTHY)
    monkeypatch.setattr("mim4dd_tui.cli.doctor.columns", lambda _stream: 60)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cpu = next(i for i, line in enumerate(lines) if line.startswith("  ok   cpu "))
    assert lines[cpu + 1].startswith(" " * 21), "what a run takes is longer than a line"
    assert not [line for line in lines if len(line) > 60 and "/" not in line and "--data-dir" not in line]
    digits = next(line for line in lines if line.startswith("  ok   digits "))
    assert digits.endswith("digits.csv.gz")


def test_what_a_library_says_as_the_probe_ends_does_not_hide_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(text: str) -> None:
        done = subprocess.CompletedProcess[str]([], 3, stdout=text, stderr="Aborted")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    answers('\n{"torch": "2.15.0"}\n0\nbye\n')
    assert doctor.probe() == {"torch": "2.15.0"}
    answers("0\n")
    assert doctor.probe() == {"torch_error": "the import ended with exit code 3: Aborted"}
