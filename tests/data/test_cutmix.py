"""CutMix: one box filled from other images, labels mixed by its true share, every draw by the generator given."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.cutmix import as_probabilities, cutmix, sometimes_cutmix
from engine.seeds import generator

HEIGHT, WIDTH, COUNT = 10, 7, 6


def numbered() -> Tensor:
    """[6, 2, 10, 7]: every pixel says whose it is, and where."""
    own = 1000.0 * torch.arange(COUNT).view(COUNT, 1, 1, 1)
    return own + torch.arange(2.0 * HEIGHT * WIDTH).view(1, 2, HEIGHT, WIDTH)


@pytest.mark.parametrize("seed", range(40))
def test_one_box_is_filled_from_the_same_place_and_labels_are_mixed_by_its_area(seed: int) -> None:
    images = numbered()
    mixed, targets = cutmix(images, torch.eye(COUNT), generator(seed, "cutmix"))
    owner = (mixed / 1000).floor().long()
    assert torch.equal(mixed - 1000.0 * owner, images[:1].expand_as(images)), "a pixel stays in its place"
    assert torch.equal(owner[:, 0], owner[:, 1]), "and its channels together"
    filled = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for number in range(COUNT):
        theirs = owner[number, 0] != number
        partners = set(owner[number, 0][theirs].tolist())
        assert len(partners) <= 1
        filled |= theirs
    box = filled.any(1)[:, None] & filled.any(0)[None]
    assert torch.equal(filled, box), "a rectangle"
    share = float(filled.float().mean())
    for number in range(COUNT):
        theirs = owner[number, 0] != number
        partner = int(owner[number, 0][theirs][0]) if bool(theirs.any()) else number
        assert torch.equal(theirs, filled) or partner == number, "the same box in every image but one that is its own"
        expected = (1 - share) * torch.eye(COUNT)[number] + share * torch.eye(COUNT)[partner]
        torch.testing.assert_close(targets[number], expected)


def test_the_share_is_uniform_but_for_what_the_border_cuts_off() -> None:
    images, labels = torch.zeros(2, 1, 64, 64), torch.eye(2)
    images[1] = 1
    shares = []
    for seed in range(600):
        draws = generator(seed, "share")
        mixed, _ = cutmix(images, labels, draws)
        again = generator(seed, "share")
        torch.randperm(2, generator=again)
        drawn = 1 - float(torch.rand((), generator=again))
        filled = float((mixed[0] != images[0]).float().mean())
        assert filled <= drawn + 2 * 64 / 64**2
        if filled:
            shares.append((drawn, filled))
    drawn_ones = [drawn for drawn, _ in shares]
    assert sum(drawn_ones) / len(drawn_ones) == pytest.approx(0.5, abs=0.06)
    assert sum(filled > 0.9 * drawn for drawn, filled in shares) > 10, "boxes within the borders"
    assert sum(filled < 0.7 * drawn for drawn, filled in shares) > 10, "and boxes cut off"


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_of_mixed_labels_is_the_mixed_loss(soft: bool) -> None:
    """Of hard labels and of learned ones, which need not add up to 1."""
    draws = generator(0, "loss")
    labels = torch.rand(COUNT, 4, generator=draws) if soft else torch.tensor([0, 3, 2, 2, 1, 0])
    logits = torch.randn(COUNT, 4, generator=draws)
    _, targets = cutmix(numbered(), as_probabilities(labels, 4), generator(3, "box"))
    _, origins = cutmix(numbered(), torch.eye(COUNT), generator(3, "box"))
    share = float(origins.diag().min())
    partner = (origins - share * torch.eye(COUNT)).argmax(1)
    assert 0.1 < share < 0.9
    own, theirs = (F.cross_entropy(logits, labels[each]) for each in (torch.arange(COUNT), partner))
    torch.testing.assert_close(F.cross_entropy(logits, targets), share * own + (1 - share) * theirs)


def test_labels_that_can_be_mixed() -> None:
    assert torch.equal(as_probabilities(torch.tensor([1, 0]), 3), torch.tensor([[0.0, 1, 0], [1, 0, 0]]))
    learned = torch.rand(2, 3, generator=generator(0, "learned"))
    assert as_probabilities(learned, 3) is learned


def test_draws_are_the_generators_and_nothing_given_is_changed() -> None:
    images, labels = numbered(), torch.eye(COUNT)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = cutmix(images, labels, generator(1, "a"))
    assert torch.equal(torch.get_rng_state(), before)
    again, other = cutmix(images, labels, generator(1, "a")), cutmix(images, labels, generator(1, "b"))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(images, numbered())
    assert torch.equal(labels, torch.eye(COUNT))


@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.5, 120, 180), (1.0, 300, 300)])
def test_a_batch_is_mixed_whole_or_not_at_all(probability: float, least: int, most: int) -> None:
    images, labels, count = numbered(), torch.eye(COUNT), 0
    for seed in range(300):
        mixed, targets = sometimes_cutmix(probability, images, labels, generator(seed, "sometimes"))
        assert (mixed is images) == (targets is labels)
        count += mixed is not images
    assert least <= count <= most
