"""``evaluate`` and ``export``: using a distilled set after its run."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engine.errors import DataError
from engine.files import expanded, no_file
from engine.runs.called import called
from mim4dd_tui.cli.beside import beside
from mim4dd_tui.cli.failures import UsageError, require_torch
from mim4dd_tui.cli.options import (
    DataDir,
    Device,
    Json,
    Latest,
    RunsDir,
    chosen_run,
    complete_run,
    data_dir_of,
    locate,
    runs_dir_of,
)
from mim4dd_tui.cli.output import pairs, reporting, say, write_json
from mim4dd_tui.cli.summary import CHOSEN, STARTED_FROM
from mim4dd_tui.cli.summary import score as score_text
from mim4dd_tui.fitting import wrapped
from mim4dd_tui.plain import tell
from mim4dd_tui.terminal import columns

if TYPE_CHECKING:
    from engine.artifact import DistilledSet

Format = Literal["safetensors", "npz", "png", "folder", "pt"]
Which = Literal["best", "last"]

Target = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="A run's name, its folder's path, or a distilled set (.safetensors).",
        autocompletion=complete_run,
    ),
]
WhichOption = Annotated[
    Which | None, typer.Option("--which", help="Of a run: the best iterate, or the last one. Default: best.")
]


def evaluate(
    target: Target = None,
    latest: Latest = False,
    which: WhichOption = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="mtt-1000, paper-300, quick-100, bptt-300 or dream-1000 (`mim4dd protocols`). Default: the set's own.",
        ),
    ] = None,
    networks: Annotated[
        int | None, typer.Option("--networks", metavar="N", min=1, help="How many. Default: as many as the run's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of the networks. Default: the run's.")
    ] = None,
    runs_dir: RunsDir = None,
    data_dir: DataDir = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Train new networks on a distilled set and measure them on the real test images."""
    runs = runs_dir_of(runs_dir)
    data = data_dir_of(data_dir)
    path = artifact_path(runs, chosen_run(target, latest, "evaluate", runs), which)
    require_torch()
    from engine.reuse import config_of, judge

    item = _load(path)
    _tell_of_failure(path, item)
    _tell_of_start(path, item)
    judged = judge(
        item,
        protocol=protocol,
        networks=networks,
        seed=seed,
        device=device,
        data_dir=data,
        progress=_counted(),
        tell=tell,
    )
    score = judged.score
    known = beside(path, config_of(item), score.protocol)
    document: dict[str, Any] = {
        "artifact": path,
        "fingerprint": item.fingerprint(),
        "run": item.provenance.get("run"),
        "iteration": item.provenance.get("iteration"),
        "accuracy": {
            "mean": score.mean,
            "std": score.std,
            "networks": len(score.accuracies),
            "accuracies": list(score.accuracies),
            "protocol": score.protocol,
            "measured_on": score.measured_on,
            **({} if score.step_size is None else {"step_size": score.step_size}),
        },
        **known,
        "device": judged.device,
        "seconds": score.seconds,
    }
    if as_json:
        write_json(document)
    else:
        pairs(_lines(document))


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    """An accuracy, on which images its iterate was chosen, and what it is to be read beside."""

    on, said = document["selected_on"], {document.get("selected_on_reason")}

    def known(key: str) -> str:
        reason = str(document.get(f"{key}_reason", ""))
        once = "" if reason in said else reason
        said.add(reason)
        return score_text(document[key], once, real=key == "random_selection")

    chosen = ("chosen", document["selected_on_reason"]) if on is None else ("", CHOSEN[on])
    if on == "none":  # of a run that can go on: it may not be the last
        chosen = ("chosen", "by no images: the last iterate written")
    return [
        ("distilled set", str(document["artifact"])),
        ("accuracy", score_text({**document["accuracy"], "iteration": document["iteration"]}, of_iterate=True)),
        chosen,
        ("random real images", known("random_selection")),
        ("full set", known("full_set")),
    ]


def _counted() -> Callable[[int, int], None]:
    """Says of how many networks are trained, each count once: it is called after every epoch."""
    said = -1

    def hear(done: int, of: int) -> None:
        nonlocal said
        if done != said:
            said = done
            tell(f"  network {done}/{of}")

    return hear


def protocols(as_json: Json = False) -> None:
    """How networks are trained to measure a distilled set, by the names of the protocols."""
    from engine.evaluation.protocols import PROTOCOLS

    if as_json:
        write_json([dataclasses.asdict(protocol) for protocol in PROTOCOLS.values()])
        return
    for protocol in PROTOCOLS.values():
        say(protocol.name)
        for line in (protocol.told(), f"source: {protocol.source}"):
            for part in wrapped(line, (columns(sys.stdout) or 120) - 2):
                say(f"  {part}")


