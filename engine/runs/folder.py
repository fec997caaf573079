"""The run folder: where everything of one run lies, how it is made and found."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from engine.config.elsewhere import readable
from engine.config.load import load_config
from engine.config.presets import stem
from engine.config.schema import Config
from engine.errors import ConfigError, DataError
from engine.files import creating_folder, private_folder, read_json_object, write_bytes, write_json
from engine.runs.called import option
from engine.runs.naming import check_name, taken
from engine.runs.status import Status

LATEST = "--latest"
CONFIG = "config.toml"
FORMAT = 1
NEAR = 3
"""Most runs that are named in place of a wrong name."""


@dataclass(frozen=True, slots=True)
class About:
    """Where a run came from (``run.json``): a preset, or a file as :func:`engine.config.presets.of_file` has it.

    ``origins`` says of every setting which file or option set it."""

    run: str
    preset: str | None = None
    seed: int = 0
    created: float = 0.0
    origins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run. Making the object touches no disk: use :meth:`create` or :meth:`open`."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.path.name

    @property
    def config_path(self) -> Path:
        """The resolved configuration: enough to run it again."""
        return self.path / CONFIG

    @property
    def exists(self) -> bool:
        """Whether a run lies here; one that the system does not let this user look at counts as none."""
        try:
            return self.config_path.is_file()
        except OSError:
            return False

    @property
    def about_path(self) -> Path:
        """Preset, seed, creation time, origin of every setting."""
        return self.path / "run.json"

    @property
    def journal_path(self) -> Path:
        """Append-only events."""
        return self.path / "journal.jsonl"

    @property
    def status_path(self) -> Path:
        """State, process, heartbeat, progress."""
        return self.path / "status.json"

    @property
    def result_path(self) -> Path:
        """The result document, once the run ended by itself."""
        return self.path / "result.json"

    @property
    def lock_path(self) -> Path:
        """Held by the process that works on the run."""
        return self.path / "lock"

    @property
    def checkpoints(self) -> Path:
        """The newest checkpoints."""
        return self.path / "checkpoints"

    @property
    def distilled(self) -> Path:
        """Best and last distilled set."""
        return self.path / "distilled"

    @property
    def snapshots(self) -> Path:
        """Pictures of the synthetic set while it is made."""
        return self.path / "snapshots"

    @property
    def control_path(self) -> Path:
        """Requests from other processes."""
        return self.path / "control"

    @property
    def execution_path(self) -> Path:
        """How the run computes, resolved when it began."""
        return self.path / "execution.json"

    @property
    def output_path(self) -> Path:
        """What was printed where no terminal showed it."""
        return self.path / "output.log"

    def distilled_path(self, which: str = "best") -> Path:
        """Path of the "best" or "last" distilled set, there or not."""
        return self.distilled / f"{which}.safetensors"

    def snapshot_path(self, iteration: int) -> Path:
        """Path of the raw pixels (npy) of an iteration's picture."""
        return self.snapshots / f"{iteration:08d}.npy"

    @staticmethod
    def create(
        runs_dir: Path,
        name: str | None,
        config: Config,
        *,
        preset: str | None = None,
        origins: Mapping[str, str] | None = None,
        execution: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Makes the folder of a new run, in one step and private to the user; its state is "queued".

        Without a name it gets one from preset (or data set), seed and time. ``execution`` is how the run computes:
        given here it is there as soon as the folder is, and a kill leaves no run that cannot be taken up.

        Raises:
            ConfigError: the name is unsafe or taken.
            RunFailed: the disk is full, read-only or failing.
        """
        created = time.time()
        wanted = check_name(name) if name is not None else _default_name(config, preset, created)
        private_folder(runs_dir)
        for attempt in range(1, 1000):
            chosen = wanted if attempt == 1 else f"{wanted}-{attempt}"
            about = About(chosen, preset, config.seed, created, dict(origins or {}))
            try:
                with creating_folder(runs_dir / chosen) as aside:
                    _fill(RunFolder(aside), config, about)
                    if execution is not None:
                        RunFolder(aside).write_execution(execution)
            except FileExistsError:
                if name is not None:
                    break
            else:
                return RunFolder(runs_dir / chosen)
        raise taken(runs_dir, wanted)

    @staticmethod
    def open(path: Path) -> RunFolder:
        """The run in an existing folder.

        Raises:
            DataError: it is not there, or is not a run folder.
        """
        folder = RunFolder(Path(path).absolute())
        try:
            if not folder.path.is_dir():
                meant = _meant(folder.path.parent, folder.name, lambda name: str(Path(path).with_name(name)))
                raise DataError(f"there is no run folder {str(path)!r}{meant}")
            if not folder.config_path.is_file():
                raise DataError(f"{str(path)!r} is not a run folder: it has no config.toml")
        except OSError as error:  # a name too long, a network file system that is gone
            raise DataError(f"there is no run folder {str(path)[:200]!r}: {error.strerror}") from None
        return folder

    def config(self) -> Config:
        """The run's configuration.

        Raises:
            DataError: config.toml is missing or cannot be read.
            ConfigError: it was changed into something that is not valid; names the key.
        """
        try:
            with self.config_path.open("rb"):
                pass
        except OSError as error:
            raise DataError(f"cannot read {self.config_path}: {error.strerror}") from error
        return load_config(self.config_path)

    def settings(self) -> Config:
        """As :meth:`config`, for reading alone: also of a run whose method is not known here.

        Raises:
            DataError, ConfigError: as there.
        """
        try:
            return self.config()
        except ConfigError as error:
            try:
                return readable(tomli.loads(self.config_path.read_text(encoding="utf-8")))
            except (OSError, ValueError):  # a validation error is a ValueError
                raise error from None

    def about(self) -> About:
        """Where the run came from; as much as config.toml says where run.json is damaged."""
        values = read_json_object(self.about_path) or {}
        preset, created, origins = values.get("preset"), values.get("created"), values.get("origins")
        return About(
            run=self.name,
            preset=preset if isinstance(preset, str) else None,
            seed=seed if isinstance(seed := values.get("seed"), int) else self.settings().seed,
            created=float(created) if isinstance(created, (int, float)) else 0.0,
            origins={str(k): str(v) for k, v in origins.items()} if isinstance(origins, dict) else {},
        )

    def status(self) -> Status | None:
        """What the run says it is doing; None where the file is missing or damaged."""
        return Status.read(self.path)

    def preset(self) -> str | None:
        """Name of the preset the run came from."""
        return self.about().preset

    @property
    def anew(self) -> str:
        """What to do where a run cannot be continued."""
        config = shlex.quote(str(self.config_path))
        return f"begin it anew with `mim4dd run {config}{option(self.path.parent)}`"

    def write_execution(self, values: Mapping[str, Any]) -> None:
        """Records how the run computes."""
        write_json(self.execution_path, dict(values))

    def execution(self) -> dict[str, Any]:
        """How the run computes.

        Raises:
            DataError: it was not recorded or is damaged; going on with other settings could change the bits.
        """
        values = read_json_object(self.execution_path)
        if values is None:
            raise DataError(
                f"{self.execution_path}: missing or damaged, so it is not known how the run computed; {self.anew}"
            )
        return values

    def write_result(self, document: Mapping[str, Any]) -> None:
        """Keeps the result document of a run that ended by itself."""
        write_json(self.result_path, dict(document))

    def result(self) -> dict[str, Any] | None:
        """The result document kept when the run last ended by itself; None where there is none.

        It may be older than the run's state: ``engine.runs.result.document`` gives the one that holds.
        """
        return read_json_object(self.result_path)

    def relative(self, path: Path) -> str:
        """A path inside the folder as events carry it: relative, with forward slashes."""
        return path.relative_to(self.path).as_posix()

    def inside(self, relative: str) -> Path:
        """The file an event names, checked to lie inside the folder.

        Raises:
            DataError: it reaches outside.
        """
        path = (self.path / relative).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise DataError(f"{relative!r} in the journal of {self.name} reaches outside the run folder")
        return path


def _default_name(config: Config, preset: str | None, created: float) -> str:
    source = stem(preset) if preset and preset != CONFIG else config.data.name  # a run's own file says nothing
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._")[:60] or "run"
    return f"{short}-s{config.seed}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(created))}"


def _fill(folder: RunFolder, config: Config, about: About) -> None:
    for path in (folder.checkpoints, folder.distilled, folder.snapshots, folder.control_path):
        private_folder(path)
    text = "# The run's resolved configuration: `mim4dd run` accepts this file.\n" + tomli_w.dumps(
        config.model_dump(mode="json")
    )
    write_bytes(folder.config_path, text.encode())
    write_json(folder.about_path, {"format": FORMAT, **asdict(about)})
    write_json(
        folder.status_path,
        asdict(
            Status(
                state="queued",
                heartbeat=about.created,
                iterations=config.objective.iterations,
                preset=about.preset,
                seed=config.seed,
            )
        ),
    )


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs in a folder, oldest first (by creation, then name); [] where there is no such folder.

    What lies beside them and cannot be looked into (lost+found, another user's run) is passed over.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        paths = [path for path in runs_dir.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"cannot list the runs in {runs_dir}: {error.strerror}") from error
    except ValueError as error:  # a character that no path has
        raise DataError(f"cannot list the runs in {str(runs_dir)!r}: {error}") from error
    folders = [RunFolder(path.absolute()) for path in paths]
    dated = [(_created(folder), folder) for folder in folders if folder.exists]
    return [folder for _, folder in sorted(dated, key=lambda pair: (pair[0], pair[1].name))]


def _created(folder: RunFolder) -> float:
    value = (read_json_object(folder.about_path) or {}).get("created")
    return float(value) if isinstance(value, (int, float)) else 0.0


def find(runs_dir: Path, name: str, *, states: Collection[str] | None = None) -> RunFolder:
    """The run called ``name``, or for "--latest" the one active last (its heartbeat, else its creation).

    A queued run was never active; it is taken only where ``states`` has "queued".

    Args:
        runs_dir: folder of all runs.
        name: a name in ``runs_dir``; the path of a run folder (with a slash); or "--latest".
        states: for "--latest", only runs whose effective state is among these; None for all that were started.

    Raises:
        ConfigError: the name is unsafe.
        DataError: there is no such run, or it cannot be looked at; the message names the nearest ones.
    """
    if name == LATEST:
        return _latest(runs_dir, states)
    if "/" in name or os.sep in name:
        return RunFolder.open(Path(name))
    check_name(name)
    folder = RunFolder((runs_dir / name).absolute())
    try:
        if folder.config_path.is_file():
            return folder
    except OSError as error:
        raise DataError(f"cannot look at the run {name!r} in {runs_dir}: {error.strerror}") from error
    hint = _meant(runs_dir, name) or f"; `mim4dd runs{option(runs_dir)}` lists them"
    raise DataError(f"there is no run {name!r} in {runs_dir}{hint}")


def _meant(runs_dir: Path, name: str, spelled: Callable[[str], str] = str) -> str:
    """Which runs a wrong name may stand for: one that alone begins so, else up to three, of those that begin so the
    newest first. Capital letters do not count. ``spelled`` is what a name is called by.
    """
    try:
        known = {run.name.casefold(): run.name for run in reversed(list_runs(runs_dir))}
    except DataError:  # what is wrong is the folder, and is said by whoever reads it
        return ""
    wrong = name.casefold()
    begun = [folded for folded in known if folded.startswith(wrong)]
    if len(begun) == 1 and wrong not in begun:
        return f"; the only run that begins so is {spelled(known[begun[0]])}"
    like = difflib.get_close_matches(wrong, [folded for folded in known if folded not in begun], n=NEAR, cutoff=0.5)
    names = [spelled(known[folded]) for folded in [*begun, *like][:NEAR]]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _latest(runs_dir: Path, states: Collection[str] | None) -> RunFolder:
    best: tuple[float, float, str] | None = None
    chosen: RunFolder | None = None
    there = list_runs(runs_dir)
    for folder in there:
        status = folder.status()
        state = status.effective_state() if status else "failed"
        if state == "queued" if states is None else state not in states:
            continue
        created = _created(folder)
        key = (max(created, status.heartbeat if status else 0.0), created, folder.name)
        if best is None or key > best:
            best, chosen = key, folder
    if chosen is None:
        if not there:
            raise DataError(f"there is no run in {runs_dir}: start one with `mim4dd run PRESET{option(runs_dir)}`")
        is_what = "was started yet" if states is None else f"is {' or '.join(states)}"
        raise DataError(f"no run in {runs_dir} {is_what}: `mim4dd runs{option(runs_dir)}` lists them")
    return chosen
