"""The MIM4DD term: what it contrasts, what it learns, what it must never touch, and what a checkpoint keeps of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.config.schema import Augmentation, Data, Information, Network
from engine.data.augment import Augment, Draw
from engine.data.prepare import RealSet, prepare
from engine.data.types import Images, RawSet
from engine.errors import DataError, RunFailed
from engine.information import contrast
from engine.information.critic import pool
from engine.information.term import InformationTerm, Sides
from engine.networks import ConvNet
from engine.objectives import RealNetworks
from engine.runs import checkpoint
from engine.seeds import generator

CLASSES, SHAPE, CPU = 3, (1, 8, 8), torch.device("cpu")


def drawn_images(name: str, each: int) -> Images:
    labels = torch.arange(CLASSES).repeat_interleave(each)
    pixels = torch.randint(0, 256, (len(labels), *SHAPE), generator=generator(0, name)).to(torch.uint8)
    return Images(pixels, labels)


@pytest.fixture(scope="module")
def real() -> RealSet:
    raw = RawSet("digits", drawn_images("train", 30), drawn_images("test", 2), CLASSES, ("a", "b", "c"), "f")
    return prepare(raw, Data(name="digits"), seed=0, readout=30)


class Recording(Augment):
    """Remembers what it was asked to apply."""

    def __init__(self, strategy: str) -> None:
        super().__init__(Augmentation(strategy=strategy), SHAPE)
        self.applied: list[Draw] = []

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        self.applied.append(draw)
        return super().__call__(images, draw)


class Setting:
    """A term with four synthetic images a class, on a small network."""

    def __init__(
        self,
        real: RealSet,
        *,
        depth: int = 2,
        transform: Augment | None = None,
        tick: Callable[[], None] = lambda: None,
        **changes: Any,
    ) -> None:
        small = {"real_batch": 12, "embedding_dim": 8, "warmup": 4, "readout": 30}
        self.settings = Information(**{**small, **changes})
        self.net = ConvNet(Network(depth=depth, width=4), SHAPE, CLASSES)
        self.labels = torch.arange(CLASSES).repeat_interleave(4)
        chosen = transform or Recording("none")
        self.term = InformationTerm(self.settings, self.net, real, self.labels, chosen, 5, CPU, tick)
        self.pixels = torch.randn(len(self.labels), *SHAPE, generator=generator(1, "pixels"))
        self.sides = Sides(self.net.init(generator(1, "student")), self.net.init(generator(1, "target")))

    def iterate(self, first: int, last: int) -> list[Tensor]:
        """The pixels' gradients of some iterations, each of which trains the critic."""
        return [self.term.gradient(self.pixels, self.sides, i).pixels for i in range(first, last)]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


# -- the sum over layers (Eq. 2.17) -----------------------------------------------------------------------


@pytest.mark.parametrize("growth", [1.0, 1.5, 4.0])
@pytest.mark.parametrize(("layers", "count"), [("blocks", 3), ("blocks+logits", 4), ("last", 1)])
def test_layer_k_weighs_one_over_beta_to_the_k_minus_one_minus_k(
    layers: str, count: int, growth: float, real: RealSet
) -> None:
    term = Setting(real, depth=3, layers=layers, layer_growth=growth).term
    assert term.weights == pytest.approx([1 / growth ** (count - 1 - k) for k in range(1, count + 1)])


def test_the_loss_is_the_weighted_sum_of_the_layers_losses(real: RealSet) -> None:
    """By linearity: three values of beta give the losses of two layers, more than once."""
    found = {}
    for growth in (1.0, 2.0, 4.0):
        setting = Setting(real, layer_growth=growth, critic_steps=0)  # two layers: weights 1 and beta
        found[growth] = float(setting.term.gradient(setting.pixels, setting.sides, 0).loss)
    last = found[2.0] - found[1.0]
    assert last > 0.1
    assert found[1.0] - last > 0.1
    assert found[4.0] == pytest.approx(found[1.0] + 3 * last, rel=1e-5)


