"""A job script as a batch system runs it: warned with SIGUSR1, requeued, and taken up by ``resume --latest``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import begun
from tests.reach.places import Camp, options, until

SCRIPT = """#!/bin/sh
# Takes up what an earlier allocation left; begins where there is nothing. `exec` lets the warning reach the run.
if [ -d runs ]; then
    exec {python} -m mim4dd_tui resume --latest --headless --json
fi
exec {python} -m mim4dd_tui run digits-ipc1 --headless --json {options}
"""
STEADY = ("accuracy", "fingerprint", "mutual_information", "iteration", "state")


def job(camp: Camp) -> subprocess.Popen[str]:
    return begun(["/bin/sh", str(camp.path / "job.sh")], cwd=camp.path, env=camp.env, session=True)


def prepared(path: Path, iterations: int) -> Camp:
    path.mkdir(exist_ok=True)
    settings = options(
        objective__iterations=iterations,
        evaluation__every=iterations // 2,
        information__readout_every=1,
        execution__checkpoint_every=10_000,
    )
    (path / "job.sh").write_text(SCRIPT.format(python=sys.executable, options=" ".join(settings)))
    return Camp(path)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document | {"code": process.returncode}


@pytest.mark.long
def test_a_requeued_job_ends_in_the_result_of_one_never_interrupted(tmp_path: Path) -> None:
    iterations = 1500
    whole = ended(job(prepared(tmp_path / "whole", iterations)))
    assert (whole["code"], whole["state"]) == (0, "done")
    camp, seen, warned = prepared(tmp_path / "requeued", iterations), 0, []
    for number in (signal.SIGUSR1, signal.SIGTERM):  # a warning, then a preemption
        process = job(camp)
        until(partial(_journaled, camp, seen + 50), "iterations are made")
        os.kill(process.pid, number)
        document = ended(process)
        assert document["code"] == 128 + number, "a script can tell it from success and from failure"
        assert document["state"] == "stopped"
        assert document["iteration"] > seen
        seen = document["iteration"]
        warned.append(seen)
    last = ended(job(camp))
    assert (last["code"], last["state"]) == (0, "done")
    assert {key: last[key] for key in STEADY} == {key: whole[key] for key in STEADY}
    assert warned[0] < warned[1] < iterations


def _journaled(camp: Camp, iteration: int) -> bool:
    for journal in camp.path.glob("runs/*/journal.jsonl"):
        return f'"kind":"iteration","iteration":{iteration},' in journal.read_text()
    return False
