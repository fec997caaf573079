"""Plots on paper: what an exported SVG or PNG shows is what the screen shows."""

from __future__ import annotations

import io
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageFont

from engine.config.load import changed, resolve
from engine.events import Evaluation, Iteration
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.comparison import NAMED, figure, legend, settings
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.exports import Plot, export
from mim4dd_tui.plots import Band, Figure, Level, Series, Viewport, draw
from mim4dd_tui.plots.figure import DEVIATION, Moment
from mim4dd_tui.plots.page import Area, Page, Stroke, Words, to_png, to_svg
from mim4dd_tui.plots.paper import lay_out


def test_paper_shows_what_the_screen_shows() -> None:
    x = np.arange(1, 101, dtype=float)
    y = np.where((x > 40) & (x < 50), np.nan, np.sqrt(x))
    band = Series("mean <&>", x, y, 2, band=Band(y - 1, y + 1))
    figure = Figure((band,), (Level("log C", 9.5, 3),))
    page = lay_out(figure, Viewport(smoothing=0.5), {2: "#aa0000", 3: "#00aa00"}, "a title")
    svg = to_svg(page)
    root = ElementTree.fromstring(svg)
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"a title", "log C", "mean <&>", "smooth 0.5"} <= set(words)
    strong = [s for s in page.shapes if isinstance(s, Stroke) and s.colour == "#aa0000" and s.opacity == 1.0]
    assert len(strong) == 2, "the gap is not drawn as a gap"
    image = Image.open(io.BytesIO(to_png(page)))
    assert image.size == (1800, 840)
    colours = {colour for _, colour in image.getcolors(1 << 20) or ()}
    assert (0xAA, 0, 0) in colours


def test_a_spike_in_20000_points_is_on_the_paper() -> None:
    x = np.arange(20_000, dtype=float)
    y = np.zeros(20_000)
    y[12_345] = 5.0
    page = lay_out(Figure((Series("a", x, y, 1),)), Viewport(), {1: "#123456"}, "t")
    (curve,) = (s for s in page.shapes if isinstance(s, Stroke) and s.colour == "#123456")
    assert len(curve.points) < 5000
    heights = [point[1] for point in curve.points]
    assert min(heights) < max(heights) - 200


def test_an_empty_figure_says_so() -> None:
    assert "nothing yet" in to_svg(lay_out(Figure(empty="nothing yet"), Viewport(), {}, "t"))


def test_a_smoothed_curve_stays_within_its_frame_where_it_is_far_from_the_raw_one() -> None:
    x = np.arange(1.0, 1001.0)
    figure = Figure((Series("objective", x, np.exp(-x / 40) * 5 + 0.01, 1),))
    page = lay_out(figure, Viewport(x=(150.0, 400.0), smoothing=0.99), {1: "#112233"}, "t")
    curves = [shape for shape in page.shapes if isinstance(shape, Stroke) and shape.colour == "#112233"]
    assert len(curves) == 2, "the raw one, and the smoothed one over it"
    heights = [y for curve in curves for _, y in curve.points]
    assert 40 < min(heights) < max(heights) < page.height - 30


def test_a_curve_of_one_point_is_seen() -> None:
    one = np.array([3.0])
    page = lay_out(Figure((Series("objective", one, one, 1),)), Viewport(), {1: "#112233"}, "t")
    image = np.array(Image.open(io.BytesIO(to_png(page))).convert("RGB"))
    below_the_legend = (image == [0x11, 0x22, 0x33]).all(axis=2)[130:]
    assert below_the_legend.any()


def test_marks_alone_are_joined_by_nothing() -> None:
    x = np.array([1.0, 2.0, 3.0])
    page = lay_out(Figure((Series("asked for", x, x, 1, markers=True, line=False),)), Viewport(), {1: "#112233"}, "t")
    strokes = [shape for shape in page.shapes if isinstance(shape, Stroke) and shape.colour == "#112233"]
    assert [stroke.points[1][0] - stroke.points[0][0] for stroke in strokes] == [4.0] * 3


def test_a_pane_too_narrow_for_its_labels_says_so() -> None:
    x = np.array([1.0, 2.0])
    figure = Figure((Series("a", x, x * 1.2345e-3, 1), Series("b", x, x * 2.3456e-3, 2, side="right")))
    for width in range(12, 24):
        drawing = draw(figure, Viewport(), width, 8)
        assert drawing.chars.shape == (8, width)
    assert "too small" in draw(figure, Viewport(), 12, 8).text()


