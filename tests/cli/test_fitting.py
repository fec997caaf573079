"""Text where there is little room: what is shortened, and where lines are broken."""

from __future__ import annotations

import io
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mim4dd_tui.__main__ import main
from mim4dd_tui.fitting import SHORTEST, cut_apart, fitted, homely, shortened, shortened_apart, wrapped


@given(st.text(alphabet=string.ascii_lowercase + "é数…-", max_size=30), st.integers(1, 30), st.booleans())
def test_a_shortened_text_has_as_many_cells_as_it_may_have(text: str, width: int, middle: bool) -> None:
    short = shortened(text, width, middle=middle)
    assert short == text if cell_len(text) <= width else cell_len(short) == width


@pytest.mark.parametrize(
    ("width", "short"),
    [
        (31, "digits-ipc1-s3-20260101-120000"),
        (20, "digits…260101-120000"),
        (SHORTEST, "di…20000"),
        (7, "digits…"),
        (1, "…"),
    ],
)
def test_what_is_left_out_is_in_the_middle_where_both_ends_can_be_read(width: int, short: str) -> None:
    assert shortened("digits-ipc1-s3-20260101-120000", width) == short


def test_what_is_left_out_can_be_the_end_and_any_sign_its_mark() -> None:
    assert shortened("many words at once", 10, ".", middle=False) == "many word."
    assert shortened("many words at once", 10, "~") == "man~t once"


@pytest.mark.parametrize("width", [7, 9, 12, 16, 20])
def test_names_keep_what_tells_them_apart(width: int) -> None:
    names = [f"quick-s{seed}-20261126-224053" for seed in (0, 2, 12)]
    short = shortened_apart(names, width)
    assert len(set(short)) == 3
    for name, seed in zip(short, ("s0", "s2", "s12"), strict=True):
        assert seed in name
        assert cell_len(name) <= width


@pytest.mark.parametrize(
    ("width", "short"),
    [(12, "di…s0…195253"), (16, "digits…s0…195253"), (30, "digits-ipc1-dream-s0…195253")],
)
def test_names_that_differ_in_several_places_keep_them_all_in_one_way(width: int, short: str) -> None:
    stamps = [("s0", "195253"), ("s2", "195253"), ("s0", "195621"), ("s1", "195702")]
    names = [f"digits-ipc1-dream-{seed}-20261127-{time}" for seed, time in stamps]
    told = shortened_apart(names, width)
    assert told == [short.replace("s0", seed).replace("195253", time) for seed, time in stamps]
    alone = "a-b"
    assert shortened_apart([*names, alone], width)[-1] == alone


DM = "digits-ipc1-distribution-s0-20261128-093216"
SMALL, DREAM, MINE = "mnist-ipc1-small-s0-20261128-021034", "mnist-ipc1-dream-small-s0-20261128-022000", "mine"


@pytest.mark.parametrize(
    ("names", "width", "short"),
    [
        ([SMALL, MINE], 35, [SMALL, MINE]),
        ([SMALL, MINE], 34, ["mnist-ipc1-small-s0…021034", MINE]),
        ([SMALL, MINE], 25, ["mnist-ipc1-small-s0…", MINE]),
        ([SMALL, MINE], 19, ["mnist-ipc1-small…s0", MINE]),
        ([SMALL, DREAM], 25, ["mnist-ipc1-small-s0…", "mnist-ipc1-dream-small…s0"]),
        ([SMALL, DREAM], 18, ["mnist-ipc1-smal…s0", "mnist-ipc1-drea…s0"]),
        ([DM, DM.replace("-distribution", "")], 14, ["dig…ibution-s0", "digits-ipc1-s0"]),
        ([DM, MINE], 13, ["digits-ipc…s0", MINE]),
        ([SMALL, f"{SMALL}-2"], 27, ["mnist-ipc1-small-s0…021034", "mnist-ipc1-smal…s0…021034-2"]),
        ([SMALL, SMALL.replace("1034", "1035")], 25, ["mnist-ipc1-smal…s0…021034", "mnist-ipc1-smal…s0…021035"]),
        ([SMALL, SMALL.replace("1128", "1129")], 31, [f"mnist-ipc1-small-s0…112{day}-021034" for day in (8, 9)]),
    ],
)
def test_a_runs_name_loses_its_date_first_and_of_preset_and_seed_the_least(
    names: list[str], width: int, short: list[str]
) -> None:
    assert shortened_apart(names, width) == short
    assert shortened_apart(names[::-1], width) == short[::-1]


