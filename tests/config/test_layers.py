"""Which layer wins, where values come from, what may be extended, and the user's own presets."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from engine.config import dump, list_presets, load_config, resolve, save_user_preset
from engine.config.load import beneath, delete_user_preset
from engine.config.presets import user_dir
from tests.config.helpers import message, written


def test_later_layers_win_and_every_value_knows_its_layer(tmp_path: Path) -> None:
    written(tmp_path, "seed = 1\n[network]\nwidth = 8\ndepth = 1\nnorm = 'group'\n[experts]\ncount = 7\n", "low.toml")
    written(tmp_path, "extends = 'low.toml'\n[network]\nwidth = 16\n[data]\nzca = true\n", "mid.toml")
    path = written(tmp_path, "extends = ['digits-ipc1', 'mid.toml']\nnetwork.norm = 'layer'\n")
    resolved = resolve(path, ["experts.count=9", "experts.epochs=30", "experts.count=10"], seed=5)
    config, origins = resolved.config, resolved.origins

    assert resolved.preset == "own.toml on digits-ipc1 and mid.toml"
    assert (config.seed, origins["seed"]) == (5, "--seed")
    assert (config.experts.count, origins["experts.count"]) == (10, "--set")
    assert (config.experts.epochs, origins["experts.epochs"]) == (30, "--set")
    assert (config.network.norm, origins["network.norm"]) == ("layer", path)
    assert (config.network.width, origins["network.width"]) == (16, str(tmp_path / "mid.toml"))
    assert (config.data.zca, origins["data.zca"]) == (True, str(tmp_path / "mid.toml"))
    assert (config.network.depth, origins["network.depth"]) == (1, str(tmp_path / "low.toml"))
    assert (config.synthetic.init, origins["synthetic.init"]) == ("noise", "preset digits-ipc1")
    assert (config.data.test_limit, origins["data.test_limit"]) == (0, "default")


def test_a_value_that_an_option_repeats_is_still_the_presets(tmp_path: Path) -> None:
    path = written(tmp_path, "extends = 'digits-ipc1'\n[network]\nwidth = 16\n[information]\nweight = 1\n")
    options = ["network.width=16", "information.weight=1.0", "data.test_limit=0", "experts.count=3"]
    options += ["network.norm=none"]
    found = resolve(path, [*options, "network.norm=instance", "synthetic.init=real"])
    assert found.config == resolve(path, ["experts.count=3", "synthetic.init=real"]).config
    origins = {key: origin for key, origin in found.origins.items() if key in [o.partition("=")[0] for o in options]}
    assert origins == {
        "network.width": path,
        "information.weight": path,
        "data.test_limit": "default",
        "network.norm": "default",  # of several options the last counts
        "experts.count": "--set",
    }
    alone = written(tmp_path, "[objective]\nmax_start_epoch = 10\n[experts]\nepochs = 1\n", "alone.toml")
    settled = resolve(alone, ["experts.epochs=30", "objective.max_start_epoch=10"])  # which cannot be run without
    assert (settled.origins["experts.epochs"], settled.origins["objective.max_start_epoch"]) == ("--set", alone)


def test_a_seed_that_was_typed_beats_the_file_and_zero_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "seed = 3")
    assert resolve(path).config.seed == 3
    assert resolve(path, seed=0).config.seed == 0
    assert resolve(path, ["seed=4"]).origins["seed"] == "--set"


def test_a_wrong_value_that_is_overlaid_does_no_harm_but_a_wrong_section_does(tmp_path: Path) -> None:
    path = written(tmp_path, "network.width = -1")
    assert resolve(path, ["network.width=16"]).config.network.width == 16
    said = message(lambda: resolve(written(tmp_path, "network = 5"), ["network.width=16"]))
    assert said.startswith(f"{path}: network: must be a section")


def test_circles_are_named(tmp_path: Path) -> None:
    written(tmp_path, "extends = 'b.toml'", "a.toml")
    written(tmp_path, "extends = 'c.toml'", "b.toml")
    written(tmp_path, "extends = 'a.toml'", "c.toml")
    said = message(lambda: resolve(str(tmp_path / "a.toml")))
    assert "circle: a.toml -> b.toml -> c.toml -> a.toml" in said
    own = written(tmp_path, "extends = ['own.toml']")
    assert "circle: own.toml -> own.toml" in message(lambda: resolve(own))


def test_a_circle_through_a_link_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path, "extends = 'link.toml'")
    (tmp_path / "link.toml").symlink_to("own.toml")
    assert "circle" in message(lambda: resolve(path))


def test_the_same_base_twice_is_no_circle(tmp_path: Path) -> None:
    written(tmp_path, "seed = 1", "base.toml")
    written(tmp_path, "extends = 'base.toml'\nnetwork.width = 8", "a.toml")
    written(tmp_path, "extends = 'base.toml'\nnetwork.depth = 1", "b.toml")
    config = resolve(written(tmp_path, "extends = ['a.toml', 'b.toml']")).config
    assert (config.seed, config.network.width, config.network.depth) == (1, 8, 1)


def test_a_long_chain_and_many_files_come_to_an_end(tmp_path: Path) -> None:
    for n in range(40):
        written(tmp_path, f"extends = 'f{n + 1}.toml'", f"f{n}.toml")
    assert "extends" in message(lambda: resolve(str(tmp_path / "f0.toml")))
    for n in range(14):
        written(tmp_path, f"extends = ['g{n + 1}.toml', 'g{n + 1}.toml']", f"g{n}.toml")
    written(tmp_path, "seed = 1", "g14.toml")
    assert "extends" in message(lambda: resolve(str(tmp_path / "g0.toml")))  # else 2^14 files are read


@pytest.mark.parametrize(
    ("extends", "said"),
    [
        ("'../out.toml'", "outside"),
        ("'sub/../../out.toml'", "outside"),
        ("'link.toml'", "outside"),
        ("'none.toml'", "none.toml"),
        ("'digit-ipc1'", "digits-ipc1?"),
        ("'../presets/digits-ipc1'", "extends"),
        ("5", "extends: must be"),
        ("[5]", "extends: must be"),
        ("['']", "extends: must be"),
        ("{ x = 1 }", "extends: must be"),
        ('"\\u0000.toml"', "extends"),
        ('"\\u0000"', "extends"),
    ],
)
def test_only_presets_and_files_beside_it_may_be_extended(tmp_path: Path, extends: str, said: str) -> None:
    written(tmp_path, "seed = 1", "out.toml")
    path = written(tmp_path / "in", f"extends = {extends}")
    (tmp_path / "in" / "link.toml").symlink_to("../out.toml")
    told = message(lambda: resolve(path))
    assert told.startswith(f"{path}: extends: ")
    assert said in told


def test_an_absolute_path_is_not_extended(tmp_path: Path) -> None:
    other = written(tmp_path, "seed = 1", "elsewhere/out.toml")
    assert "outside" in message(lambda: resolve(written(tmp_path / "in", f"extends = '{other}'")))


def test_a_file_in_a_folder_below_may_be_extended(tmp_path: Path) -> None:
    written(tmp_path, "seed = 8", "bases/low.toml")
    assert resolve(written(tmp_path, "extends = 'bases/low.toml'")).config.seed == 8


def test_the_users_folder_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path / "mine"))
    assert user_dir() == tmp_path / "mine" / "presets"
    assert len(list_presets()) == len([info for info in list_presets() if info.builtin])


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own presets."""
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path / "mine"))
    return tmp_path / "mine" / "presets"