def test_a_zoomed_curve_enters_and_leaves_through_the_edges_of_its_frame() -> None:
    x = np.array([0.0, 40.0])
    y = np.array([8.0, 88.0])
    band = Band(y - 1, y + 1)
    page = lay_out(Figure((Series("a", x, y, 1, band=band),)), Viewport(x=(10.0, 30.0)), {1: "#112233"}, "t")
    (curve,) = (s for s in page.shapes if isinstance(s, Stroke) and s.colour == "#112233")
    (area,) = (s for s in page.shapes if isinstance(s, Area))
    frame = next(s for s in page.shapes if isinstance(s, Stroke) and len(s.points) == 5)
    edges = min(p[0] for p in frame.points), max(p[0] for p in frame.points)
    for points in (curve.points, area.points):
        assert (min(p[0] for p in points), max(p[0] for p in points)) == pytest.approx(edges)
    below, above = (sorted(p[1] for p in area.points)[k] for k in (0, -1))
    assert below < min(p[1] for p in curve.points) < max(p[1] for p in curve.points) < above


def test_paper_names_axes_units_and_every_curve() -> None:
    history = RunHistory()
    for i in range(1, 9):
        history.apply(Iteration(i, 2.0, 4.0, 1.0, 2.3, [0.5, 1.0], 0.1, 0.8, 0.05, 0.1), time=float(i))

    def words(name: str) -> list[str]:
        page = lay_out(curves.FIGURES[name][1](history), Viewport(), {}, name)
        return [shape.text for shape in page.shapes if isinstance(shape, Words)]

    assert {"objective", "nce (right axis)", "iteration"} <= set(words("losses"))
    assert {"information (nats)", "MI bound", "layer 0", "layer 1 (the bound)", "log C"} <= set(words("information"))


def test_an_axis_is_named_only_where_there_are_two() -> None:
    x = np.array([1.0, 2.0])
    page = lay_out(Figure((Series("nce", x, x, 2, side="right"),)), Viewport(), {}, "t")
    assert "nce" in [shape.text for shape in page.shapes if isinstance(shape, Words)]


def words_of(svg: str) -> list[tuple[float, str]]:
    """Where each text of a page stands, from the top, and what it says."""
    found = [element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    return [(float(element.attrib["y"]), element.text or "") for element in found]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_an_exported_comparison_names_every_run_and_what_was_set_differently(tmp_path: Path, count: int) -> None:
    contenders = []
    for place in range(count):
        history = RunHistory()
        for i in range(1, 9) if place != 1 else ():
            history.apply(Iteration(i, 2.0, 4.0, 1.0, 2.3, [0.5], 0.1, 0.8, 0.05, 0.1), time=float(i))
        config = changed(resolve("digits-ipc1").config, {"information.weight": 0.1 * place, "objective.iterations": 9})
        name = f"{'W' * 70}-{place}-of-a-very-long-name"
        contenders.append(Contender("ABCDEFGH"[place], name, place + 1, "done", history, config))
    shown = figure("objective", contenders)
    plot = Plot("objective", "objective", shown, Viewport(), legend("objective", shown, contenders))
    export(tmp_path, [plot], dict)
    image = Image.open(tmp_path / "objective.png").convert("RGB")
    svg = (tmp_path / "objective.svg").read_text()
    said = words_of(svg)
    text = " ".join(" ".join(line for _, line in said).split())
    for place, one in enumerate(contenders):
        told = f"{one.mark} {one.label}" + (f": weight {0.1 * place}" if count > 2 else "")
        assert (told.replace(" ", "") in text.replace(" ", "")) == (place != 1), "all that have a curve, and no other"
    assert "iterations" not in text.replace("iteration", "", 1), "what all have set so tells nothing"
    assert said[0][1] == "objective", "the title is the metric's name alone"
    assert (image.width, image.height) == (1800, 2 * int(ElementTree.fromstring(svg).attrib["height"]))
    assert image.height / 2 > max(y for y, _ in said) + 4
    edges = np.array(image)
    assert (edges[:, -12:] == 255).all(), "a text runs off the page"
    assert (edges[840:] != 255).any(), "what stands below the plot in the SVG does so in the PNG"


def judged(networks: int) -> RunHistory:
    """A run with three live evaluations of so many networks."""
    history = RunHistory()
    for iteration in (10, 20, 30):
        accuracies = [0.5 + iteration / 100 + 0.01 * network for network in range(networks)]
        mean, std = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)) if networks > 1 else math.nan
        history.apply(
            Evaluation(iteration, "live", "quick-100", mean, std, accuracies, "test", "test", 1.0),
            time=float(iteration),
        )
    return history