def export(
    target: Target = None,
    latest: Latest = False,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Default: what --output ends in, a folder where it has no ending; npz without --output. safetensors "
            "is read by load_artifact on any machine; folder and png are pictures.",
        ),
    ] = None,
    place: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Default: named after the run, in this folder."),
    ] = None,
    which: WhichOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there; never a folder.")] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Write a distilled set to be passed on: one whole file (safetensors), npz, a PNG grid or folder, or .pt."""
    runs = runs_dir_of(runs_dir)
    path = artifact_path(runs, chosen_run(target, latest, "export", runs), which)
    chosen = _format_of(place, kind)
    if place is None:
        stem = path.stem if path.stem not in ("best", "last") else f"{path.parent.parent.name}-{path.stem}"
        place = Path(stem if chosen == "folder" else f"{stem}.{chosen}")
    if os.path.lexists(place):
        _require_replaceable(place, chosen, force=force, asked=kind is not None)
    require_torch()
    from engine.export import export as write

    item = _load(path)
    _tell_of_failure(path, item)
    _tell_of_start(path, item)
    written = write(item, place.absolute(), chosen)
    document = {
        "artifact": path,
        "fingerprint": item.fingerprint(),
        "format": chosen,
        "path": written,
        "images": len(item),
        "classes": item.classes,
    }
    with reporting():
        if as_json:
            write_json(document)
        else:
            pairs([("exported", str(written))])


def _require_replaceable(place: Path, chosen: Format, *, force: bool, asked: bool) -> None:
    """What is there may be replaced: a plain file by a file, where that is asked for.

    Args:
        asked: the format was named, and not told by the ending.

    Raises:
        UsageError: it may not, and what to do.
    """
    there, other = f"{place} exists already", "choose another --output"
    if place.is_dir():
        raise UsageError(f"{there}, and is a folder: {other}")
    if special := no_file(place):
        raise UsageError(f"{special}: {other}")
    if chosen == "folder":
        ending = "" if asked else f"; without an ending {place} is to be a folder of pictures (see --format)"
        raise UsageError(f"{there}: {other}{ending}")
    if not force:
        raise UsageError(f"{there}: {other}, or replace it with --force")


def artifact_path(runs_dir: Path, target: str, which: Which | None) -> Path:
    """The distilled set that a word names: a file, or a run's best (the default) or last one.

    Raises:
        UsageError: one of a run's sets is asked for where a file is named.
        ConfigError: the run's name is unsafe.
        DataError: there is no such run or file, or the run has no distilled set yet, or the file is none.
    """
    if target.endswith(".safetensors"):
        path = expanded(target)
        if not path.is_file():
            from engine.config.fields import nearest

            beside = sorted(str(other) for other in path.parent.glob("*.safetensors"))
            close = nearest(str(path), beside)
            raise DataError(f"there is no file {path}{f'; did you mean {close}?' if close else ''}")
        if which is not None:
            raise UsageError(f"--which {which} chooses a set of a run, and {path} is one set: leave --which out")
        return path.absolute()
    if os.path.isfile(target) and not (runs_dir / target).is_dir():  # noqa: PTH113 - never an error
        raise DataError(
            f"{target} is a file, but does not end in .safetensors, as distilled sets do that are read here (rename it "
            "if it is one; exports in other formats are for other programs)"
        )
    folder = locate(runs_dir, target)
    path = folder.distilled_path(which or "best")
    if not path.is_file():
        status, shown = folder.status(), f"`mim4dd show {called(folder.path)}`"
        if status is not None and status.effective_state() in ("failed", "stopped"):
            raise DataError(
                f"run {folder.name} has no distilled set: it {status.effective_state()} before its first checkpoint "
                f"({shown} says why)"
            )
        raise DataError(
            f"run {folder.name} has no distilled set yet: the first comes with the first checkpoint "
            f"({shown} says how far it is)"
        )
    return path


def _format_of(place: Path | None, kind: Format | None) -> Format:
    """The format asked for, else the one that the ending of the place says; they must not contradict each other."""
    if place is None:
        return kind or "npz"
    by_ending: dict[str, Format] = {".safetensors": "safetensors", ".npz": "npz", ".png": "png", ".pt": "pt"}
    said = by_ending.get(place.suffix.lower())
    if kind is None and said is None and place.suffix:
        raise UsageError(f"--output {place}: say which --format it is to be: safetensors, npz, png, folder or pt")
    if kind is not None and said is not None and kind != said:
        raise UsageError(f"--output {place} ends as {said} does, and --format is {kind}: leave one of them out")
    return kind or said or "folder"


def _load(path: Path) -> DistilledSet:
    from engine.artifact import load_artifact

    return load_artifact(path)


def _tell_of_failure(path: Path, item: DistilledSet) -> None:
    """Of a run that failed, what is used is what it had come to."""
    from engine.runs.folder import RunFolder

    folder = RunFolder(path.parent.parent)
    status = folder.status() if folder.exists else None
    if status is not None and status.effective_state() == "failed":
        tell(f"{folder.name} failed: this is what it had come to at iteration {item.provenance.get('iteration')}")


def _tell_of_start(path: Path, item: DistilledSet) -> None:
    """Where no later iterate was found better, or none was measured yet, the best is what distillation started from."""
    from engine.runs.folder import RunFolder

    if item.provenance.get("iteration") == 0:
        beside_it = path.parts[-2:] == ("distilled", "best.safetensors")
        later = RunFolder(path.parent.parent).held("last") if beside_it else None
        last = f"; last.safetensors beside it (--which last) is of iteration {later}" if later else ""
        tell(f"this set is of iteration 0{STARTED_FROM}{last}")