DATED = st.tuples(
    st.sampled_from(["mnist-ipc1", "mnist-ipc1-small", "mnist-ipc1-soft", "own"]),
    st.sampled_from([0, 1, 12]),
    st.sampled_from(["20261128-021034", "20261129-021034", "20261129-021035", "20271129-021035-2"]),
).map(lambda parts: f"{parts[0]}-s{parts[1]}-{parts[2]}")


@given(st.lists(st.one_of(DATED, st.sampled_from(["mine", "another-of-mine-that-is-long"])), max_size=6))
def test_names_of_runs_fit_and_stay_different(names: list[str]) -> None:
    for width in range(1, 36):
        short = shortened_apart(names, width)
        assert all(cell_len(text) <= width for text in short)
        assert width < 24 or len(set(short)) == len(set(names))


def test_names_are_told_apart_by_whole_words() -> None:
    short = shortened_apart(["cifar10-ipc10-dream", "cifar100-ipc10-dream"], 18)
    assert short == ["cifar10…pc10-dream", "cifar100…c10-dream"]


@given(st.lists(st.text(alphabet="ab-é数", max_size=20), max_size=6), st.integers(1, 20))
def test_texts_shortened_together_fit_and_stay_as_different_as_each_alone(texts: list[str], width: int) -> None:
    short = shortened_apart(texts, width)
    assert all(cell_len(text) <= width for text in short)
    assert len(set(short)) >= len({shortened(text, width) for text in texts})
    assert all(a == b for a, b in zip(texts, short, strict=True) if cell_len(a) <= width)


WORDS = st.lists(st.text(alphabet="ab/`é数", min_size=1, max_size=30), min_size=1).map(" ".join)


@given(WORDS, st.integers(2, 40), st.booleans())
def test_lines_have_every_word_and_are_no_longer_than_they_must_be(text: str, width: int, within_paths: bool) -> None:
    lines = wrapped(text, width, within_paths=within_paths)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        whole = " " not in line and (not within_paths or "/" not in line.rstrip("/"))
        assert cell_len(line) <= width or whole


SAID = "run digits is over (stopped); `mim4dd resume digits` continues it from runs/digits/checkpoints"


def test_lines_are_broken_between_words_and_a_command_is_one() -> None:
    assert wrapped(SAID, 50) == [
        "run digits is over (stopped);",
        "`mim4dd resume digits` continues it from",
        "runs/digits/checkpoints",
    ]
    assert wrapped("  " + SAID, 26)[:4] == [
        "  run digits is over",
        "  (stopped);",
        "  `mim4dd resume digits`",
        "  continues it from",
    ]
    assert wrapped("two  spaces\n\nstay where there is room", 24) == ["two  spaces", "", "stay where there is room"]


def test_a_path_longer_than_a_line_is_whole_or_broken_after_slashes() -> None:
    path = "/data/experiments/2026/runs/digits-ipc1-s0-20260101-120000/exports"
    text = f"3 plots in {path} and more"
    assert wrapped(text, 40) == ["3 plots in", path, "and more"]
    assert wrapped(text, 40, within_paths=True) == [
        "3 plots in /data/experiments/2026/runs/",
        "digits-ipc1-s0-20260101-120000/exports",
        "and more",
    ]


