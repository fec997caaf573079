"""Standard output: plain where it is piped, one document where JSON is asked for."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from mim4dd_tui.cli import output
from tests.cli.command import on_terminal


def test_a_piped_table_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    output.table(("name", "n"), [("a", "5"), (long, "1000")], right=(1,))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a" + " " * 299 + "     5"
    assert lines[2] == f"{long}  1000"


def test_json_has_null_for_numbers_that_are_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_json({"std": math.nan, "items": (1.5, math.inf), "path": Path("a/b")})
    assert json.loads(capsys.readouterr().out) == {"std": None, "items": [1.5, None], "path": "a/b"}


def test_only_the_document_reaches_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with output.json_only():
        print("a library talks")
        os.write(1, b"a C library talks\n")
        output.write_json({"a": 1})
    print("after")
    out, err = capfd.readouterr()
    assert json.loads(out.removesuffix("after\n")) == {"a": 1}
    assert "a library talks" in err
    assert "a C library talks" in err


def test_only_the_document_is_printed_where_streams_have_no_descriptors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with output.json_only():
        print("a library talks")
        output.write_json([1])
    out, err = capsys.readouterr()
    assert json.loads(out) == [1]
    assert err == "a library talks\n"


def drawn(call: str, **variables: str) -> list[str]:
    """Lines that a call of ``output`` writes to a terminal."""
    return on_terminal(f"from mim4dd_tui.cli import output\noutput.{call}", variables)


RUNS = (
    "table(('run', 'state', 'progress', 'accuracy', 'begun'),"
    " [('n' * 90 + '-seed-7', 'running', 'distill 120/1000', '87.3 %', '12 min ago'),"
    " ('mine', 'done', '5/5', '-', '3 days ago')], right=(2, 3, 4), names=0)"
)


@pytest.mark.parametrize("columns", [40, 80])
def test_a_last_column_that_is_cut_leaves_the_names_whole(columns: int) -> None:
    rows = [(name, "what it is " * 12) for name in ("digits-ipc1-bptt", "digits-ipc1-bptt-soft")]
    lines = drawn(f"table(('preset', 'summary'), {rows!r}, cut=True)", COLUMNS=str(columns))[2:]
    assert [line.split()[0] for line in lines] == [name for name, _ in rows]
    assert all(len(line.rstrip()) == columns and line.rstrip().endswith("…") for line in lines)


@pytest.mark.parametrize(("columns", "encoding", "mark"), [(80, "utf-8", "…"), (62, "ascii", "~")])
def test_a_long_name_is_shortened_and_leaves_the_other_columns_their_width(
    columns: int, encoding: str, mark: str
) -> None:
    lines = drawn(RUNS, COLUMNS=str(columns), ENCODING=encoding)
    head, _, long, short = (line.replace("|", " ") for line in lines)
    assert head.split() == ["run", "state", "progress", "accuracy", "begun"]
    name, *rest = long.split()
    assert rest == ["running", "distill", "120/1000", "87.3", "%", "12", "min", "ago"]
    assert name.startswith("nn")
    assert name.endswith("seed-7")
    assert name.count(mark) == 1
    assert short.split() == ["mine", "done", "5/5", "-", "3", "days", "ago"]
    assert len(long) == columns, "the name has all the room there is"


def test_a_name_that_fits_is_whole() -> None:
    assert "n" * 90 + "-seed-7" in drawn(RUNS, COLUMNS="160")[2]


def test_a_terminal_table_fits_its_width() -> None:
    lines = drawn("table(('name', 'summary'), [('digits', 'many words ' * 20)])", COLUMNS="60")
    assert len(lines) > 5
    assert max(len(line) for line in lines) <= 60
    assert "".join(lines).count("many") == 20


def test_a_path_beside_a_name_is_never_broken_where_a_terminal_is_narrow() -> None:
    path = "/data/experiments/runs/digits-ipc1-s0-20260101-120000/distilled"
    items = [("run", "digits"), ("state", "failed: " + "many words " * 6 + "at once"), ("distilled set", path)]
    assert drawn(f"pairs({items})", COLUMNS="60") == [
        "run            digits",
        "state          failed: many words many words many words many",
        "               words many words many words at once",
        "distilled set",
        path,
    ]
    assert drawn(f"pairs({items})", COLUMNS="160")[-1] == f"distilled set  {path}"


def test_the_last_column_is_cut_where_that_is_asked_for() -> None:
    rows = [("digits-ipc1", "many words " * 20), ("mnist-ipc1", "few")]
    lines = drawn(f"table(('preset', 'summary'), {rows!r}, cut=True)", COLUMNS="80", PYTHONIOENCODING="utf-8")
    assert len(lines) == 4, "a row takes one line"
    assert all(len(line) <= 80 for line in lines)
    assert lines[2].endswith("…")