def test_a_saved_preset_is_listed_resolves_and_holds_only_what_differs(mine: Path) -> None:
    config = resolve("digits-ipc1", ["network.width=16", "seed=3", "summary=Mine."]).config
    path = save_user_preset("mine", config, "digits-ipc1")

    assert path == mine / "mine.toml"
    assert path.read_text() == 'extends = "digits-ipc1"\nsummary = "Mine."\nseed = 3\n\n[network]\nwidth = 16\n'
    resolved = resolve("mine")
    assert resolved.config == config
    assert resolved.origins["network.width"] == "preset mine"
    assert resolved.origins["objective.iterations"] == "preset digits-ipc1"
    info = next(info for info in list_presets() if info.name == "mine")
    assert (info.builtin, info.summary, info.dataset) == (False, "Mine.", "digits")
    assert path.stat().st_mode & 0o077 == 0


def test_saving_on_itself_or_on_a_descendant_makes_no_circle(mine: Path) -> None:
    config = resolve("digits-ipc1", ["seed=3"]).config
    save_user_preset("mine", config, "digits-ipc1")
    save_user_preset("child", config, "mine")
    other = resolve("digits-ipc1", ["seed=4"]).config
    save_user_preset("mine", other, "child")
    assert resolve("mine").config == other
    assert "extends" in (mine / "mine.toml").read_text(), "what it extended before"
    assert save_user_preset("mine", config, "mine")
    assert resolve("mine").config == config
    assert (mine / "mine.toml").read_text() == 'extends = "digits-ipc1"\nseed = 3\n'
    save_user_preset("alone", other)
    assert load_config(mine / "alone.toml") == other


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "-x", ".x", "_x", "a\n", "a\0", "x" * 101, "é"]
)
def test_a_preset_cannot_be_saved_outside_its_folder(mine: Path, name: str) -> None:
    assert "name" in message(lambda: save_user_preset(name, resolve("digits-ipc1").config))
    assert not mine.exists()


def test_a_name_that_would_be_read_as_a_file_is_none_for_a_preset(mine: Path) -> None:
    said = message(lambda: save_user_preset("mine.toml", resolve("digits-ipc1").config))
    assert said == "mine.toml would be read as a file: leave out the .toml"
    assert not mine.exists()
    written(mine, "extends = 'digits-ipc1'", "mine.toml.toml")
    (info,) = (info for info in list_presets() if info.name == "mine.toml")
    assert info.summary.startswith("cannot be used: mine.toml would be read as a file")