def test_the_home_folder_is_a_tilde_at_the_beginning_of_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert homely("from /home/ann/runs to '/home/ann': done") == "from ~/runs to '~': done"
    for other in ("/home/anna/runs", "/mnt/home/ann/runs", "/home/ann-2"):
        assert homely(other) == other
    monkeypatch.setenv("HOME", "/")
    assert homely("/data/runs") == "/data/runs"


def test_in_a_command_paths_stay_whole_for_quotes_hide_the_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    said = "no run in /home/ann/my runs; `mim4dd runs --runs-dir '/home/ann/my runs'` lists those of /home/ann/my runs"
    told = "no run in ~/my runs; `mim4dd runs --runs-dir '/home/ann/my runs'` lists those of ~/my runs"
    assert homely(said) == fitted(said, io.StringIO()) == told


def test_a_folder_is_spelled_alike_however_it_was_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for wanted in (str(tmp_path / "mine"), "~/mine"):
        assert main(["runs", "--runs-dir", wanted]) == 0
        assert f"There are no runs in ~/mine; start one with `mim4dd run digits-ipc1 --runs-dir {tmp_path}/mine`" in (
            capsys.readouterr().err
        )
        assert main(["show", "x", "--runs-dir", wanted]) == 3
        assert "there is no run 'x' in ~/mine" in capsys.readouterr().err
    assert main(["runs", "--runs-dir", "mine"]) == 0
    assert "There are no runs in mine;" in capsys.readouterr().err


class Screen(io.StringIO):
    """A stream that leads to a terminal."""

    def isatty(self) -> bool:
        return True


def test_only_a_terminal_gets_lines_of_its_width(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert fitted(SAID, Screen()).count("\n") == 2
    assert fitted(SAID, io.StringIO()) == SAID
    monkeypatch.delenv("COLUMNS")
    assert fitted(SAID, Screen()) == SAID, "one that does not say how wide it is"
    with (tmp_path / "log").open("w") as file:
        assert fitted(SAID, file) == SAID
    assert fitted(SAID, file) == SAID, "a stream that is gone"


@pytest.mark.parametrize(
    ("width", "short"), [(14, "digits-ipc1 s"), (8, "di…c1 s"), (7, "digi…s"), (6, "dig…s"), (5, "di…s")]
)
def test_a_seed_is_the_last_that_a_short_name_loses(width: int, short: str) -> None:
    assert shortened_apart(["digits-ipc1 s1", "digits-ipc1 s0"], width) == [f"{short}1", f"{short}0"]


@pytest.mark.parametrize("width", range(12, 31))
def test_names_of_an_analysis_stay_apart_among_others(width: int) -> None:
    cells = [f"digits-ipc1-weight-{value}-9f5635-s{seed}" for value in (0, 3) for seed in (0, 1)]
    others = ["digits-ipc1 s0", "digits-ipc1-distribution s1", "digits-ipc1-9f5635-s0", "digits-ipc1-9f5635-s1", "mine"]
    brief = shortened_apart([*others, *cells], width)
    assert len(set(brief)) == len(brief), brief
    assert all(len(text) <= width for text in brief)


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        (["color_crop_scale", "color_crop_cutout_scale", "none"], ["…scale", "…cutout…", "none"]),
        (["color_crop_scale", "color_crop_scale"], ["color_c…", "color_c…"]),
        (["representative", "random"], ["represe…", "random"]),
        (["0.1", "0.30000000000004"], ["0.1", "0.30000…"]),
    ],
)
def test_values_that_differ_are_cut_so_that_they_still_do(texts: list[str], short: list[str]) -> None:
    assert cut_apart(texts, 8) == short


@pytest.mark.parametrize("width", range(8, 22))
def test_names_with_seeds_lose_their_middle_once_and_keep_their_seed(width: int) -> None:
    names = ["digits-ipc1-soft s1", "digits-ipc1-bptt-soft s1", "digits-ipc1-bptt-soft s0", "digits-ipc1-dream s0"]
    for name, short in zip(names, shortened_apart(names, width), strict=True):
        assert "……" not in short
        assert short.endswith(name[-2:])
        assert len(short) <= width
