"""Memory is estimated before a run begins; one that cannot fit is refused with the setting to change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import keeping, memory, resident
from engine.activations import Shape
from engine.config.load import changed, dump, list_presets, resolve
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.events import Event, Iteration, Notice, RunStarted
from engine.memory import CERTAIN, MIB, caution, estimate, require
from engine.networks import ConvNet
from engine.resident import available
from engine.run import resume, start
from engine.runs.folder import RunFolder
from tests.distill.helpers import Place, Watch, quickly, tiny

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32)}


@pytest.mark.parametrize("norm", ["instance", "none"])
@pytest.mark.parametrize("pooling", ["avg", "none"])
@pytest.mark.parametrize("name", SHAPES)
def test_parameters_are_counted_as_the_network_has_them(name: str, pooling: str, norm: str) -> None:
    config = changed(
        Config(),
        {"data.name": name, "network.depth": 2, "network.width": 12, "network.pooling": pooling, "network.norm": norm},
    )
    net = ConvNet(config.network, SHAPES[name], 100 if name == "cifar100" else 10)
    assert Shape.of(config).parameters == net.size


GROWING: dict[str, list[Any]] = {
    "network.width": [16, 64, 256],
    "experts.epochs": [50, 2000, 20000],
    "experts.batch_size": [64, 512, 1400],
    "objective.student_steps": [10, 300, 1000],
    "information.real_batch": [200, 1000, 10000],
    "synthetic.images_per_class": [1, 20, 100],
}


@pytest.mark.parametrize("key", GROWING)
def test_what_takes_memory_is_counted(key: str) -> None:
    sizes = [estimate(changed(resolve("digits-ipc1").config, {key: value})).total for value in GROWING[key]]
    assert sizes[0] <= sizes[1] < sizes[2]


LARGER: dict[str, list[Any]] = {
    "synthetic.images_per_class": [1, 2, 5, 10, 14, 15, 20, 50],
    "network.width": [16, 32, 33, 64, 100, 128, 200],
    "objective.student_steps": [5, 20, 40, 100],
    "objective.window": [1, 5, 20, 40],
    "objective.real_batch": [1, 16, 64, 256],
    "information.real_batch": [50, 256, 1000],
    "experts.batch_size": [16, 64, 256, 1000],
}


@pytest.mark.parametrize("key", LARGER)
def test_more_of_anything_never_counts_for_less(key: str) -> None:
    """But for what the engine itself leaves out where it would be too much (activations, every parameter vector)."""
    for preset in list_presets():
        config, least = changed(resolve(preset.name).config, {"execution.compile": "off"}), 0
        for value in LARGER[key]:
            try:
                total = estimate(changed(config, {key: value})).total
            except ConfigError:  # a window longer than the training
                continue
            assert total >= least, (preset.name, value)
            least = total


@pytest.mark.parametrize(("preset", "less"), [("digits-ipc1", False), ("digits-ipc1-bptt", True)])
def test_a_window_spares_memory_where_there_is_one(preset: str, less: bool) -> None:
    config = changed(resolve(preset).config, {"network.width": 128, "objective.student_steps": 100})
    config = changed(config, {"objective.window": 0})
    spared = estimate(config).phases["student"] - estimate(changed(config, {"objective.window": 10})).phases["student"]
    assert spared == (90 * 4 * Shape.of(config).parameters if less else 0)


def test_activations_are_counted_where_steps_are_compiled() -> None:
    base = changed(resolve("cifar10-ipc1-small").config, {"execution.compile": "off"})
    net = ConvNet(base.network, SHAPES["cifar10"], 10)
    each = keeping.activation_bytes(net, 10)
    kept = {
        bound: estimate(changed(base, {"execution.compile": "on", "execution.keep_activations": bound})).phases[
            "student"
        ]
        for bound in (0, 9, 2**20)
    }
    assert kept[0] == estimate(base).phases["student"]
    assert kept[9] - kept[0] == each * (9 * MIB // each) > 0
    assert kept[2**20] - kept[0] == each * base.objective.student_steps
    short = changed(base, {"execution.compile": "auto", "objective.iterations": 1})
    assert estimate(short).phases == estimate(base).phases, "too short to be compiled"


def test_whitening_is_counted() -> None:
    base = resolve("cifar10-ipc1-small").config
    zca = changed(base, {"data.zca": True})
    assert estimate(zca).total - estimate(base).total > 300 * MIB
    assert "ZCA" in estimate(zca).describe()


def test_every_preset_for_a_cpu_fits_a_small_machine_and_every_other_has_an_estimate() -> None:
    for preset in list_presets():
        found = estimate(resolve(preset.name).config)
        assert found.total == found.program + found.data + max(found.phases.values())
        assert all(size >= 0 for size in found.phases.values())
        if preset.name.endswith("-small") or preset.dataset == "digits":
            assert found.total < 2500 * MIB, preset.name


LARGE = {"network.width": 2048, "network.depth": 3}


def test_a_run_that_cannot_fit_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(tiny(execution__device="cpu"), LARGE)
    monkeypatch.setattr(memory, "there", lambda: 700 * MIB)
    with pytest.raises(ConfigError, match=r"needs about \d+\.\d GiB.*there are 0\.7 GiB: lower .*network\.width"):
        start(config, runs_dir=tmp_path / "runs", cache_dir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


def test_one_that_waited_in_a_queue_and_cannot_fit_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path / "runs", "late", changed(tiny(execution__device="cpu"), LARGE))
    monkeypatch.setattr(memory, "there", lambda: 700 * MIB)
    with pytest.raises(ConfigError, match=r"needs about .*there are 0\.7 GiB"):
        resume(folder.path, cache_dir=tmp_path / "cache")
    assert (status := folder.status()) is not None
    assert status.state == "queued"
    assert not folder.execution_path.exists()


def test_what_may_not_fit_is_run_with_a_warning() -> None:
    config = changed(tiny(), LARGE)
    wanted = estimate(config).total
    assert caution(config, free=wanted) == ""
    require(config, free=int(wanted / CERTAIN) + MIB)
    said = caution(config, free=int(wanted / CERTAIN) + MIB)
    assert "lower" in said
    assert "GiB" in said
    with pytest.raises(ConfigError):
        require(config, free=int(wanted / CERTAIN) - MIB)


def test_a_resumed_run_is_warned_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fitted before: what is free at the moment does not take it from its user."""
    place, watch = Place(tmp_path), Watch()
    config = tiny(objective__iterations=1, evaluation__random_draws=0, evaluation__networks=1)
    with quickly(2):
        place.start(config, Watch(act=lambda w: w.request("stop") if w.after(kind="checkpoint") else None))
        monkeypatch.setattr(memory, "there", lambda: 100 * MIB)
        assert place.resume(watch)["state"] == "done"
    assert [m for m in messages(watch.events) if "for want of memory" in m]


