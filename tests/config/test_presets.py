"""The presets that come with the program: each resolves, says what it is, and names the source of its numbers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from engine.config import Config, dump, fields, list_presets, load_config, presets, resolve
from engine.config.presets import builtin_dir

TRAJECTORY = [
    "digits-ipc1",
    "mnist-ipc1-small",
    "cifar10-ipc1-small",
    *(f"{data}-ipc{each}" for data in ("mnist", "svhn", "cifar10", "cifar100") for each in (1, 10, 50)),
]
SIZES = {"tesla": (1, 10), "bptt": (1, 10, 50), "dream": (1, 10, 50), "distribution": (1, 10)}
"""Images per class of every other base's presets, which end in its name."""
STUDY = [
    f"{data}-ipc{each}{base}-study"
    for data in ("mnist", "cifar10")
    for each in (1, 10)
    for base in ("", "-bptt", "-dream")
]
SOFT = [
    "digits-ipc1-soft",
    "digits-ipc1-bptt-soft",
    *(f"cifar100-ipc{each}-{kind}" for each in (1, 10) for kind in ("soft", "bptt-soft")),
]
"""Those that learn their labels."""
NAMES = [
    *TRAJECTORY,
    *SOFT,
    *(f"digits-ipc1-{base}" for base in SIZES),
    *(f"{data}-ipc1-{base}-small" for data in ("mnist", "cifar10") for base in ("bptt", "dream")),
    *STUDY,
    *(
        f"{data}-ipc{each}-{base}"
        for data in ("mnist", "svhn", "cifar10", "cifar100")
        for base, sizes in SIZES.items()
        for each in sizes
    ),
]
FILES = sorted(builtin_dir().glob("*.toml"))

SOURCE = re.compile(r"\b(MTT|DSA|DATM|CRD|CMIM|TESLA|BPTT|DREAM|IDC|DM|paper|ours|this preset)\b")
"""What a comment names as the source of a number: code, a table, a paper, or that it was chosen here."""

LIGHT = 0.5
"""CPU seconds in which all presets are listed, the start of Python included; half of it on an idle machine."""

TABLE = {
    # MTT's table: whitening, N, M, start epochs, images a step, pixel rate, step-size rate, first step size.
    "cifar10-ipc1": (True, 50, 2, 2, 0, 1e2, 1e-7, 1e-2),
    "cifar10-ipc10": (True, 30, 2, 20, 0, 1e2, 1e-5, 1e-3),
    "cifar10-ipc50": (False, 30, 2, 40, 0, 1e3, 1e-5, 1e-3),
    "cifar100-ipc1": (True, 20, 3, 20, 0, 1e3, 1e-5, 1e-2),
    "cifar100-ipc10": (False, 20, 2, 20, 0, 1e3, 1e-5, 1e-2),
    "cifar100-ipc50": (True, 80, 2, 40, 125, 1e3, 1e-5, 1e-2),
}