def below(page: Page) -> list[str]:
    """What is written under the plot's axis."""
    return [one.text for one in page.shapes if isinstance(one, Words) and one.anchor == "start" and one.at[1] > 400]


@pytest.mark.parametrize("compared", [False, True])
def test_what_is_shaded_is_named_on_paper(compared: bool) -> None:
    def page(*histories: RunHistory) -> Page:
        runs = [Contender(mark, mark, 1, "done", one, None) for mark, one in zip("ABC", histories, strict=False)]
        shown = figure("accuracy", runs) if compared else curves.accuracy(histories[0])
        return lay_out(shown, Viewport(), {1: "#112233"}, "accuracy")

    page_of_many = page(judged(3), judged(4))
    assert any(isinstance(shape, Area) for shape in page_of_many.shapes)
    assert below(page_of_many) == [f"shaded: {DEVIATION}"], "once, however many bands there are"
    assert DEVIATION in to_svg(page_of_many)
    assert not below(page(judged(1))), "of single networks nothing is shaded"


def test_bands_of_two_kinds_are_both_named_and_one_without_a_name_is_not() -> None:
    x = np.array([1.0, 2.0])
    bands = [Band(x - 1, x + 1, name) for name in ("least to most", "", "an interval")]
    page = lay_out(Figure(tuple(Series("", x, x, 1, band=band) for band in bands)), Viewport(), {}, "t")
    assert below(page) == ["shaded: least to most, an interval"]


def test_a_legend_says_how_many_settings_it_leaves_out() -> None:
    history = RunHistory()
    history.apply(Iteration(1, 2.0, 4.0, 1.0, 2.3, [0.5], 0.1, 0.8, 0.05, 0.1), time=1.0)
    presets = ("digits-ipc1", "cifar100-ipc10-bptt-soft")
    pair = [Contender(m, m, 1, "done", history, resolve(p).config) for m, p in zip("AB", presets, strict=True)]
    count = len(settings(pair))
    (_, note), _ = legend("objective", figure("objective", pair), pair)
    assert note.startswith("A  A: data.name digits, ")
    assert note.endswith(f", {count - NAMED} settings more")


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize("values", [(0.97,), (0.97, 0.5), (0.97, 0.965), (0.95, 0.97), (0.97, 0.97), (0.5, 0.5, 0.51)])
def test_a_levels_name_stands_within_the_axes_by_its_line_and_on_nothing_else(
    values: tuple[float, ...], log_y: bool
) -> None:
    x = np.arange(0.0, 60.0, 10.0)
    levels = tuple(Level(f"level {place}", value, 2) for place, value in enumerate(values))
    moments = tuple(Moment(f"moment {place}", 40.0 + place) for place in range(3))
    shown = Figure((Series("live", x, 0.4 + 0.4 * x / 50, 1),), levels, moments, percent=True)
    for height in (120, 300, 420):  # the least has no room for all of them
        page = lay_out(shown, Viewport(log_y=log_y), {1: "#112233", 2: "#445566"}, "accuracy", height=height)
        frame = next(s for s in page.shapes if isinstance(s, Stroke) and len(s.points) == 5)
        top, bottom = (edge(y for _, y in frame.points) for edge in (min, max))
        lines = [s.points[0][1] for s in page.shapes if isinstance(s, Stroke) and s.dashed]
        names = [s for s in page.shapes if isinstance(s, Words) and s.text.split()[0] in ("level", "moment")]
        assert len(lines) == len(values)
        boxes = [boxed(name) for name in names]
        for (left, above, right, below), name in zip(boxes, names, strict=True):
            assert top <= above, f"{name.text} stands on the upper edge"
            if name.text.startswith("level"):
                line = lines[int(name.text.split()[1])]
                assert abs(name.at[1] - line) < 13
                assert below <= bottom
                assert height == 120 or not any(above < other < below for other in lines), "struck through"
            for other_left, other_above, other_right, other_below in boxes:
                if (other_left, other_above) != (left, above):
                    apart = right <= other_left or other_right <= left or below <= other_above or other_below <= above
                    assert height == 120 or apart, name.text


