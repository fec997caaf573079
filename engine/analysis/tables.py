"""Documents of analyses as Markdown: a table and what has to be known to read it. From the document alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

from engine.analysis.cells import Document
from engine.analysis.estimates import Estimate, estimate, paired
from engine.analysis.plan import WITHOUT
from engine.wording import counted

DASH = "–"
NAMED = 6
"""How many runs that are not finished a table names; its JSON has all."""


def markdown(document: Document) -> str:
    """The table of an analysis, with lines on how it was made and to be read above and what failed below."""
    rows = list(TABLES.get(document["analysis"], sweep_rows)(document))
    above = [*_heading(document), *_deviations(document, rows), *_networks(document)]
    return "\n".join([*above, "", *rows, *_missing(document)])


def column(document: Document, value: str, key: str) -> list[float | None]:
    """One number of every seed's cell in a row; None where the run failed or has none."""
    row = next(row for row in document["rows"] if row["value"] == value)
    return [None if cell is None else cell[key] for cell in row["cells"]]


def known(values: Sequence[float | None]) -> list[float]:
    """Those that are there."""
    return [value for value in values if value is not None]


def against(document: Document, value: str, key: str) -> Estimate:
    """Paired difference of a row to the reference's."""
    return paired(column(document, value, key), column(document, document["reference"], key))


def _heading(document: Document) -> Iterator[str]:
    changes = "".join(f", {key} = {value}" for key, value in document["set"].items())
    seeds = ", ".join(map(str, document["seeds"]))
    named = f"seed{'' if len(document['seeds']) == 1 else 's'} {seeds}"
    yield f"`{document['preset']}`{changes}; protocol {document['protocol']}; {named}. {_baselines(document)}"


def _baselines(document: Document) -> str:
    words = []
    for key, name in (("random_selection", "random real images"), ("full_set", "full set")):
        score = document[key]
        if score is not None:
            words.append(f"{name}{_how(score)} {percent(score['mean'], score['std'])}")
    chosen = document["selected_on"]
    text = f"Baselines (%): {'; '.join(words)}. " if words else ""
    return text + (f"Best iterates were chosen on the {chosen} images." if chosen in ("test", "validation") else "")


def _how(score: Document) -> str:
    """Which labels random real images have, where not their own; of how many images the full set is, if not of all."""
    if score.get("labelled"):
        return ", labelled by an expert,"
    return f" ({counted(score['train_images'], 'training image')})" if score.get("train_images") else ""


def _deviations(document: Document, rows: Sequence[str]) -> Iterator[str]:
    """What ± means, where there is one, and which reading the bound is."""
    meanings = []
    if "±" in _baselines(document):
        meanings.append("the standard deviation over networks in the baselines")
    if any("±" in row for row in rows):
        meanings.append("half of the 95 % interval over seeds in the table")
    words = [f"± is {' and '.join(meanings)}."] if meanings else []
    if any("MI bound" in row for row in rows):
        words.append("The MI bound is each run's last reading.")
    if words:
        yield " ".join(words)


def _networks(document: Document) -> Iterator[str]:
    """Between which networks CKA is measured, and on which images; nothing where none was, or of another analysis."""
    if document["analysis"] == "cka" and document["networks"] is not None:
        pairs, images = counted(document["networks"], "pair"), counted(document["images"], "test image")
        between = "between experts (trained on the real images) and networks trained on the distilled set"
        yield f"Linear CKA {between}, on {images}; {pairs} a seed."


def _missing(document: Document) -> Iterator[str]:
    if waiting := document["waiting"]:
        more = f"; the rest is named in {document['analysis']}.json beside this"
        yield ""
        named = "`, `".join(waiting[:NAMED])
        yield f"Not finished: {counted(len(waiting), 'run')}. `{named}`{more if waiting[NAMED:] else ''}."
    if document["missing"]:
        yield ""
    for item in document["missing"]:
        yield f"- `{item['cell']}` failed: {item['reason']}"


def percent(mean: float, deviation: float | None) -> str:
    """A fraction in percent, with its standard deviation where there is one."""
    return f"{mean * 100:.1f}" if deviation is None else f"{mean * 100:.1f} ± {deviation * 100:.1f}"


def points(found: Estimate, *, signed: bool = False) -> str:
    """Accuracy in points: mean and half of the 95 % interval."""
    return number(_scaled(found), 1, signed=signed)


def number(found: Estimate, digits: int, *, signed: bool = False) -> str:
    """Mean and half of the 95 % interval; a dash where there is nothing."""
    if not math.isfinite(found.mean):
        return DASH
    mean = round(found.mean, digits) + 0.0  # never "-0.0", and nothing is neither up nor down
    text = f"{mean:{'+' if signed and mean else ''}.{digits}f}"
    return f"{text} ± {found.half:.{digits}f}" if math.isfinite(found.half) else text


def _accuracies(document: Document, value: str) -> str:
    best, last = (estimate(known(column(document, value, key))) for key in ("best", "last"))
    if value == document["reference"]:
        return f"{points(best)} | {points(last)} | {DASH} | {DASH}"
    differences = (points(against(document, value, key), signed=True) for key in ("best", "last"))
    return f"{points(best)} | {points(last)} | {' | '.join(differences)}"