def test_all_presets_are_there_and_none_of_their_bases() -> None:
    assert {info.name for info in list_presets() if info.builtin} == set(NAMES)
    assert any(path.name.startswith("_") for path in FILES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_resolves_and_is_what_the_list_says(name: str) -> None:
    resolved = resolve(name)
    info = next(info for info in list_presets() if info.name == name)
    config = resolved.config

    assert resolved.preset == name
    assert (info.dataset, info.images_per_class) == (config.data.name, config.synthetic.images_per_class)
    assert name.startswith(f"{config.data.name}-ipc{config.synthetic.images_per_class}")
    assert info.summary == config.summary
    assert re.fullmatch(r"[A-Z].{40,300}\.", info.summary), "one or two readable sentences"
    assert len(re.findall(r"[.:] ", info.summary)) <= 3
    assert not re.search(r"\bone image a class", info.summary), "spelled as numbers are in all of them"
    assert info.objective == next((base for base in SIZES if base in name), "trajectory")
    assert config.information.weight > 0, "the information term is what the program is about"


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    config = resolve(name).config
    whole = tmp_path / "whole.toml"
    whole.write_text(dump(config), encoding="utf-8")
    assert load_config(whole) == config

    difference = dump(config, base=Config())
    (tmp_path / "part.toml").write_text(difference, encoding="utf-8")
    assert load_config(tmp_path / "part.toml") == config
    assert len(difference) < len(dump(config))


@pytest.mark.parametrize("name", NAMES)
def test_every_origin_of_a_preset_is_known(name: str) -> None:
    resolved = resolve(name)
    allowed = {"default", *(f"preset {path.stem}" for path in FILES)}
    assert list(resolved.origins) == [field.key for field in fields()]
    assert set(resolved.origins.values()) <= allowed
    assert resolved.origins["summary"] == f"preset {name}"


@pytest.mark.parametrize("name", TABLE)
def test_published_settings_are_those_of_the_table(name: str) -> None:
    config = resolve(name).config
    objective = config.objective
    assert TABLE[name] == (
        config.data.zca,
        objective.student_steps,
        objective.expert_epochs,
        objective.max_start_epoch,
        objective.batch_size,
        objective.pixel_rate,
        objective.step_size_rate,
        objective.step_size,
    )
    assert (config.experts.count, config.experts.epochs, config.experts.batch_size) == (100, 50, 256)
    assert (config.network.depth, config.network.width, config.synthetic.init) == (3, 128, "real")
    assert (objective.iterations, config.evaluation.protocol, config.evaluation.networks) == (5000, "mtt-1000", 5)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("mnist", "svhn", "digits"))])
def test_digits_are_never_mirrored(name: str) -> None:
    assert "flip" not in resolve(name).config.augmentation.strategy.split("_")


@pytest.mark.parametrize("name", [name for name in TRAJECTORY if name.startswith(("mnist-ipc", "svhn"))])
def test_settings_nobody_published_say_so(name: str) -> None:
    if not name.endswith("-small"):
        assert "publishes no settings" in resolve(name).config.summary


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-small") or name.startswith("digits")])
def test_bases_on_the_same_small_setting_share_their_experts(name: str) -> None:
    """All that decides an expert is that of the trajectory preset: a comparison trains them once."""
    base = next(one for one in TRAJECTORY if name.startswith(one.removesuffix("-small")))
    ours, theirs = resolve(name).config, resolve(base).config
    for section in ("data", "augmentation", "network", "experts"):
        assert getattr(ours, section) == getattr(theirs, section)


@pytest.mark.parametrize("name", STUDY)
def test_the_study_is_as_large_as_it_says_and_the_same_for_every_base(name: str) -> None:
    ours, theirs = resolve(name).config, resolve(f"{name.partition('-')[0]}-ipc1-study").config
    for section in ("data", "augmentation", "network", "experts", "evaluation", "information"):
        assert getattr(ours, section) == getattr(theirs, section)
    assert (ours.network.width, ours.experts.count, ours.experts.epochs) == (64, 10, 8)
    assert (ours.data.train_limit, ours.data.test_limit) == (0, 0)
    assert ours.objective.iterations == 1000
    assert ours.objective.student_steps >= 20