def boxed(words: Words) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of what a text's letters take."""
    left, above, right, below = ImageFont.load_default(words.size).getbbox(words.text, anchor="ls")
    x, y = words.at[0] - (right if words.anchor == "end" else 0), words.at[1]
    return x + left, y + above, x + right, y + below


def test_every_layer_of_the_deepest_network_is_drawn_and_named_on_the_page() -> None:
    history = RunHistory()
    for i in range(1, 9):
        bounds = [0.1 * (i + place) % 0.9 for place in range(7)]
        history.apply(Iteration(i, 2.0, 4.0, max(bounds), 2.3, bounds, 0.1, 0.8, 0.05, 0.1), time=float(i))
    shown = curves.information(history)
    names = [series.name for series in shown.series if series.name.startswith("layer")]
    assert [name.partition(" (")[0] for name in names] == [f"layer {place}" for place in range(7)]
    assert len({series.ink for series in shown.series}) == 8
    title = f"{'W' * 90}: information"
    page = lay_out(shown, Viewport(), {}, title)
    words = [shape for shape in page.shapes if isinstance(shape, Words)]
    frame = next(s for s in page.shapes if isinstance(s, Stroke) and len(s.points) == 5)
    told = [next(each for each in words if each.text.startswith(name)) for name in [title, "MI bound", *names]]
    boxes = [boxed(each) for each in told]
    for (left, above, right, below), each in zip(boxes, told, strict=True):
        assert right <= page.width, f"{each.text} is cut off"
        assert below <= min(y for _, y in frame.points), each.text
        for other_left, other_above, *_ in boxes:
            assert other_above != above or other_left <= left or right <= other_left


@pytest.mark.parametrize(
    ("values", "view", "said"),
    [
        ([-1.0, 0.0, -2.0], Viewport(log_y=True), "nothing above 0"),
        ([-1.0, 0.0, -2.0], Viewport(), ""),
        ([-1.0, 1.0, -2.0], Viewport(log_y=True), ""),
        ([math.nan] * 3, Viewport(), "no value is a number"),
        ([math.inf] * 3, Viewport(log_y=True), "no value is a number"),
    ],
)
def test_a_plot_without_a_point_says_why(values: list[float], view: Viewport, said: str) -> None:
    y = np.array(values)
    shown = Figure((Series("MI bound", np.arange(1.0, 4.0), y, 3),), (Level("log C", 2.3, 8),))
    words = [shape.text for shape in lay_out(shown, view, {}, "t").shapes if isinstance(shape, Words)]
    drawn = draw(shown, view, 60, 10).text()
    assert (said in words and said in drawn) if said else ("log C" in words and "above 0" not in drawn)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("log_y", [False, True])
def test_a_value_that_is_infinite_beyond_an_edge_is_a_gap(log_y: bool) -> None:
    y = np.array([math.inf, 1.0, 2.0, -math.inf])
    shown = Figure((Series("a", np.arange(4.0), y, 1),))
    page = lay_out(shown, Viewport(x=(0.5, 2.5), log_y=log_y), {1: "#112233"}, "t")
    (curve,) = (s for s in page.shapes if isinstance(s, Stroke) and s.colour == "#112233")
    assert len(curve.points) == 2


def test_no_curve_strikes_through_a_name_within_the_axes() -> None:
    x = np.arange(0.0, 60.0, 10.0)
    levels, moments = (Level("log 10", 2.3, 2), Level("", 1.5, 2)), (Moment("lengthened", 40.0),)
    curves = tuple(Series(f"run {place}", x, 2 + 0.01 * place + 0.008 * x, 1) for place in range(8))
    page = lay_out(Figure(curves, levels, moments), Viewport(), {1: "#112233", 2: "#445566"}, "bound")
    last = max(place for place, shape in enumerate(page.shapes) if isinstance(shape, Stroke))
    for name in ("log 10", "lengthened"):
        place = next(
            place for place, shape in enumerate(page.shapes) if isinstance(shape, Words) and shape.text == name
        )
        words, plate = page.shapes[place], page.shapes[place - 1]
        assert place - 1 > last, "a curve is drawn over it"
        assert isinstance(words, Words)
        assert isinstance(plate, Area)
        left, above, right, below = boxed(words)
        assert min(x for x, _ in plate.points) < left < right < max(x for x, _ in plate.points)
        assert min(y for _, y in plate.points) < above < below < max(y for _, y in plate.points)
    assert sum(isinstance(shape, Area) for shape in page.shapes) == 2, "there is nothing under a line without a name"
