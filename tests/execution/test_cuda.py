"""The same engine on an NVIDIA card, where torch sees one: run ``pytest -m "" tests/execution/test_cuda.py`` there.

Compiling dominates: some minutes the first time, less where torch's cache is warm.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import execution
from engine.compilation import GRAPHS_IN_THREADS
from engine.config.schema import Network
from engine.errors import MimError
from engine.events import Notice, RunStarted
from engine.gradient import StepInput, meta_gradient
from engine.kernels import Kernels, eager
from engine.networks import ConvNet
from engine.objectives import OBJECTIVES
from engine.runs.control import StopRequested
from engine.seeds import generator
from engine.training import Sets, Trainee, gradient_function, train_epoch
from tests.distill.helpers import Place, Watch, outcome, quickly, tiny
from tests.execution.process import as_before

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("error:.*does not have a deterministic implementation"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

CARD = "cuda:0"
NET = ConvNet(Network(depth=3, width=32), (3, 32, 32), 10)
STEP_SIZE = 0.02
KINDS: dict[str, dict[str, Any]] = {
    "eager": {"precision": "float32", "compile": False},
    "compiled": {"precision": "float32", "compile": True},
    "kept": {"precision": "float32", "compile": True, "keep_activations": 512},
    "mixed": {"precision": "mixed", "compile": True, "keep_activations": 512},
}
BASES: dict[str, dict[str, Any]] = {
    "trajectory": {},
    "tesla": {},
    "bptt": {"student_momentum": 0.9, "window": 2, "real_batch": 4, "step_size_rate": 0.0},
    "dream": {"real_batch": 4, "network_life": 4, "network_images": 40, "step_size_rate": 0.0},
    "distribution": {"real_batch": 8, "step_size_rate": 0.0},
}


@pytest.fixture(autouse=True)
def settled() -> Iterator[None]:
    yield from as_before()


def kernels(kind: str) -> Kernels:
    resolved = execution.Resolved(
        device=CARD, threads=1, torch=torch.__version__, processor="", **({"keep_activations": 0} | KINDS[kind])
    )
    execution.settle(resolved)
    return execution.kernels(NET, resolved)


def gradient(own: Kernels, steps: int, device: str, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Of the pixels and the step size, over ``steps`` steps on eight images of twelve."""
    draws = generator(0, "card", steps)
    start, target = NET.init(draws), NET.init(draws)
    pixels, labels = torch.randn(12, *NET.shape, generator=draws), torch.arange(12) % NET.classes
    batches = [torch.randperm(12, generator=draws)[:8].to(device) for _ in range(steps)]
    given = [each.to(device, kind) for each in (start, pixels)]
    found = meta_gradient(
        NET, given[0], given[1], labels.to(device), STEP_SIZE, target.to(device, kind),
        inputs=[StepInput(batch, None) for batch in batches], kernels=own,
    ).gradient  # fmt: skip
    assert found.step_size is not None
    return found.pixels.double().cpu(), found.step_size.double().cpu()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 4])
def test_the_gradient_on_a_card_is_the_processors(kind: str, steps: int) -> None:
    exact, exact_step = gradient(eager(NET), steps, "cpu", torch.float64)
    own = kernels(kind)
    for _ in range(3):  # compiled, captured, replayed
        found, found_step = gradient(own, steps, CARD)
        cosine = float(torch.cosine_similarity(found.flatten(), exact.flatten(), dim=0))
        if kind == "mixed":
            assert cosine > 0.97
        else:  # some ReLU may open in one arithmetic and not in the other
            assert float((found - exact).norm() / exact.norm()) < (1e-4 if steps == 1 else 1e-2), cosine
            assert float(found_step) == pytest.approx(float(exact_step), rel=1e-2)


@pytest.mark.parametrize("kind", ["eager", "compiled"])
def test_memory_on_a_card_grows_by_the_parameter_vectors_alone(kind: str) -> None:
    own, peaks = kernels(kind), []
    for steps in (4, 4, 4, 44):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        gradient(own, steps, CARD)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[-1] - peaks[-2] < 42 * NET.size * 4 + 2**20