def sweep_rows(document: Document) -> Iterator[str]:
    """Of a sweep: a row a value."""
    ceiling = document["ceiling"]
    bound = "MI bound (nats)" if ceiling is None else f"MI bound, of {ceiling:.2f} nats"
    reference = document["reference"]
    yield (
        f"| {document['setting']} | seeds | best iterate | last iterate | best − best at {reference} "
        f"| last − last at {reference} | {bound} | gradient ratio |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for row in document["rows"]:
        value = row["value"]
        count = len(known(column(document, value, "best")))
        own = " (the preset's)" if value == document["own"] else ""
        name = f"{value}, weight 0" if value == WITHOUT.label else value
        nats = number(estimate(known(column(document, value, "nats"))), 2)
        ratio = number(estimate(known(column(document, value, "ratio"))), 2)
        yield f"| {name}{own} | {count} | {_accuracies(document, value)} | {nats} | {ratio} |"


def loss_rows(document: Document) -> Iterator[str]:
    """Of the base loss: where it ends, with the term and without, and the paired difference."""
    yield (
        f"| {document['objective']} | seeds | loss, mean of the last tenth | difference | difference in % "
        "| best iterate | last iterate | best − best without | last − last without |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in document["rows"]:
        value = row["value"]
        ends = column(document, value, "end")
        other = column(document, document["reference"], "end")
        if value == document["reference"]:
            apart, share = DASH, DASH
        else:
            apart = number(paired(ends, other), 4, signed=True)
            shares = [a / b - 1 for a, b in zip(ends, other, strict=True) if a is not None and b]
            share = number(_scaled(estimate(shares)), 1, signed=True)
        yield (
            f"| {value} | {len(known(ends))} | {number(estimate(known(ends)), 4)} | {apart} | {share} "
            f"| {_accuracies(document, value)} |"
        )


def _scaled(found: Estimate) -> Estimate:
    return Estimate(found.mean * 100, found.half * 100, found.count)


def same_layer(document: Document, value: str, estimator: str, layer: int) -> list[float | None]:
    """CKA of a layer in the experts with the same one in the other networks, of every seed in a row."""
    return [None if m is None else m[layer][layer] for m in _matrices(document, value, estimator)]


def _matrices(document: Document, value: str, estimator: str) -> list[list[list[float]] | None]:
    row = next(row for row in document["rows"] if row["value"] == value)
    return [None if cell is None else cell[estimator] for cell in row["cells"]]


def mean_matrix(document: Document, value: str, estimator: str) -> list[list[float]]:
    """CKA of every layer with every other, mean over seeds; empty where no run was done."""
    return _mean([matrix for matrix in _matrices(document, value, estimator) if matrix is not None])


def mean_apart(document: Document, estimator: str) -> list[list[float]]:
    """Paired difference of the first row's CKA to the second's, mean over the seeds that both have."""
    sides = (_matrices(document, row["value"], estimator) for row in document["rows"])
    pairs = [(ours, theirs) for ours, theirs in zip(*sides, strict=True) if ours is not None and theirs is not None]
    return _mean(
        [[[a - b for a, b in zip(*lines, strict=True)] for lines in zip(*pair, strict=True)] for pair in pairs]
    )


def _mean(matrices: Sequence[list[list[float]]]) -> list[list[float]]:
    return [[statistics.fmean(values) for values in zip(*lines, strict=True)] for lines in zip(*matrices, strict=True)]


def cka_rows(document: Document) -> Iterator[str]:
    """Of the comparison of networks: every layer with the same one of the other network."""
    layers = document["layers"]
    yield f"| CKA, the same layer of both | estimator | seeds | {' | '.join(layers)} |"
    yield "|---|---|---|" + "---|" * len(layers)
    for estimator in ("unbiased", "biased"):
        for row in document["rows"]:
            value = row["value"]
            seen = [known(same_layer(document, value, estimator, layer)) for layer in range(len(layers))]
            cells = [number(estimate(values), 3) for values in seen]
            yield f"| {value} | {estimator} | {len(seen[0]) if seen else 0} | {' | '.join(cells)} |"
        apart = [
            paired(*(same_layer(document, row["value"], estimator, layer) for row in document["rows"]))
            for layer in range(len(layers))
        ]
        count = apart[0].count if apart else 0
        cells = [number(each, 3, signed=True) for each in apart]
        yield f"| with − without | {estimator} | {counted(count, 'pair')} | {' | '.join(cells)} |"
        if document["experts"] and estimator in document["experts"]:
            own = [f"{document['experts'][estimator][i][i]:.3f}" for i in range(len(layers))]
            yield f"| between experts | {estimator} | | {' | '.join(own)} |"


def grid_rows(document: Document) -> Iterator[str]:
    """Of the pictures: which set each shows."""
    yield "| set | seed | best iterate | at iteration | fingerprint |"
    yield "|---|---|---|---|---|"
    for row in document["rows"]:
        for cell in row["cells"]:
            if cell is not None:
                yield (
                    f"| {row['value']} | {cell['seed']} | {cell['best'] * 100:.1f} | {cell['iteration']} "
                    f"| `{cell['fingerprint'][:12]}` |"
                )


TABLES: dict[str, Callable[[Document], Iterator[str]]] = {"loss": loss_rows, "cka": cka_rows, "grids": grid_rows}
"""Tables of their own form, by analysis; every other is a sweep."""
