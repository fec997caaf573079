"""Standard output: plain where it is piped, one document where JSON is asked for."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mim4dd_tui.cli import output
from tests.cli.command import environment


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


def test_a_terminal_table_fits_its_width() -> None:
    program = (
        "import os, pty, sys\n"
        "from mim4dd_tui.cli import output\n"
        "main, side = pty.openpty()\n"
        "os.dup2(side, 1)\n"
        "sys.stdout = os.fdopen(1, 'w')\n"
        "output.table(('name', 'summary'), [('digits', 'many words ' * 20)])\n"
        "sys.stdout.flush()\n"
        "sys.stderr.write(os.read(main, 100000).decode())\n"
    )
    env = environment(COLUMNS="60", TERM="xterm-256color", NO_COLOR="1")
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=60)
    lines = re.sub(r"\x1b\[\d*m", "", done.stderr).splitlines()
    assert len(lines) > 5
    assert max(len(line) for line in lines) <= 60
    assert "".join(lines).count("many") == 20
