"""A wrong file, key, type, range or value: the message names file, key, what is wrong and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import change, load_config, resolve
from tests.config.helpers import message, written

WRONG_VALUES = [
    ('[data]\nname = "cifr10"', "data.name", "'cifr10' is not allowed; it must be one of digits, mnist", "cifar10?"),
    ("[data]\nname = [1]", "data.name", "one of digits, mnist, svhn, cifar10, cifar100", "not allowed"),
    ("[data]\nname = { x = 1 }", "data.name", "one of digits", "not allowed"),
    ("[data]\nvalidation = 1.0", "data.validation", "at least 0 and below 1", "1.0"),
    ("[objective]\niterations = -5", "objective.iterations", "-5 is not allowed", "an integer at least 1"),
    ("[information]\nweight = 1e13", "information.weight", "1e+13 is not allowed", "at most 1e+12"),
    ('[data]\nzca = "True"', "data.zca", "'True' is not allowed; it must be true or false", "did you mean true?"),
    ("[data]\nvalidation = 0.999", "data.validation", "exceeds the 1 training image of digits in use", "lower it"),
    ('[objective]\niterations = "5"', "objective.iterations", "'5' is not allowed", "an integer at least 1"),
    ("[objective]\niterations = 5.5", "objective.iterations", "5.5 is not allowed", "an integer"),
    ("[objective]\niterations = true", "objective.iterations", "true is not allowed", "an integer"),
    ("[objective]\npixel_rate = inf", "objective.pixel_rate", "inf is not allowed", "above 0"),
    ("[objective]\npixel_rate = nan", "objective.pixel_rate", "nan is not allowed", "above 0"),
    ("[information]\nweight = inf", "information.weight", "inf is not allowed", "at least 0"),
    ("[experts]\nweight_decay = inf", "experts.weight_decay", "inf is not allowed", "at least 0"),
    ("[execution]\ncheckpoint_seconds = inf", "execution.checkpoint_seconds", "inf is not allowed", "above 0"),
    ("[experts]\naugment = 1", "experts.augment", "1 is not allowed", "true or false"),
    ("[information]\nembedding_layers = 3", "information.embedding_layers", "3 is not allowed", "one of 0, 1, 2"),
    ("[information]\nembedding_layers = true", "information.embedding_layers", "true is not", "one of 0, 1, 2"),
    ("[information]\nembedding_layers = 1.0", "information.embedding_layers", "1.0 is not", "one of 0, 1, 2"),
    ('[augmentation]\nstrategy = "crop_blur"', "augmentation.strategy", "blur", "rotate"),
    ('[augmentation]\nstrategy = "crop_crop"', "augmentation.strategy", "crop", "rotate"),
    ('[execution]\ndevice = "gpu"', "execution.device", "'gpu' is not allowed", "auto, cpu, cuda"),
    ('[execution]\ndevice = "cuda:0\\n"', "execution.device", "is not allowed", "auto, cpu, cuda"),
    ("seed = 2020-01-01", "seed", "2020-01-01 is not allowed", "an integer at least 0"),
    ("seed = -1", "seed", "-1 is not allowed", "an integer at least 0"),
    (f"seed = 0x{'f' * 6000}", "seed", "is not allowed", "an integer at least 0"),
    (f"[data]\ntrain_limit = 0x{'f' * 6000}", "data.train_limit", "is not allowed", "an integer at least 0"),
    (f"[objective]\npixel_rate = 0x{'f' * 6000}", "objective.pixel_rate", "is not allowed", "above 0"),
    ('summary = "\\u001b[31mred"', "summary", "is not allowed", "text"),
    ("data = 5", "data", "must be a section", "[data]"),
    ("[[data]]\nname = 1", "data", "must be a section", "[data]"),
]


@pytest.mark.parametrize(("text", "key", "first", "second"), WRONG_VALUES)
def test_a_wrong_value_is_named_with_what_is_allowed(
    tmp_path: Path, text: str, key: str, first: str, second: str
) -> None:
    path = written(tmp_path, text)
    for said in (message(lambda: resolve(path)), message(lambda: load_config(Path(path)))):
        assert said.startswith(f"{path}: {key}: ")
        assert first in said
        assert second in said
        assert "\n" not in said


UNKNOWN_KEYS = [
    ("[objective]\niteratons = 5", "objective.iteratons", "objective.iterations?"),
    ("[experts]\nlr = 0.1", "experts.lr", "experts.learning_rate?"),
    ("[synthetic]\nipc = 10", "synthetic.ipc", "synthetic.images_per_class?"),
    ("[data]\nimages_per_class = 10", "data.images_per_class", "synthetic.images_per_class?"),
    ("[objectives]\niterations = 5", "objectives", "objective?"),
    ("iterations = 5", "iterations", "objective.iterations?"),
    ("sed = 5", "sed", "seed?"),
    ("[data]\nqqqqqqqq = 5", "data.qqqqqqqq", "name, train_limit"),
    ("[qqqqqqqq]\nx = 5", "qqqqqqqq", "data, augmentation, network"),
    ('"\\u001b[31m" = 5', "31m", "data, augmentation, network"),
    ('[data]\n"name.x" = 5', "data.name.x", "data.name?"),
    ('"" = 5', "", "data, augmentation, network"),
]


@pytest.mark.parametrize(("text", "key", "hint"), UNKNOWN_KEYS)
def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path, text: str, key: str, hint: str) -> None:
    said = message(lambda: resolve(written(tmp_path, text)))
    assert said.startswith(str(tmp_path / "own.toml"))
    assert "unknown key" in said
    assert key in said
    assert hint in said


def test_all_errors_are_listed_each_with_its_own_place(tmp_path: Path) -> None:
    written(tmp_path, "[network]\nwidth = 0\nwdith = 3\n", "base.toml")
    path = written(tmp_path, 'extends = "base.toml"\nnetwork.depth = 99\n[data]\nname = "x"\n')
    said = message(lambda: resolve(path, ["objective.iterations=no", "nothing=1", "broken", "data=1"], seed=-1))
    lines = said.split("\n")

    assert len(lines) == 9
    for place, key in (
        (str(tmp_path / "base.toml"), "network.width"),
        (str(tmp_path / "base.toml"), "network.wdith"),
        (path, "network.depth"),
        (path, "data.name"),
        ("--set", "objective.iterations"),
        ("--set", "nothing"),
        ("--set", "broken"),
        ("--set", "data"),
        ("--seed", "seed"),
    ):
        assert sum(line.startswith(f"{place}: {key}: ") for line in lines) == 1, (place, key)


def test_of_very_many_errors_the_first_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    said = message(lambda: resolve(written(tmp_path, "\n".join(f"k{n} = 1" for n in range(5000)))))
    assert len(said.split("\n")) <= 21
    assert "more" in said.split("\n")[-1]


CLASHES = [
    (["experts.epochs=2"], ["experts.epochs"]),
    (["objective.expert_epochs=50"], ["objective.expert_epochs"]),
    (["objective.batch_size=2000"], ["objective.batch_size"]),
    (["network.depth=5"], ["network.depth"]),
    (["network.depth=5", "objective.batch_size=2000"], ["network.depth", "objective.batch_size"]),
    (["objective.batch_size=2000", "objective.max_start_epoch=500"], ["objective.batch_size", "max_start_epoch"]),
]


@pytest.mark.parametrize(("overrides", "keys"), CLASHES)
def test_settings_that_do_not_go_together_are_told_at_the_one_set_last(overrides: list[str], keys: list[str]) -> None:
    lines = message(lambda: resolve("digits-ipc1", overrides)).split("\n")
    assert len(lines) == len(keys)
    assert all(line.startswith("--set: ") for line in lines)
    assert all(any(key in line.split(": ")[1] for line in lines) for key in keys)


def test_a_clash_within_a_file_is_told_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[experts]\nepochs = 1\n")
    said = message(lambda: resolve(path, ["network.width=16"]))
    assert said.startswith(f"{path}: experts.epochs: ")
    assert "objective.expert_epochs" in said


def test_a_clash_that_follows_from_a_wrong_section_is_not_told(tmp_path: Path) -> None:
    path = written(tmp_path, "dta.name = 'mnist'\n[network]\ndepth = 5\n")  # 5 is too deep for the default digits
    assert message(lambda: resolve(path)).count("\n") == 0


FILES = [
    (b"[data]\nname =\n", "TOML", "line"),
    (b"[data]\nname = 'x'\nname = 'y'\n", "TOML", "line 3"),
    (b"[data\n", "TOML", "line 1"),
    (b'{"data": 1}', "TOML", "line 1"),
    ("seed = 1".encode("utf-16"), "UTF-8", ""),
    (b"seed = 1 # \xff", "UTF-8", ""),
    (b"x = " + b"[" * 5000 + b"]" * 5000, "deep", ""),
    (b"a." * 5000 + b"b = 1", "deep", ""),
    (b"seed = " + b"9" * 5000, "TOML", ""),
    (b"#" * (1 << 20) + b"#", "larger", "1 MiB"),
    (b"\x00", "TOML", "line 1"),
]


@pytest.mark.parametrize(("data", "word", "place"), FILES)
def test_a_file_that_is_no_toml_says_so_and_where(tmp_path: Path, data: bytes, word: str, place: str) -> None:
    path = written(tmp_path, data)
    said = message(lambda: resolve(path))
    assert said.startswith(f"{path}: ")
    assert word in said
    assert place in said


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert resolve(written(tmp_path, b"\xef\xbb\xbfseed = 7")).config.seed == 7


def test_a_folder_a_missing_and_a_looping_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "folder" in message(lambda: resolve(f"{tmp_path}/folder.toml"))
    assert "folder" in message(lambda: resolve(f"{tmp_path}/"))
    assert "cannot be read" in message(lambda: resolve(f"{tmp_path}/loop.toml"))
    assert "no such file" in message(lambda: resolve(f"{tmp_path}/none.toml"))
    assert "null" in message(lambda: resolve("a\0.toml"))
    assert "cannot be read" in message(lambda: resolve("a" * 5000 + ".toml"))
    assert "cannot be read" in message(lambda: resolve(f"{written(tmp_path, 'seed = 1')}/own.toml"))


def test_a_missing_file_or_preset_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "seed = 1", "settings.toml")
    assert "settings.toml?" in message(lambda: resolve(f"{tmp_path}/setings.toml"))
    assert "preset cifar10-ipc1?" in message(lambda: resolve("cifar10-ipc1.toml"))
    assert "preset cifar10-ipc10?" in message(lambda: resolve(f"{tmp_path}/cifar10-ipc10.tomml.toml"))
    assert "digits-ipc1?" in message(lambda: resolve("digit-ipc1"))
    assert "svhn-ipc50" in message(lambda: resolve("zzzzzzzz"))
    for nothing in ("", ".", "..", "_mt", "a b\x1b"):
        assert "preset" in message(lambda nothing=nothing: resolve(nothing))  # type: ignore[misc]
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "seed = 1", "settings.conf")
    assert ".toml" in message(lambda: resolve("settings.conf"))
    assert resolve("./settings.conf").config.seed == 1


OVERRIDES = [
    ("objective.iterations", "section.key=value"),
    ("=5", "section.key=value"),
    ("objective=5", "is a section"),
    ("objective.iteratons=5", "objective.iterations?"),
    ("objective.iterations=", "an integer"),
    ("objective.iterations=1\nseed = 2", "an integer"),
    ("objective.iterations=1.5", "an integer"),
    ("objective.iterations=inf", "an integer"),
    ("data.zca=True", "true or false"),
    ("data.zca=yes", "true or false"),
    ("experts.learning_rate=fast", "a number above 0"),
    ("summary=\udcff", "text"),
    ("\udcff=1", "unknown key"),
    ("extends=digits-ipc1", "extends"),
]


@pytest.mark.parametrize(("text", "said"), OVERRIDES)
def test_a_wrong_option_says_what_is_allowed(text: str, said: str) -> None:
    told = message(lambda: resolve("digits-ipc1", [text]))
    assert told.startswith("--set")
    assert said in told


def test_a_change_in_the_form_is_checked_as_typed() -> None:
    config = resolve("digits-ipc1").config
    assert change(config, "objective.iterations", " 1e3 ").objective.iterations == 1000
    assert change(config, "objective.pixel_rate", "50").objective.pixel_rate == 50.0
    assert change(config, "data.zca", "true").data.zca is True
    assert change(config, "information.loss", "nce").information.loss == "nce"
    assert change(config, "information.loss", '"nce"').information.loss == "nce"
    assert change(config, "information.embedding_layers", "2").information.embedding_layers == 2
    assert change(config, "summary", "5").summary == "5"
    assert "an integer at least 1" in message(lambda: change(config, "objective.iterations", ""))
    assert "experts.epochs: " in message(lambda: change(config, "experts.epochs", "2"))
    assert "objective.batch_size: " in message(lambda: change(config, "objective.batch_size", "11"))
    assert "did you mean experts.epochs?" in message(lambda: change(config, "experts.epoch", "2"))
    assert config == resolve("digits-ipc1").config