@pytest.mark.parametrize("base", OBJECTIVES)
def test_every_base_on_a_card_repeats_its_bits_and_goes_on_to_them(base: str, tmp_path: Path) -> None:
    config = on_card(**{f"objective__{name}": value for name, value in BASES[base].items()}, objective__name=base)
    with quickly():
        whole, again, stopped = (Place(tmp_path / name) for name in ("whole", "again", "stopped"))
        whole.start(config)
        again.start(config)
        assert outcome(whole) == outcome(again)
        go_on_after(stopped, config, 5)
    assert outcome(whole) == outcome(stopped)


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_a_compiled_run_on_a_card_goes_on_to_its_bits(precision: str, tmp_path: Path) -> None:
    config = on_card(compile="on", precision=precision)
    with quickly():
        whole, stopped = Place(tmp_path / "whole"), Place(tmp_path / "stopped")
        heard = Watch()
        whole.start(config, heard)
        go_on_after(stopped, config, 5)
    assert outcome(whole) == outcome(stopped)
    (began,) = (e.execution for e in heard.events if isinstance(e, RunStarted))
    assert (began["device"], began["compile"], began["precision"]) == (CARD, True, precision)
    assert [e.message for e in heard.events if isinstance(e, Notice) and e.level == "warning"] == []


def test_compiled_networks_on_a_card_have_their_bits_in_any_company() -> None:
    """Experts and judging networks, whose last batch of an epoch is smaller than what was compiled."""
    settings = {"precision": "float32", "compile": True, "device": "cuda"}
    kernels("eager")  # settles
    draws = generator(0, "company")
    images = torch.randn(50, *NET.shape, generator=draws).to(CARD)
    labels = (torch.arange(50) % NET.classes).to(CARD)
    starts = [NET.init(generator(number, "start")) for number in range(3)]

    def trained(numbers: list[int]) -> Tensor:
        trainee = Trainee.fresh(torch.stack([starts[number] for number in numbers]).to(CARD))
        order = [generator(number, "order") for number in numbers]
        for _ in range(2):
            train_epoch(
                gradient_function(NET, settings, 32), trainee, Sets.shared(images, labels, len(numbers)), rate=0.02,
                momentum=0.9, weight_decay=5e-4, batch_size=32, augment=None, draws=order, tick=lambda: None,
            )  # fmt: skip
        return trainee.parameters

    together = trained([0, 1, 2])
    for number in range(3):
        assert torch.equal(trained([number])[0], together[number])


def test_a_run_in_a_thread_of_its_own_ends_on_a_card(tmp_path: Path) -> None:
    """As under the dashboard. A torch that makes CUDA graphs in the main thread alone does without, aloud."""
    heard, results = Watch(), []

    def work() -> None:
        with quickly():
            results.append(Place(tmp_path).start(on_card(compile="on"), heard))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [result["state"] for result in results] == ["done"]
    said = [e.message for e in heard.events if isinstance(e, Notice) and "CUDA graphs" in e.message]
    old = tuple(int(part) for part in torch.__version__.split(".")[:2]) < GRAPHS_IN_THREADS
    assert len(said) == old


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MimError, match="cuda:99 does not exist"):
        Place(tmp_path).start(on_card(device="cuda:99"))


def on_card(**changes: Any) -> Any:
    """The tiny run on the card: settings of ``execution`` by name, others as ``tiny`` takes them."""
    own = {"device": "cuda", "compile": "off"}
    keyed = {name: value for name, value in changes.items() if "__" in name}
    own |= {name: value for name, value in changes.items() if "__" not in name}
    return tiny(**keyed, **{f"execution__{name}": value for name, value in own.items()})


def go_on_after(place: Place, config: Any, iteration: int) -> None:
    """Run until the tick after an iteration's snapshot, then go on in a new start."""

    def stop(watch: Watch) -> None:
        if watch.after(kind="snapshot", iteration=iteration) and watch.ticks > 0:
            raise StopRequested

    assert place.start(config, Watch(act=stop))["state"] == "stopped"
    assert place.resume()["state"] == "done"
