"""Every analysis on runs of a second, from a preset to its document, table and figure."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image, ImageDraw, ImageFont

from engine import execution
from engine.analysis import alike
from engine.analysis.ask import COMPARISONS, analyse
from engine.analysis.cells import Cell, Document, Places
from engine.analysis.estimates import paired
from engine.analysis.losses import ending
from engine.analysis.plan import WITH, NotFinishedError, Plan
from engine.analysis.sweep import SWEEPS, sweep_of
from engine.analysis.tables import column, markdown, mean_apart, mean_matrix
from engine.compilation import CompilationFailed
from engine.config.load import dump
from engine.errors import ConfigError, RunFailed
from mim4dd_tui.plots.analyses import _seeds, caption, cka_page, draw, sheet, sweep_page
from mim4dd_tui.plots.page import Area, Words
from tests.distill.helpers import quickly, tiny

NAMES = (*SWEEPS, *COMPARISONS, "information.temperature")
VALUES = {"information.temperature": ["0.1", "0.5"], "lambda": ["0", "0.3", "3"]}


@dataclass(frozen=True)
class Bench:
    """A preset of tiny runs and the places they are kept in."""

    target: str
    places: Places

    def plan(self, **changes: Any) -> Plan:
        values = {"target": self.target, "seeds": [0, 1], "places": self.places, **changes}
        return Plan(**values)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("analyses")
    path = folder / "mine.toml"
    path.write_text(dump(tiny(objective__iterations=3, evaluation__every=0, evaluation__random_draws=1)))
    with quickly(2):
        yield Bench(str(path), Places(folder / "cells", folder / "runs", cache=folder / "cache"))


@pytest.fixture(scope="module")
def documents(bench: Bench) -> dict[str, Document]:
    return {name: analyse(name, bench.plan(), VALUES.get(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_json_a_table_and_a_picture(bench: Bench, documents: dict[str, Document], name: str) -> None:
    document = json.loads(json.dumps(documents[name], allow_nan=False))
    assert document["analysis"] == name
    assert document["missing"] == document["waiting"] == []
    table = markdown(document)
    assert "`mine`; protocol quick-100; seeds 0, 1." in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1, "as many cells in every row"
    said = next((line for line in table.splitlines() if line.startswith("± is ")), "")
    assert ("95 % interval over seeds in the table" in said) == any("±" in row for row in rows)
    assert ("deviation over networks in the baselines" in said) == ("±" in table.splitlines()[0])
    assert "nan" not in table
    with Image.open(io.BytesIO(draw(document, bench.places.cells))) as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("RGB").resize((200, 100)).get_flattened_data())) > 5, "something is drawn"


@pytest.mark.parametrize("name", NAMES)
def test_asked_again_nothing_is_run(bench: Bench, documents: dict[str, Document], name: str) -> None:
    with mock.patch.object(Cell, "run", side_effect=AssertionError("it was run")):
        assert analyse(name, bench.plan(), VALUES.get(name)) == documents[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [("lambda", "bars: 95 % intervals over seeds"), ("loss", "bands: 95 % intervals over seeds"), ("grids", "best")],
)
def test_a_figure_says_what_its_bars_are_and_what_was_set(
    bench: Bench, documents: dict[str, Document], name: str, said: str
) -> None:
    changed = {**documents[name], "set": {"objective.iterations": "60", "information.weight": "0.2"}}
    assert caption(changed).startswith(said)
    assert "objective.iterations 60, information.weight 0.2; protocol quick-100" in caption(changed)
    pictures = []
    for document in (documents[name], changed, {**changed, "set": {f"a.{n}": "x" * 9 for n in range(30)}}):
        with Image.open(io.BytesIO(draw(document, bench.places.cells))) as picture:
            pictures.append(picture.convert("L"))
    assert pictures[0].height <= pictures[1].height < pictures[2].height, "a long one takes more lines"
    edge = pictures[2].crop((pictures[2].width - 6, pictures[0].height, *pictures[2].size))
    assert edge.getextrema() == (255, 255), "and does not run off"


def test_a_sweep_compares_with_the_run_without_the_term_and_others_with_the_presets_value(
    documents: dict[str, Document],
) -> None:
    weights, critic = documents["lambda"], documents["critic"]
    assert weights["reference"] == "0"
    assert weights["own"] == "0.3"
    assert [row["value"] for row in critic["rows"]] == ["without", "0", "1", "2"]
    assert critic["reference"] == critic["own"] == "1"
    assert column(critic, "without", "best") == column(weights, "0", "best"), "one cell, and both have it"
    assert column(critic, "1", "best") == column(weights, "0.3", "best")
    assert column(weights, "0", "nats") == [None, None]
    ours, theirs = column(weights, "3", "best"), column(weights, "0", "best")
    difference = paired(ours, theirs)
    assert f"{difference.mean * 100:+.1f} ± {difference.half * 100:.1f}" in markdown(weights)


def test_the_curves_of_the_loss_start_at_one_point_and_part(documents: dict[str, Document]) -> None:
    curves = documents["loss"]["curves"]
    ours, theirs = curves["with the term"]["values"], curves["without"]["values"]
    for a, b in zip(ours, theirs, strict=True):
        assert a[0] == b[0], "the first loss is that of the same images"
        assert a[1:] != b[1:]
    assert ours[0][0] != ours[1][0], "and seeds differ"


def test_where_a_curve_ends() -> None:
    assert ending([9.0] * 18 + [1.0, 3.0]) == 2.0
    assert ending([5.0, 1.0]) == 1.0
    assert ending([1.0, None]) is None
    assert ending([]) is None


def test_cka_is_measured_on_the_runs_own_networks(bench: Bench, documents: dict[str, Document]) -> None:
    document = documents["cka"]
    assert document["layers"] == ["block 1", "logits"]
    assert document["networks"] == 2
    for row in document["rows"]:
        for cell in row["cells"]:
            assert len(cell["unbiased"]) == len(cell["biased"]) == 2
            assert cell["unbiased"] != cell["biased"]
            assert 0 < cell["biased"][0][0] <= 1
    cell = bench.plan().cell(WITH, 0)
    side = bench.places.cells / f"{cell.name}.cka.json"
    kept = json.loads(side.read_text())
    side.write_text(json.dumps({**kept, "fingerprint": "of another set", "unbiased": [[0.0]]}))
    assert analyse("cka", bench.plan()) == document, "measured anew, to the same bits"


def test_a_picture_that_is_gone_is_drawn_again(bench: Bench, documents: dict[str, Document]) -> None:
    names = [cell["picture"] for row in documents["grids"]["rows"] for cell in row["cells"]]
    assert len(set(names)) == 4
    (bench.places.cells / names[0]).unlink()
    stale = bench.places.cells / f"{names[0].split('.')[0]}.00000000.png"
    stale.write_bytes(b"of an earlier set")
    assert analyse("grids", bench.plan()) == documents["grids"]
    assert (bench.places.cells / names[0]).exists()
    assert not stale.exists()


def test_a_failed_run_is_told_and_leaves_its_pair_out(bench: Bench, documents: dict[str, Document]) -> None:
    measure = Plan.measure
    told: list[str] = []

    def failing(self: Plan, cell: Cell) -> Document:
        if cell.seed == 1 and dict(cell.changes).get("information.weight") == "3":
            raise RunFailed("the numbers lost their meaning")
        return measure(self, cell)

    with mock.patch.object(Plan, "measure", failing):
        document = analyse("lambda", bench.plan(tell=told.append), VALUES["lambda"])
    assert column(document, "3", "best") == [column(documents["lambda"], "3", "best")[0], None]
    assert [item["reason"] for item in document["missing"]] == ["the numbers lost their meaning"]
    assert any("failed: the numbers" in text for text in told)
    table = markdown(document)
    assert "failed: the numbers lost their meaning" in table
    assert "| 3 | 1 |" in table
    assert draw(document, bench.places.cells).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["lambda", "loss", "cka", "grids"])
def test_asked_for_what_is_finished_it_runs_nothing(bench: Bench, documents: dict[str, Document], name: str) -> None:
    values = VALUES.get(name)
    with mock.patch.object(Cell, "run", side_effect=AssertionError("it was run")):
        assert analyse(name, bench.plan(finished=True), values) == documents[name]
        more = analyse(name, bench.plan(finished=True, seeds=[0, 1, 7]), values)
    assert len(more["waiting"]) == len(documents[name]["rows"])
    assert more["missing"] == []
    assert "Not finished: " in markdown(more)
    assert "the rest is named" not in markdown(more)
    many = {**more, "waiting": [f"seed-{n}" for n in range(9)]}
    assert f"`seed-5`; the rest is named in {name}.json beside this." in markdown(many)
    assert [cell is None for cell in more["rows"][0]["cells"]] == [False, False, True]
    assert draw(more, bench.places.cells).startswith(b"\x89PNG")


def test_a_finished_run_is_taken_where_its_cell_is_gone(bench: Bench, documents: dict[str, Document]) -> None:
    cell = bench.plan().cell(WITH, 0)
    (bench.places.cells / f"{cell.name}.json").unlink()
    with mock.patch.object(Cell, "run", side_effect=AssertionError("it was run")):
        assert analyse("loss", bench.plan(finished=True)) == documents["loss"]


@pytest.mark.parametrize("finished", [True, False])
def test_a_finished_run_of_the_same_settings_is_taken_whatever_it_is_called(
    bench: Bench, documents: dict[str, Document], tmp_path: Path, finished: bool
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(bench.places.runs, runs)
    for number, path in enumerate(sorted(runs.iterdir())):
        path.rename(runs / f"queued-{number}")
    places = Places(tmp_path / "cells", runs, cache=bench.places.cache)
    told: list[str] = []
    with mock.patch.object(Cell, "run", side_effect=AssertionError("it was run")):
        plan = bench.plan(places=places, finished=finished, tell=told.append)
        assert analyse("lambda", plan, VALUES["lambda"]) == documents["lambda"]
    assert len([text for text in told if "is finished and has the same settings" in text]) == 6
    (runs / "queued-0" / "config.toml").write_text("[")
    with pytest.raises(NotFinishedError, match="or any other with the same settings"):
        analyse("lambda", bench.plan(places=places, finished=True, seeds=[5]), VALUES["lambda"])


@pytest.mark.parametrize("name", ["lambda", "critic", "loss", "cka", "grids"])
def test_where_every_run_fails_there_is_a_table_that_says_so(bench: Bench, name: str) -> None:
    with mock.patch.object(Plan, "measure", side_effect=RunFailed("no")):
        document = analyse(name, bench.plan(), VALUES.get(name))
    assert "±" not in markdown(document), "nor is it explained"
    assert len(document["missing"]) == sum(len(row["cells"]) for row in document["rows"])
    assert "failed: no" in markdown(document)
    assert draw(document, bench.places.cells).startswith(b"\x89PNG")


def test_what_cannot_be_analysed_is_refused_before_anything_is_run(bench: Bench) -> None:
    without = bench.plan(changes=[("information.weight", "0")])
    with mock.patch.object(Cell, "run", side_effect=AssertionError("it was run")):
        for name in ("critic", "beta", *COMPARISONS):
            with pytest.raises(ConfigError, match="no term"):
                analyse(name, without)
        with pytest.raises(ConfigError, match="takes no values"):
            analyse("loss", bench.plan(), ["1", "2"])
        with pytest.raises(ConfigError, match=r"information\.grid"):
            analyse("information.grid", bench.plan(), ["2", "many"])
        with pytest.raises(ConfigError, match=r"did you mean information\.weight"):
            analyse("information.wieght", bench.plan(), ["1", "2"])
        for name, values, said in (
            ("information.grid", None, "at least two values"),
            ("information.grid", ["2"], "at least two values"),
            ("information.grid", ["2", "2.0"], "twice"),
            ("seed", ["1", "2"], "no setting to compare"),
            ("summary", ["a", "b"], "no setting to compare"),
            ("execution.threads", ["1", "2"], "no setting to compare"),
        ):
            with pytest.raises(ConfigError, match=said):
                sweep_of(name, values)


def test_a_sweep_of_the_weight_without_a_zero_compares_with_its_own(bench: Bench) -> None:
    with mock.patch.object(Plan, "measure", side_effect=RunFailed("no")):
        assert analyse("lambda", bench.plan(), ["0.3", "3"])["reference"] == "0.3"
        assert analyse("lambda", bench.plan(), ["3", "4"])["reference"] == "3"
        of_the_base = analyse("objective.student_steps", bench.plan(), ["2", "3"])
    assert [row["value"] for row in of_the_base["rows"]] == ["2", "3"], "which needs no row without the term"


def test_where_experts_cannot_be_compiled_they_are_trained_uncompiled_and_it_is_said(bench: Bench) -> None:
    said: list[str] = []
    tried: list[bool] = []

    def ensured(*_: Any, execution: dict[str, Any], **__: Any) -> str:
        tried.append("compile" in execution)
        if tried[-1]:
            raise CompilationFailed("g++ failed")
        return "experts"

    resolved = execution.Resolved("cpu", "float32", False, 1, "", "", compile_experts=True)
    nothing: Any = None
    with mock.patch.object(alike, "ensure", ensured):
        found = alike._experts(nothing, nothing, nothing, nothing, resolved, bench.plan(tell=said.append))
    assert str(found) == "experts"
    assert tried == [True, False]
    assert [text.partition(":")[0] for text in said] == ["compilation failed (g++ failed)"]


@pytest.mark.parametrize(("counts", "told"), [([3, 3], "3 seeds"), ([2, 3, 0], "0 to 3 seeds"), ([1, 1], "1 seed")])
def test_a_figure_says_on_how_many_seeds_it_rests(counts: list[int], told: str) -> None:
    assert _seeds(counts) == told


def of_one_seed(document: Document, seed: int = 0) -> Document:
    """What the same analysis gives for one of its two seeds."""
    rows = [{**row, "cells": [row["cells"][seed]]} for row in document["rows"]]
    curves = {name: {**c, "values": [c["values"][seed]]} for name, c in document.get("curves", {}).items()}
    return {**document, "seeds": [document["seeds"][seed]], "rows": rows, "curves": curves}


@pytest.mark.parametrize("name", NAMES)
def test_of_one_seed_nothing_is_said_of_several(bench: Bench, documents: dict[str, Document], name: str) -> None:
    document = of_one_seed(documents[name])
    said, table = caption(document), markdown(document)
    assert "over seeds" not in said
    assert "over seeds" not in table
    assert "protocol quick-100; seed 0." in table
    assert "1 pairs" not in table
    if name == "loss":
        assert said.startswith("no bands: one seed has no interval; ")
    elif name not in COMPARISONS:
        assert said.startswith("no bars: one seed has no interval; ")
    assert draw(document, bench.places.cells).startswith(b"\x89PNG")


def test_what_there_is_one_of_is_told_so(documents: dict[str, Document]) -> None:
    document = {**of_one_seed(documents["cka"]), "networks": 1, "images": 1, "waiting": ["mine-s7"]}
    table = markdown(document)
    assert table.count("| 1 pair |") == 2
    assert "on 1 test image; 1 pair a seed." in table
    assert "Not finished: 1 run. `mine-s7`." in table
    assert caption(document).startswith("1 pair of networks; on 1 test image; ")


def test_cka_says_between_which_networks_and_on_which_images(documents: dict[str, Document]) -> None:
    document = documents["cka"]
    images = f"{document['images']} test images"
    assert (
        "Linear CKA between experts (trained on the real images) and networks trained on the distilled set, on "
        f"{images}; 2 pairs a seed." in markdown(document)
    )
    assert caption(document).startswith(f"means over 2 pairs of networks a seed, and over seeds; on {images}; ")
    assert caption(of_one_seed(document)).startswith(f"means over 2 pairs of networks; on {images}; ")


def long(words: Words) -> float:
    return float(ImageFont.load_default(words.size).getlength(words.text))


def lie_apart(words: list[Words]) -> None:
    for each, other in combinations(words, 2):
        (left, width), (start, _) = sorted((begin(word), long(word)) for word in (each, other))
        apart = each.at[1] != other.at[1] or left + width + 3 <= start
        assert apart, f"{each.text!r} touches {other.text!r}"


def begin(words: Words) -> float:
    return words.at[0] - long(words) * {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor]


@pytest.mark.parametrize("depth", [1, 3, 5, 6])
def test_cka_is_drawn_with_its_sides_named_and_inside_the_page(documents: dict[str, Document], depth: int) -> None:
    layers = [*(f"block {n + 1}" for n in range(depth)), "logits"]
    square = [[0.5] * len(layers)] * len(layers)
    cells = [{"seed": 0, "unbiased": square, "biased": square}]
    rows = [{**row, "cells": cells} for row in documents["cka"]["rows"]]
    page = cka_page({**documents["cka"], "layers": layers, "rows": rows})
    long_named = cka_page(
        {**documents["cka"], "layers": layers, "rows": rows, "preset": "a-long-name-of-one's-own" * 4}
    )
    heading = next(shape for shape in long_named.shapes if isinstance(shape, Words))
    assert begin(heading) + long(heading) <= page.width, "it is cut off"
    words = [shape for shape in page.shapes if isinstance(shape, Words)]
    told = [each.text for each in words]
    assert told[0] == "mine: linear CKA between networks, unbiased estimator, 1 seed"
    assert told.count("down: trained on the real images") == told.count("across: trained on the distilled set") == 3
    squares = [shape for shape in page.shapes if isinstance(shape, Area)]
    assert len(squares) == 3 * len(layers) ** 2
    assert max(x for shape in squares for x, _ in shape.points) <= page.width - 8, "a margin at the right too"
    for each in words:
        assert 0 <= begin(each) <= begin(each) + long(each) <= page.width, each.text
        assert each.at[1] <= page.height
    lie_apart(words)
    below = max(y for shape in squares for _, y in shape.points)
    named = [each for each in words if each.text.startswith("across")]
    assert all(each.at[1] - each.size > below + 11 for each in named), "below the columns' names"


@pytest.mark.parametrize("values", [("0", "1"), tuple(f"0.{n:04}" for n in range(14)), ("a-long-value" * 3, "0")])
def test_a_sweeps_values_and_headings_lie_apart(values: tuple[str, ...]) -> None:
    rows = [{"value": value, "cells": [{"seed": 0, "best": 0.5, "last": 0.4}]} for value in values]
    preset = "a-long-name-of-one's-own-that-says-what-is-in-it.toml on digits-ipc1"
    document = {"analysis": "x", "setting": "x", "reference": values[1], "preset": preset, "rows": rows}
    page = sweep_page(document)
    words = [shape for shape in page.shapes if isinstance(shape, Words)]
    assert {*values, f"{preset}: accuracy (%), 1 seed"} <= {each.text for each in words}
    lie_apart(words)
    assert all(0 <= begin(each) <= begin(each) + long(each) <= page.width for each in words)


def test_the_difference_of_cka_is_drawn_of_the_pairs_alone(documents: dict[str, Document]) -> None:
    ours, theirs = documents["cka"]["rows"]
    rows = [ours, {**theirs, "cells": [theirs["cells"][0], None]}]
    document = {**documents["cka"], "rows": rows}
    one = of_one_seed(documents["cka"])
    ours_at_0, theirs_at_0 = (mean_matrix(one, row["value"], "unbiased") for row in one["rows"])
    expected = [[a - b for a, b in zip(*lines, strict=True)] for lines in zip(ours_at_0, theirs_at_0, strict=True)]
    assert mean_apart(document, "unbiased") == expected
    page = cka_page(document)
    assert "1 to 2 seeds" in next(shape.text for shape in page.shapes if isinstance(shape, Words))
    texts = [shape.text for shape in page.shapes if isinstance(shape, Words)]
    assert [text for text in texts if text[0] in "+-"] == [f"{round(v, 3) + 0.0:+.3f}" for row in expected for v in row]


def test_a_sheet_of_pictures_names_its_preset_above(bench: Bench, documents: dict[str, Document]) -> None:
    written: list[tuple[float, str]] = []
    real = ImageDraw.ImageDraw.text

    def text(pen: Any, at: tuple[float, float], words: str, *arguments: Any, **named: Any) -> None:
        written.append((at[1], words))
        real(pen, at, words, *arguments, **named)

    with mock.patch.object(ImageDraw.ImageDraw, "text", text):
        sheet(documents["grids"], bench.places.cells)
    assert " ".join(words.strip() for _, words in sorted(written)).startswith("mine: distilled images with the term")


def test_what_stands_over_small_pictures_lies_apart(tmp_path: Path) -> None:
    Image.new("RGB", (20, 8)).save(tmp_path / "p.png")
    cells = [{"seed": 10 + place, "best": 0.9, "picture": "p.png"} for place in range(3)]
    rows = [{"value": "without", "cells": cells}, {"value": "with", "cells": [*cells[:2], None]}]
    document: Document = {"analysis": "grids", "preset": "mine", "rows": rows, "set": [], "protocol": "quick-100"}
    written: list[tuple[float, float, float]] = []

    def text(_: Any, at: tuple[float, float], words: str, **named: Any) -> None:
        written.append((at[1], at[0], at[0] + named["font"].getlength(words)))

    with mock.patch.object(ImageDraw.ImageDraw, "text", text):
        whole = Image.open(io.BytesIO(sheet(document, tmp_path))).width
    for (line, _, end), (following, start, _) in pairwise(sorted(written)):
        assert line != following or end + 3 <= start
    assert max(end for _, _, end in written) <= whole
