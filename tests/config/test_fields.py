"""What is said of every setting, and that it is true."""

from __future__ import annotations

import json
import re
import statistics
import time
from typing import Any

import pytest

from engine.config import Config, FieldInfo, change, dump, fields, resolve
from engine.config.fields import by_key, in_vain, sections, unused, users
from engine.errors import ConfigError
from engine.evaluation.protocols import PROTOCOLS
from tests.config.helpers import message

ALL = fields()
ids = {"ids": lambda field: field.key}


def value_of(config: Config, key: str) -> Any:
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


def test_every_setting_of_the_schema_is_there_once_in_order() -> None:
    keys = [field.key for field in ALL]
    inside = [f"{section}.{name}" for section, model in sections().items() for name in model.model_fields]
    assert keys == ["summary", "seed", *inside]
    assert set(by_key()) == set(keys)
    assert len(keys) > 60


@pytest.mark.parametrize("field", ALL, **ids)  # type: ignore[arg-type]
def test_a_setting_says_what_it_is(field: FieldInfo) -> None:
    assert field.type in {"integer", "number", "text", "true or false", "choice"}
    assert field.description.endswith(".")
    assert len(field.description) >= 10
    assert field.allowed.strip()
    assert field.default == value_of(Config(), field.key)
    assert bool(field.choices) == (field.type in {"choice", "true or false"})
    assert not field.choices or field.default in field.choices


@pytest.mark.parametrize("field", [field for field in ALL if field.choices], **ids)  # type: ignore[arg-type]
def test_every_choice_is_allowed_and_named(field: FieldInfo) -> None:
    config = resolve("mnist-ipc1").config
    for choice in field.choices:
        typed = json.dumps(choice) if isinstance(choice, bool) else str(choice)
        assert typed in field.allowed
        assert value_of(change(config, field.key, typed), field.key) == choice
    assert field.allowed in message(lambda: change(config, field.key, "neither"))


@pytest.mark.parametrize("field", [f for f in ALL if f.type in {"integer", "number"}], **ids)  # type: ignore[arg-type]
def test_the_range_in_words_is_the_range(field: FieldInfo) -> None:
    bounds = re.fullmatch(
        r"an? (?:integer|number) (?P<low>at least|above) (?P<least>[\d.,e+-]+) "
        r"and (?P<high>at most|below) (?P<most>[\d.,e+-]+)",
        field.allowed,
    )
    assert bounds, field.allowed
    least, most = (float(bounds[name].replace(",", "")) for name in ("least", "most"))
    step = 1 if field.type == "integer" else 1e-9 * max(1.0, abs(most))
    for bound, outwards, inside in (
        (least, -step, bounds["low"] == "at least"),
        (most, step, bounds["high"] == "at most"),
    ):
        assert _refused(field, bound) != inside
        assert _refused(field, bound + outwards)
    assert _refused(field, float("inf"))
    assert _refused(field, float("nan"))


def _refused(field: FieldInfo, value: float) -> bool:
    """Whether the value itself is refused (not how it goes with other settings)."""
    text = str(int(value)) if field.type == "integer" and value == value and abs(value) < 1e300 else repr(value)
    try:
        change(Config(), field.key, text)
    except ConfigError as error:
        return "is not allowed; it must be" in str(error)
    return False


def test_a_check_in_the_form_takes_under_two_milliseconds() -> None:
    config = resolve("cifar10-ipc10").config
    change(config, "seed", "1")
    times = []
    for n in range(50):
        begin = time.thread_time()
        change(config, "objective.iterations", str(n + 1))
        times.append(time.thread_time() - begin)
    assert statistics.median(times) < 0.002


def test_what_is_written_is_plain_and_complete() -> None:
    text = dump(resolve("digits-ipc1").config)
    lines = [line for line in text.splitlines() if "=" in line]
    assert len(lines) == len(ALL)
    assert text.index("summary") < text.index("[data]") < text.index("[network]") < text.index("[execution]")
    assert "extends" not in text


def test_a_setting_that_an_objective_does_not_read_says_so() -> None:
    some = {field.key: users(field) for field in fields() if users(field)}
    students = ("trajectory", "tesla", "bptt")
    dream = ("selection", "select_every", "distance", "network_life", "network_images", "cutmix")
    assert some == {
        "synthetic.labels": ("trajectory", "bptt"),
        **{f"objective.{name}": students for name in ("student_steps", "batch_size", "step_size_rate")},
        "objective.step_size_momentum": students,
        "objective.expert_epochs": ("trajectory", "tesla"),
        "objective.max_start_epoch": ("trajectory", "tesla"),
        "objective.label_rate": ("trajectory", "bptt"),
        "objective.label_momentum": ("trajectory", "bptt"),
        "objective.real_batch": ("bptt", "dream", "distribution"),
        "execution.keep_activations": students,
        "objective.student_momentum": ("bptt",),
        "objective.window": ("bptt",),
        **{f"objective.{name}": ("dream",) for name in dream},
        "information.bias": ("nce",),
    }, "and not information.layers, whose description ends alike"
    for preset, told in (("digits-ipc1", "not used by trajectory"), ("digits-ipc1-bptt", "")):
        assert unused(by_key()["objective.window"], resolve(preset).config) == told
    assert unused(by_key()["information.bias"], resolve("digits-ipc1").config) == "not used by infonce"
    assert unused(by_key()["network.width"], resolve("digits-ipc1").config) == ""


def test_settings_that_do_nothing_are_told_together() -> None:
    keys = ["objective.name", "objective.student_steps", "objective.window", "information.bias", "synthetic.labels"]
    assert list(in_vain(keys, resolve("digits-ipc1-distribution").config)) == [
        "objective.student_steps and objective.window are not used by distribution",
        "information.bias is not used by infonce",
    ]
    assert list(in_vain(["objective.window"], resolve("digits-ipc1-bptt").config)) == []


def test_the_step_size_names_the_protocols_that_train_at_it() -> None:
    told = by_key()["objective.step_size"].description
    assert [name for name in PROTOCOLS if name in told] == [p.name for p in PROTOCOLS.values() if p.uses_step_size]
    assert {p.learning_rate for p in PROTOCOLS.values() if p.uses_step_size} == {0.01}
