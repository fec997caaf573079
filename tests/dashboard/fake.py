"""A scripted engine: writes a real run folder and emits realistic events, obeying the control, without torch."""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import MimError, RunDiverged
from engine.events import (
    CheckpointWritten,
    Evaluation,
    Event,
    ExpertEpoch,
    Iteration,
    Notice,
    Observer,
    Phase,
    Progress,
    RunEnded,
    RunStarted,
    Snapshot,
    StateChanged,
)
from engine.runs.control import Control, StopRequested
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.status import StatusWriter
from mim4dd_tui.dashboard.session import Order


def digits(sharpness: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Ten 8x8 digits of scikit-learn's kind, out of noise the less sharp they are; uint8 [10, 8, 8, 1]."""
    strokes = (
        "0e11131519110e", "040c040404040e", "0e11010204081f", "1f02040201110e", "02060a121f0202",
        "1f101e0101110e", "0608101e11110e", "1f010204080808", "0e11110e11110e", "0e11110f01020c",
    )  # fmt: skip
    out = np.zeros((10, 8, 8, 1), dtype=np.float64)
    for number, text in enumerate(strokes):
        for row, line in enumerate(bytes.fromhex(text)):
            for column in range(5):
                if line >> (4 - column) & 1:
                    out[number, row, column + 1, 0] = 1.0
    noise = np.random.default_rng(0).random(out.shape)
    return (255 * (sharpness * out + (1 - sharpness) * noise)).astype(np.uint8)


@dataclass
class FakeEngine:
    """Call it as a launch. ``delay`` is slept at every iteration; ``fail_at`` raises there."""

    iterations: int = 60
    delay: float = 0.0
    fail_at: int | None = None
    error: type[BaseException] = MimError
    epochs: int = 4
    experts: int = 2
    hold: bool = False  # after the last iteration go on ticking until stopped
    full: bool = False  # the disk refuses checkpoints that are asked for

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if order.resume is not None:
            folder = RunFolder.open(order.resume)
        else:
            assert order.config is not None
            folder = RunFolder.create(
                order.runs_dir, order.name, order.config, preset=order.preset, origins=dict(order.origins)
            )
        resumed = order.resume is not None and folder.journal_path.exists()
        return _FakeRun(self, folder, observer, control).go(resumed=resumed)


class _FakeRun:
    def __init__(self, script: FakeEngine, folder: RunFolder, observer: Observer, control: Control) -> None:
        self.script, self.folder, self.observer, self.control = script, folder, observer, control
        self.journal = JournalWriter(folder.journal_path)
        self.status = StatusWriter(folder.path)
        control.watch(
            folder.control_path,
            on_pause=lambda: self.say(StateChanged("paused", "paused on request")),
            on_resume=lambda: self.say(StateChanged("running")),
        )

    def say(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self.journal.append(event)
        self.status.hear(event)
        self.observer(event)

    def end(self, state: str, message: str, *, diverged: bool = False) -> dict[str, Any]:
        self.say(StateChanged(state, message))
        result = {"run": self.folder.name, "state": state}
        self.say(RunEnded(state, message, result, diverged))
        self.folder.write_result(result)
        return result

    def go(self, *, resumed: bool) -> dict[str, Any]:
        try:
            self.begin(resumed)
            if not resumed:
                self.train_experts()
            self.baselines()
            self.distill(20 if resumed else 0)
            while self.script.hold:
                self.control.tick()
                time.sleep(0.01)
            self.say(Phase("evaluate", total=1))
            self.evaluation("best", self.script.iterations, 0.872)
            return self.end("done", "")
        except StopRequested:
            return self.end("stopped", "stopped on request")
        except BaseException as error:
            self.end("failed", str(error), diverged=isinstance(error, RunDiverged))
            raise
        finally:
            self.control.unwatch()
            self.journal.close()

    def begin(self, resumed: bool) -> None:
        config = self.folder.config()
        self.say(
            RunStarted(
                run=self.folder.name,
                preset=self.folder.preset(),
                seed=config.seed,
                classes=10,
                iterations=self.script.iterations,
                host=socket.gethostname(),
                pid=os.getpid(),
                version="0",
                execution={"device": "cpu", "threads": 2, "precision": "float32"},
                resumed_from=20 if resumed else None,
                after_sequence=10_000 if resumed else None,
            )
        )
        self.say(StateChanged("running"))

    def train_experts(self) -> None:
        script = self.script
        self.say(Phase("experts", total=script.experts * script.epochs))
        for expert in range(script.experts):
            for epoch in range(1, script.epochs + 1):
                self.control.tick()
                last = epoch == script.epochs
                loss = 2.3 * math.exp(-epoch / 3)
                self.say(
                    ExpertEpoch(
                        expert, script.experts, epoch, script.epochs, loss, 1 - loss / 3, 0.97 if last else None, 0.1
                    )
                )

    def evaluation(self, subject: str, iteration: int, mean: float, *, best: bool = False) -> None:
        spread = 0.012
        self.say(
            Evaluation(
                iteration,
                subject,
                "quick-100",
                mean,
                spread,
                [mean - spread, mean + spread],
                "none" if "_" in subject else "test",
                "test",
                1.0,
                best,
            )
        )

    def baselines(self) -> None:
        self.evaluation("full_set", 0, 0.971)
        self.evaluation("random_selection", 0, 0.553)

    def distill(self, after: int) -> None:
        script, draw = self.script, np.random.default_rng(1)
        self.say(Phase("distill", total=script.iterations))
        if not after:
            self.snapshot(0, 0.0)
        for i in range(after + 1, script.iterations + 1):
            self.control.tick()
            if i == script.fail_at:
                raise script.error("the loss is not a number at iteration 30: lower objective.pixel_rate")
            if script.delay:
                time.sleep(script.delay)
            along = i / script.iterations
            self.iteration(i, along, draw)
            if i % 10 == 0 or i == 1:
                self.snapshot(i, along)
            if i % 10 == 0:
                self.evaluation("live", i, 0.4 + 0.47 * (1 - math.exp(-3 * along)), best=True)
            if self.control.take("evaluate"):
                self.evaluation("request", i, 0.5)
            asked = self.control.take("checkpoint")
            if asked and script.full:
                self.say(Notice("warning", f"no checkpoint was written at iteration {i}: full", refused="checkpoint"))
            elif asked or i == 20:
                (self.folder.checkpoints / f"000000-{i:08d}.safetensors").touch()
                self.say(CheckpointWritten(i, f"checkpoints/000000-{i:08d}.safetensors", 0.01))
            if i == 15:
                self.say(Notice("warning", "the bound stands at chance: raise information.weight"))

    def iteration(self, i: int, along: float, draw: np.random.Generator) -> None:
        noise = draw.standard_normal(4)
        objective = 0.35 + 0.65 * math.exp(-4 * along) + 0.02 * noise[0]
        bound = 2.0 * (1 - math.exp(-4 * along)) + 0.03 * noise[2]
        self.say(
            Iteration(
                iteration=i,
                objective=math.nan if i == 33 else objective,
                nce=5.5 - 2.5 * (1 - math.exp(-3 * along)) + 0.1 * noise[1],
                bound=bound if i % 5 == 0 else None,
                ceiling=math.log(10) if i % 5 == 0 else None,
                bounds=[bound - 0.4, bound] if i % 5 == 0 else None,
                gradient_norm=0.1,
                gradient_ratio=0.8 + 0.05 * noise[3],
                step_size=0.05 * (1 - 0.3 * along),
                seconds=0.11 + 0.01 * abs(noise[0]),
                memory=612.0,
            )
        )

    def snapshot(self, i: int, along: float) -> None:
        path: Path = self.folder.snapshot_path(i).with_suffix(".npy")
        path.parent.mkdir(exist_ok=True)
        np.save(path, digits(min(1.0, 0.1 + along)))
        self.say(Snapshot(i, self.folder.relative(path), 10, 1, "clipped"))