def test_a_file_whose_name_no_preset_can_have_is_not_said_to_be_missing(mine: Path) -> None:
    written(mine, "extends = 'digits-ipc1'", "größe.toml")
    said = message(lambda: resolve("größe"))
    assert "größe.toml is no preset under this name: größe is no name for a preset: use letters A to Z" in said
    written(mine, "extends = 'größe'", "other.toml")
    assert "is no preset under this name" in message(lambda: resolve("other"))
    assert "no preset is named" in message(lambda: resolve("grösse"))


def test_a_builtin_preset_is_not_replaced(mine: Path) -> None:
    assert "comes with the program" in message(lambda: save_user_preset("digits-ipc1", resolve("digits-ipc1").config))
    assert "no preset" in message(lambda: save_user_preset("mine", resolve("digits-ipc1").config, "nothing"))
    assert not mine.exists()


def test_the_users_preset_of_a_builtin_name_wins_and_may_extend_it(mine: Path) -> None:
    written(mine, "extends = 'digits-ipc1'\nseed = 9", "digits-ipc1.toml")
    assert resolve("digits-ipc1").config.seed == 9
    assert resolve("digits-ipc1").config.synthetic.init == "noise"
    written(mine, "seed = 1", "_mtt.toml")
    assert resolve("cifar10-ipc1").config.experts.count == 100, "the program's presets use the program's bases"


def test_a_broken_preset_is_listed_with_the_reason(mine: Path) -> None:
    for name, text in {"a": "data = 5", "b": "[objective]\niterations = -5", "c": "[dat", "d": "extends = 'd'"}.items():
        written(mine, text, f"{name}.toml")
    (mine / "e.toml").mkdir()
    written(mine, b"\xff", "f.toml")
    reasons = {info.name: info.summary for info in list_presets() if not info.builtin}
    assert sorted(reasons) == ["a", "b", "c", "d", "e", "f"]
    for name, word in zip("abcdef", ("section", "iterations", "TOML", "circle", "folder", "UTF-8"), strict=True):
        assert reasons[name].startswith("cannot be used: ")
        assert word in reasons[name]
        assert str(mine / f"{name}.toml") in reasons[name]
    assert message(lambda: resolve("b")).startswith(f"preset b ({mine / 'b.toml'}): objective.iterations: -5")


def test_dump_writes_every_setting_in_order() -> None:
    text = dump(resolve("digits-ipc1").config)
    assert text.index("summary") < text.index("[data]") < text.index("[network]") < text.index("[execution]")
    assert "extends" not in text


def test_what_is_saved_again_goes_on_extending_what_it_did(mine: Path) -> None:
    save_user_preset("low", resolve("digits-ipc1", ["seed=3"]).config, "digits-ipc1")
    mine.joinpath("both.toml").write_text('extends = ["low", "mnist-ipc1-small"]\nseed = 4\n')
    config = resolve("both", ["network.width=16"]).config
    assert beneath("both", "both") == (("low", "mnist-ipc1-small"), resolve("both", ["seed=3"]).config)
    save_user_preset("both", config, "both")
    assert resolve("both").config == config
    assert load_keys(mine / "both.toml") == {"extends", "seed", "network"}
    save_user_preset("alone", config)
    save_user_preset("alone", resolve("alone", ["seed=5"]).config, "alone")
    assert resolve("alone").config.seed == 5
    assert beneath("alone", "alone")[0] == beneath("new", None)[0] == ()
    assert beneath("new", "both")[0] == ("both",)


def test_ones_own_preset_is_deleted_and_no_other(mine: Path) -> None:
    save_user_preset("low", resolve("digits-ipc1", ["seed=3"]).config, "digits-ipc1")
    save_user_preset("high", resolve("low", ["seed=4"]).config, "low")
    mine.joinpath("digits-ipc1.toml").write_text('extends = "digits-ipc1"\nseed = 9\n')
    mine.joinpath("broken.toml").write_text("extends = ")
    assert "is extended by your high" in message(lambda: delete_user_preset("low"))
    delete_user_preset("high")
    delete_user_preset("low")
    assert "no preset" in message(lambda: resolve("low"))
    assert "no preset of your own" in message(lambda: delete_user_preset("low"))
    assert "no preset of your own" in message(lambda: delete_user_preset("mnist-ipc1"))
    assert "no name" in message(lambda: delete_user_preset("../low"))
    assert resolve("digits-ipc1").config.seed == 9
    delete_user_preset("digits-ipc1")
    assert resolve("digits-ipc1").config.seed == 0, "the program's own is in its place again"


def load_keys(path: Path) -> set[str]:
    return set(tomli.loads(path.read_text()))