# -- the critic's constant ---------------------------------------------------------------------------------


def test_the_fixed_constant_is_log_n_over_m(real: RealSet) -> None:
    setting = Setting(real, loss="nce", bias="fixed")
    expected = math.log((CLASSES - 1) / len(real.train_labels))
    assert setting.term.critic.constant.tolist() == pytest.approx([expected] * 2)
    setting.iterate(0, 3)
    assert setting.term.critic.constant.tolist() == pytest.approx([expected] * 2)


def test_the_learned_constant_learns_and_only_where_there_is_one(real: RealSet) -> None:
    for loss, moves in (("nce", True), ("infonce", False)):
        setting = Setting(real, loss=loss, bias="learned")
        before = setting.term.critic.constant.detach().clone()
        setting.iterate(0, 2)
        assert torch.equal(setting.term.critic.constant.detach(), before) != moves


def test_the_estimated_constant_takes_a_shift_of_all_scores_away(
    real: RealSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fixed constant the same shift is felt: the test can fail."""
    for bias, felt in (("batch", False), ("fixed", True)):
        losses = []
        for shift in (0.0, 3.0):
            setting = Setting(real, loss="nce", bias=bias, critic_steps=0)
            scores = setting.term.critic.scores
            with monkeypatch.context() as patch:
                patch.setattr(
                    setting.term.critic, "scores", lambda k, a, b, scores=scores, shift=shift: scores(k, a, b) + shift
                )
                losses.append(float(setting.term.gradient(setting.pixels, setting.sides, 0).loss))
        assert (losses[1] != pytest.approx(losses[0], rel=1e-4)) == felt


# -- what learns and what is held still ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["student", "attached", "same"])
def test_the_pixels_are_asked_while_the_critic_is_held_still(mode: str, real: RealSet) -> None:
    """Two updates a call, on features as constants; the gradient then belongs to the pixels alone."""
    setting = Setting(real, critic_steps=2, synthetic_network=mode)
    pixels, student = setting.pixels.clone(), setting.sides.synthetic.clone()
    found = setting.term.gradient(setting.pixels, setting.sides, 0)
    assert {float(v) for k, v in setting.term.tensors().items() if k.endswith(".step")} == {2.0}
    assert torch.equal(setting.pixels, pixels)
    assert torch.equal(setting.sides.synthetic, student)
    assert not setting.pixels.requires_grad
    assert not setting.sides.synthetic.requires_grad
    assert float(found.pixels.norm()) > 0
    assert (found.student is not None) == (mode == "attached")

    after = copied(setting.term.tensors())
    frozen = Setting(real, critic_steps=0, synthetic_network=mode)
    frozen.term.restore(after)
    again = frozen.term.gradient(frozen.pixels, frozen.sides, 0)
    assert torch.equal(again.pixels, found.pixels), "of the critic as it is after its updates"
    assert all(parameter.grad is None for parameter in frozen.term.critic.parameters())
    assert same(frozen.term.tensors(), after)


def test_learning_lowers_the_contrastive_loss(real: RealSet) -> None:
    setting = Setting(real, critic_rate=0.01)
    losses = [float(setting.term.gradient(setting.pixels, setting.sides, 0).loss) for _ in range(15)]
    assert losses[-1] < losses[0] - 0.1


def test_the_networks_of_both_sides_are_those_asked_for(real: RealSet) -> None:
    setting = Setting(real)
    start, target, last = (setting.net.init(generator(2, name)) for name in ("start", "target", "last"))
    networks, student = RealNetworks(start, target, lambda: last), setting.sides.synthetic
    for name, expected in (("start", start), ("target", target), ("last", last)):
        sides = Setting(real, real_network=name).term.sides(networks, student, 0)
        assert torch.equal(sides.real, expected)
        assert torch.equal(sides.synthetic, student)
        one = Setting(real, real_network=name, synthetic_network="same").term.sides(networks, student, 0)
        assert torch.equal(one.synthetic, expected)
    fresh = Setting(real, real_network="fresh").term
    first, again, other = (fresh.sides(networks, student, i).real for i in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", ["student", "networks.target"])
def test_a_network_of_another_size_is_named(real: RealSet, wrong: str) -> None:
    setting = Setting(real, real_network="target")
    whole, short = setting.sides.synthetic, torch.zeros(3)
    target, student = (short, whole) if wrong == "networks.target" else (whole, short)
    with pytest.raises(RunFailed, match=rf"{wrong} is float32 \[3\] on cpu, and has to be .*\[{setting.net.size}\]"):
        setting.term.sides(RealNetworks(whole, target, lambda: whole), student, 0)


# -- batches --------------------------------------------------------------------------------------------------


def keys(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_real_batches_are_balanced_and_hold_every_image_but_those_read_on(real: RealSet) -> None:
    setting = Setting(real)
    assert real.readout_images is not None
    apart, seen = keys(real.readout_images), set()
    assert len(apart) == 30
    for number in range(60):
        _, images, labels = setting.term._batches(generator(number, "batch"))
        assert torch.bincount(labels, minlength=CLASSES).tolist() == [4] * CLASSES
        seen |= keys(images)
    assert not seen & apart
    assert seen == keys(real.train_images) - apart


@pytest.mark.parametrize(("most", "each"), [(3, 1), (7, 2), (12, 4), (256, 4)])
def test_synthetic_batches_are_balanced_and_bounded(most: int, each: int, real: RealSet) -> None:
    setting = Setting(real, synthetic_batch=most)
    seen: set[int] = set()
    for number in range(40):
        chosen = setting.term._synthetic_batch(generator(number, "batch"))
        assert torch.bincount(setting.labels[chosen], minlength=CLASSES).tolist() == [each] * CLASSES
        assert len(set(chosen.tolist())) == len(chosen)
        seen |= set(chosen.tolist())
    assert seen == set(range(12))


def test_images_outside_the_batch_get_no_gradient(real: RealSet) -> None:
    setting = Setting(real, synthetic_batch=6)
    for gradient in setting.iterate(0, 3):
        touched = gradient.flatten(1).norm(dim=1) > 0
        assert torch.bincount(setting.labels[touched], minlength=CLASSES).tolist() == [2] * CLASSES


# -- augmented views -------------------------------------------------------------------------------------------


def views(real: RealSet, mode: str, strategy: str = "color_rotate") -> list[list[Draw]]:
    augment = Recording(strategy)
    setting = Setting(real, transform=augment, critic_steps=0, augment=mode)
    found = []
    for iteration in range(12):
        augment.applied.clear()
        setting.term.gradient(setting.pixels, setting.sides, iteration)
        found.append(list(augment.applied))
    return found


def test_without_augmentation_nothing_is_drawn(real: RealSet) -> None:
    assert views(real, "none") == [[]] * 12
    assert views(real, "shared", "none") == [[]] * 12


@pytest.mark.parametrize("mode", ["shared", "independent"])
def test_one_draw_for_both_sides_or_two(mode: str, real: RealSet) -> None:
    found = views(real, mode)
    alike = []
    for synthetic, other in found:
        for draw in (synthetic, other):
            assert len(draw) == 12
            assert torch.equal(draw.values, draw.values[:1].expand(12, -1)), "the same for all images of a side"
        alike.append(synthetic.op == other.op and torch.equal(synthetic.values[0], other.values[0]))
    assert all(alike) if mode == "shared" else not any(alike)
    assert len({synthetic.op for synthetic, _ in found}) > 1


# -- the bound --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["infonce", "nce"])
@pytest.mark.parametrize("negatives", ["different", "all"])
def test_the_bound_is_read_on_the_readout_images_alone(loss: str, negatives: str, real: RealSet) -> None:
    setting = Setting(real, loss=loss, negatives=negatives)
    setting.iterate(0, 3)
    assert real.readout_images is not None
    assert real.readout_labels is not None
    weights = contrast.pairs(setting.labels, real.readout_labels)
    left = setting.net.features(setting.sides.synthetic, setting.pixels)
    right = setting.net.features(setting.sides.real, real.readout_images)
    expected = []
    for k in range(2):
        scores = setting.term.critic.scores(k, pool(left[k], setting.settings), pool(right[k], setting.settings))
        if loss == "infonce":
            ratio = contrast.softmax_log_ratio(scores, weights)
        else:
            ratio = contrast.nce_log_ratio(scores, setting.term.critic.constant[k], weights, negatives=negatives)
        expected.append(float(contrast.mutual_information_bound(ratio, weights).detach()))
    before = copied(setting.term.tensors())
    kept = real.train_images.clone()
    try:
        real.train_images.fill_(math.nan)  # the readout images are a copy
        found = setting.term.bounds(setting.pixels, setting.sides, 3)
    finally:
        real.train_images.copy_(kept)
    assert found == pytest.approx(expected, abs=1e-6)
    assert max(found) <= math.log(CLASSES) + 1e-6
    assert same(setting.term.tensors(), before), "reading teaches nothing"


def test_noise_tells_nothing_of_images_the_critic_has_not_seen(real: RealSet) -> None:
    """Labels mean nothing here: a critic that knows its training images by heart reads no information from others."""
    setting = Setting(real, critic_rate=0.02, real_batch=60)
    setting.iterate(0, 60)
    assert max(setting.term.bounds(setting.pixels, setting.sides, 60)) < 0.15


# -- what a checkpoint keeps ---------------------------------------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "sgd": {"critic_optimizer": "sgd", "critic_rate": 0.1},
    "apart": {"embedding_shared": False, "embedding_layers": 2},
    "binary": {"loss": "nce", "bias": "learned"},
    "only a constant": {"loss": "nce", "bias": "learned", "embedding_layers": 0},
    "nothing to learn": {"embedding_layers": 0},
}


@pytest.mark.parametrize("used", [False, True], ids=["into a new term", "into one that has learned"])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_critic_goes_on_from_a_checkpoint_to_the_bit(name: str, used: bool, real: RealSet, tmp_path: Path) -> None:
    one, other = Setting(real, **VARIANTS[name]), Setting(real, **VARIANTS[name])
    one.iterate(0, 3)
    checkpoint.save(tmp_path, 3, one.term.tensors(), {})
    if used:
        other.iterate(7, 12)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    other.term.restore(found.tensors)
    assert same(one.term.tensors(), other.term.tensors())
    expected = one.iterate(3, 6)
    assert all(torch.equal(a, b) for a, b in zip(expected, other.iterate(3, 6), strict=True))
    assert same(one.term.tensors(), other.term.tensors())


def test_a_checkpoint_without_its_critic_is_refused(real: RealSet) -> None:
    setting = Setting(real)
    tensors = copied(setting.term.tensors())
    with pytest.raises(DataError, match="critic"):
        setting.term.restore({name: value for name, value in tensors.items() if not name.endswith("bias")})
    with pytest.raises(DataError, match="critic"):
        setting.term.restore(Setting(real, embedding_dim=4).term.tensors())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_warm_up_that_is_stopped_leaves_the_critic_as_it_was(optimizer: str, real: RealSet) -> None:
    """It is checkpointed before the first iteration, and warms up anew when the run is resumed."""
    ticks = 0

    def stop() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            raise KeyboardInterrupt

    stopped, whole = (Setting(real, tick=tick, critic_optimizer=optimizer) for tick in (stop, lambda: None))
    before = copied(stopped.term.tensors())
    with pytest.raises(KeyboardInterrupt):
        stopped.term.warm_up(stopped.pixels, stopped.sides)
    assert same(stopped.term.tensors(), before)
    for setting in (stopped, whole):
        setting.term.warm_up(setting.pixels, setting.sides)
    assert ticks == 7
    assert not same(stopped.term.tensors(), before)
    assert same(stopped.term.tensors(), whole.term.tensors())