def messages(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice) and event.level == "warning"]


def group(folder: Path, limit: str, usage: str, cached: int, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(limit + "\n")
    (folder / names[1]).write_text(usage + "\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


@pytest.mark.parametrize(("version", "line"), [(2, "0::/a/b\n"), (1, "5:cpu:/x\n4:memory,hugetlb:/a/b\n")])
def test_the_tightest_limit_of_the_control_groups_counts(tmp_path: Path, version: int, line: str) -> None:
    own, system = tmp_path / "own", tmp_path / "sys"
    own.write_text(line)
    base = system / "memory" if version == 1 else system
    free = available(system, own)
    assert free > 1000
    group(base / "a" / "b", "9000", "8500", 100, version)
    assert available(system, own) == 600, "caches can be given back"
    group(base / "a", "9000", "8900", 0, version)
    assert available(system, own) == 100, "a limit on a group above holds too"
    group(base / "a", "max", "8900", 0, version)
    assert available(system, own) == 600
    group(base / "a" / "b", "8000", "8500", 0, version)
    assert available(system, own) == 0
    own.write_text("garbage\n\n::\n")
    assert available(system, own) > 1000


def test_estimating_loads_no_torch() -> None:
    program = (
        "import sys\nfrom engine.config.load import resolve\nfrom engine.memory import caution, estimate\n"
        "assert estimate(resolve('digits-ipc1').config).total > 0\ncaution(resolve('digits-ipc1').config)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from engine import run
from engine.config.load import load_config
from engine.evaluation.protocols import PROTOCOLS
PROTOCOLS["quick-100"] = replace(PROTOCOLS["quick-100"], epochs=2, falls=((1, 0.1),))
path, peaks = Path(sys.argv[1]), [0.0]
observer = lambda event: peaks.append(getattr(event, "memory", None) or 0.0)
run.start(load_config(path / "config.toml"), runs_dir=path / "runs", cache_dir=path / "cache", observer=observer)
print(max(peaks))
"""

MEASURED: dict[str, tuple[str, dict[str, Any]]] = {
    "trajectory": ("digits-ipc1", {}),
    "without the term": ("digits-ipc1", {"information.weight": 0.0}),
    "ten images a class": ("digits-ipc1", {"synthetic.images_per_class": 10}),
    "tesla": ("digits-ipc1-tesla", {"synthetic.images_per_class": 10}),
    "bptt": ("digits-ipc1-bptt", {"synthetic.images_per_class": 10}),
    "dream": ("digits-ipc1-dream", {"synthetic.images_per_class": 10}),
    "distribution": ("digits-ipc1-distribution", {"synthetic.images_per_class": 10}),
    "blocks that are given back": ("digits-ipc1", {"network.width": 512, "information.real_batch": 400}),
    "clusters": ("digits-ipc1-dream", {"network.width": 512, "information.weight": 0.0}),
    "means": (
        "digits-ipc1-distribution",
        {"network.width": 512, "information.weight": 0.0, "objective.real_batch": 130},
    ),
    "many steps": ("digits-ipc1", {"network.width": 256, "objective.student_steps": 150}),
    "many images": (
        "digits-ipc1",
        {"network.width": 128, "synthetic.images_per_class": 50, "information.weight": 0.0},
    ),
}


@pytest.mark.long
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("name", MEASURED)
def test_the_calculation_is_right_to_within_a_tenth_of_real_runs(name: str, tmp_path: Path) -> None:
    """Peaks of runs in processes of their own, as they record them."""
    short = {
        "objective.iterations": 2, "experts.count": 1, "evaluation.every": 1, "evaluation.networks": 2,
        "evaluation.live_networks": 2, "evaluation.random_draws": 1, "evaluation.random_networks": 1,
        "execution.device": "cpu", "execution.compile": "off", "execution.threads": 1, "information.warmup": 1,
    }  # fmt: skip
    preset, changes = MEASURED[name]
    config = changed(resolve(preset).config, {**short, **changes})
    (tmp_path / "config.toml").write_text(dump(config))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    ratio = estimate(config).total / MIB / float(done.stdout.splitlines()[-1])
    print(f"{name}: calculated / measured = {ratio:.2f}")
    assert 0.9 < ratio < 1.1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts peaks that can be begun anew")
def test_a_peak_is_what_there_was_at_once_and_not_what_is_left_of_it() -> None:
    code = (
        "from engine.resident import peak, reset_peak, resident\n"
        "before = resident()\n"
        "block = bytearray(b'x') * 200_000_000\n"
        "del block\n"
        "high = peak()\n"
        "reset_peak()\n"
        "print((high - before) / 2**20, (peak() - before) / 2**20)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    high, later = map(float, done.stdout.split())
    assert high > 180 > 90 > later


def test_a_run_records_its_peak_on_a_processor_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At an iteration's end most of what it took is free again."""
    said: list[str] = []
    monkeypatch.setattr(resident, "reset_peak", lambda: said.append("anew"))
    monkeypatch.setattr(resident, "peak", lambda: 3000 * MIB)
    watch = Watch()
    with quickly():
        Place(tmp_path).start(tiny(objective__iterations=1), watch)
    assert [event.memory for event in watch.events if isinstance(event, Iteration)] == [3000.0]
    assert said == ["anew"], "of this run, not of those before it"


# -- several runs in one process


def test_a_run_says_how_many_its_process_computed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(resident, "give_back", lambda: given.append("back"))
    watch, place = Watch(), Place(tmp_path)
    with quickly():
        place.start(tiny(objective__iterations=1), watch)
        Place(tmp_path / "other").start(tiny(objective__iterations=1), watch)
    first, second = (event.earlier for event in watch.events if isinstance(event, RunStarted))
    assert second == first + 1
    assert given[-1:] == ["back"], "what is still held counts in the second's memory"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is asked")
def test_freed_memory_is_given_back() -> None:
    """Small blocks beneath one that is still held, as a run leaves them: glibc keeps them until it is asked."""
    code = (
        "import ctypes, os, psutil\n"
        "from engine.resident import give_back, resident\n"
        "blocks = [bytes(4000) for _ in range(50_000)]\n"
        "held = blocks[-1]\n"
        "del blocks\n"
        "before = resident()\n"
        "give_back()\n"
        "glibc = hasattr(ctypes.CDLL(None), 'gnu_get_libc_version')\n"
        "print((before - resident()) / 2**20 if glibc else 190)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100, "of 190 MiB"