@pytest.mark.parametrize("data", ["mnist", "svhn", "cifar10", "cifar100"])
def test_published_settings_of_the_other_bases(data: str) -> None:
    """DREAM's rates are IDC's times a tenth of the images per class; here they are in units of the deviation."""
    for each in SIZES["dream"]:
        config = resolve(f"{data}-ipc{each}-dream").config
        rate, kind = (1e-4, "l1") if data == "mnist" else (5e-3, "mse")
        deviation = {"mnist": 0.308, "svhn": 0.2, "cifar10": 0.25, "cifar100": 0.25}[data]
        assert config.objective.pixel_rate == pytest.approx(rate * each / 10 / deviation**2, rel=0.06)
        assert (config.objective.distance, config.synthetic.formation, config.objective.real_batch) == (kind, 2, 128)
        assert config.evaluation.protocol == "dream-1000"
        assert not config.data.zca
    for each in SIZES["bptt"]:
        objective = resolve(f"{data}-ipc{each}-bptt").config.objective
        assert resolve(f"{data}-ipc{each}-bptt").config.evaluation.protocol == "bptt-300"
        assert (objective.window, objective.student_steps, objective.student_momentum) == (60, 200, 0.9)
        classes = 100 if data == "cifar100" else 10
        assert (objective.batch_size or each * classes) / classes <= 10
        assert (objective.pixel_rate, objective.pixel_clip, objective.real_batch) == (0.1, 2.0, 64)


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_learned_where_the_name_says_so(name: str) -> None:
    """And a soft preset is its base otherwise, so that the two can be compared."""
    config = resolve(name).config
    assert (config.synthetic.labels != "hard") == (name in SOFT)
    if name in SOFT:
        base = resolve(name.removesuffix("-soft")).config
        assert config.objective.name == base.objective.name
        assert (config.experts, config.network, config.data) == (base.experts, base.network, base.data)
        assert config.evaluation == base.evaluation


def test_the_builtin_preset_needs_no_download_and_starts_from_noise() -> None:
    config = resolve("digits-ipc1").config
    assert (config.data.name, config.synthetic.init) == ("digits", "noise")
    assert config.evaluation.protocol == config.evaluation.live_protocol == "quick-100"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_number_names_its_source(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    numbers = [index for index, line in enumerate(lines) if _is_number(line)]
    unsourced = [lines[index] for index in numbers if not _sourced(lines, index)]
    assert numbers or not any(line.startswith("[") for line in lines), "only what others are put together from has none"
    assert not unsourced


def test_the_check_of_sources_sees_a_number_without_one() -> None:
    lines = ["width = 32  # ours", "depth = 3", "# paper", "grid = 4", 'init = "real"', "count = 1e3  # many"]
    assert [line for i, line in enumerate(lines) if _is_number(line) and not _sourced(lines, i)] == [
        "depth = 3",
        "count = 1e3  # many",
    ]


def test_listing_is_light_and_quick() -> None:
    code = (
        "import time\n"
        "from engine.config.load import list_presets\n"
        "list_presets()\n"
        "import sys\n"
        "print(time.process_time(), sorted({'torch', 'numpy', 'textual'} & set(sys.modules)))"
    )
    quickest = 10.0
    for _ in range(4):  # a busy machine slows one start, not the quickest of some
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        seconds, heavy = ran.stdout.split(" ", 1)
        assert heavy.strip() == "[]"
        quickest = min(quickest, float(seconds))
        if quickest < LIGHT:
            break
    assert quickest < LIGHT


def _is_number(line: str) -> bool:
    try:
        tree = tomli.loads(line)
    except tomli.TOMLDecodeError:
        return False
    return any(isinstance(value, int | float) and not isinstance(value, bool) for value in tree.values())


def _sourced(lines: list[str], index: int) -> bool:
    own = lines[index].partition("#")[2]
    above = lines[index - 1] if index and lines[index - 1].lstrip().startswith("#") else ""
    return bool(SOURCE.search(own) or SOURCE.search(above))


@pytest.mark.parametrize(
    ("path", "bases", "told", "brief", "stem"),
    [
        ("a/mine.toml", ["digits-ipc1"], "mine.toml on digits-ipc1", "mine.toml", "mine"),
        ("mine.toml", ["x", "base.toml"], "mine.toml on x and base.toml", "mine.toml", "mine"),
        ("mine.toml", [], "mine.toml", "mine.toml", "mine"),
        ("a/mine", [], "./mine", "./mine", "./mine"),
    ],
)
def test_a_file_is_named_by_itself_and_what_it_extends(
    path: str, bases: list[str], told: str, brief: str, stem: str
) -> None:
    assert presets.of_file(Path(path), bases) == told
    assert (presets.brief(told), presets.stem(told)) == (brief, stem)
    assert presets.is_file(told)
    assert not presets.is_file("digits-ipc1")
    assert presets.brief("digits-ipc1") == presets.stem("digits-ipc1") == "digits-ipc1"
