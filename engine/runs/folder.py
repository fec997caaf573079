"""The run folder: where everything of one run lies, and how it is made."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from engine import sealed
from engine.config.elsewhere import readable
from engine.config.load import load_config
from engine.config.presets import is_run, stem
from engine.config.schema import Config
from engine.errors import ConfigError, DataError
from engine.files import creating_folder, private_folder, read_json_object, write_bytes, write_json
from engine.runs.called import option
from engine.runs.naming import check_name, taken
from engine.runs.status import Status

CONFIG = "config.toml"
FORMAT = 1


def iteration_of(header: Mapping[str, Any]) -> int | None:
    """Of the iterate that a distilled set's file holds; None where its header does not say."""
    provenance = header.get("provenance")
    iteration = provenance.get("iteration") if isinstance(provenance, dict) else None
    return iteration if isinstance(iteration, int) else None


@dataclass(frozen=True, slots=True)
class About:
    """Where a run came from (``run.json``): a preset, or what stands in its place: a file, a preset that was gone, a
    run (``of_file``, ``of_gone`` and ``of_run`` of ``engine.config.presets``).

    ``origins`` says of every setting which file or option set it; ``cell``: an analysis made it, which looks for it
    under its name with the settings it has."""

    run: str
    preset: str | None = None
    seed: int = 0
    created: float = 0.0
    origins: dict[str, str] = field(default_factory=dict)
    cell: bool = False


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

    def drop_empty_output(self) -> None:
        """Remove the file of what was printed where nothing was. Whoever printed into it is done."""
        with suppress(OSError):
            if self.output_path.is_file() and not self.output_path.stat().st_size:
                self.output_path.unlink()

    def distilled_path(self, which: str = "best") -> Path:
        """Path of the "best" or "last" distilled set, there or not."""
        return self.distilled / f"{which}.safetensors"

    def held(self, which: str = "best") -> int | None:
        """The iteration of the "best" or "last" distilled set; None where there is no whole one."""
        try:
            return iteration_of(sealed.verify(self.distilled_path(which)))
        except DataError:
            return None

    def snapshot_path(self, iteration: int) -> Path:
        """Path of the raw pixels (npy) of an iteration's picture."""
        return self.snapshots / f"{iteration:08d}.npy"

    def labels_path(self, iteration: int) -> Path:
        """Path of the soft labels (npy) of an iteration's picture."""
        return self.snapshots / f"{iteration:08d}.labels.npy"

    @staticmethod
    def create(
        runs_dir: Path,
        name: str | None,
        config: Config,
        *,
        preset: str | None = None,
        origins: Mapping[str, str] | None = None,
        execution: Mapping[str, Any] | None = None,
        cell: bool = False,
    ) -> RunFolder:
        """Makes the folder of a new run, in one step and private to the user; its state is "queued".

        Without a name it gets one from preset (or data set), seed and time. ``execution`` is how the run computes:
        given here it is there as soon as the folder is, and a kill leaves no run that cannot be taken up. ``cell`` as
        in :class:`About`.

        Raises:
            ConfigError: the name is unsafe or taken.
            RunFailed: the disk is full, read-only or failing.
        """
        created = time.time()
        wanted = check_name(name) if name is not None else _default_name(config, preset, created)
        private_folder(runs_dir)
        for attempt in range(1, 1000):
            chosen = wanted if attempt == 1 else f"{wanted}-{attempt}"
            about = About(chosen, preset, config.seed, created, dict(origins or {}), cell)
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
                from engine.runs.finding import meant  # which finds folders

                near = meant(folder.path.parent, folder.name, lambda name: str(Path(path).with_name(name)))
                raise DataError(f"there is no run folder {str(path)!r}{near}")
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
            cell=values.get("cell") is True,
        )

    def status(self) -> Status | None:
        """What the run says it is doing; None where the file is missing or damaged."""
        return Status.read(self.path)

    def preset(self) -> str | None:
        """Name of the preset the run came from."""
        return self.about().preset

    def write_config(self, config: Config) -> None:
        """Replaces the configuration, in one step."""
        text = "# The run's resolved configuration: `mim4dd run` accepts this file.\n" + tomli_w.dumps(
            config.model_dump(mode="json")
        )
        write_bytes(self.config_path, text.encode())

    def write_about(self, about: About) -> None:
        """Replaces what is kept of where the run came from."""
        write_json(self.about_path, {"format": FORMAT, **asdict(about)})

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
    # a run's own file says nothing, and a run's name has a seed and a time already
    source = stem(preset) if preset and preset != CONFIG and not is_run(preset) else config.data.name
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._")[:60] or "run"
    return f"{short}-s{config.seed}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(created))}"


def _fill(folder: RunFolder, config: Config, about: About) -> None:
    for path in (folder.checkpoints, folder.distilled, folder.snapshots, folder.control_path):
        private_folder(path)
    folder.write_config(config)
    folder.write_about(about)
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
