"""Augmentation against slow literal code, its affinity, and its derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Augmentation
from engine.data.augment import Augment, Draw

OPS = ["color", "crop", "cutout", "flip", "scale", "rotate"]
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(op: str, shape: tuple[int, int, int], n: int = 5, seed: int = 0) -> tuple[Augment, Draw, Tensor]:
    augment = Augment(Augmentation(strategy=op), shape)
    images = torch.randn(n, *shape, dtype=torch.float64, generator=generator(100 + seed))
    return augment, augment.draw(n, generator(seed)), images


def literal(op: str, image: Tensor, values: list[float]) -> Tensor:
    """One image, as MTT's DiffAugment computes it."""
    channels, height, width = image.shape
    if op == "color":
        image = image + values[0]
        grey = image.mean(0, keepdim=True)
        image = (image - grey) * values[1] + grey
        return (image - image.mean()) * values[2] + image.mean()
    if op == "flip":
        return torch.tensor(image.numpy()[:, :, ::-1].copy()) if values[0] else image
    if op in ("scale", "rotate"):
        if op == "scale":
            theta = [[values[0], 0.0, 0.0], [0.0, values[1], 0.0]]
        else:
            cosine, sine = math.cos(values[0]), math.sin(values[0])
            theta = [[cosine, -sine, 0.0], [sine, cosine, 0.0]]
        grid = F.affine_grid(
            torch.tensor([theta], dtype=torch.float64), [1, channels, height, width], align_corners=False
        )
        return F.grid_sample(image[None], grid, align_corners=False)[0]
    out = torch.zeros_like(image) if op == "crop" else image.clone()
    for r, c in cells(height, width):
        if op == "crop":
            down, right = r + int(values[0]), c + int(values[1])
            if 0 <= down < height and 0 <= right < width:
                out[:, r, c] = image[:, down, right]
        else:
            # The literal code clamps the square's coordinates to the image instead of leaving them out.
            half_h, half_w = int(height * 0.5 + 0.5), int(width * 0.5 + 0.5)
            if r < half_h and c < half_w:
                at_r = min(max(r + int(values[0]) - half_h // 2, 0), height - 1)
                at_c = min(max(c + int(values[1]) - half_w // 2, 0), width - 1)
                out[:, at_r, at_c] = 0
    return out


def cells(height: int, width: int) -> Iterator[tuple[int, int]]:
    for r in range(height):
        for c in range(width):
            yield r, c


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", OPS)
def test_each_strategy_is_the_literal_one(op: str, shape: tuple[int, int, int]) -> None:
    augment, draw, images = make(op, shape)
    assert draw.op == op
    expected = torch.stack(
        [literal(op, image, row.tolist()) for image, row in zip(images, draw.values.double(), strict=True)]
    )
    torch.testing.assert_close(augment(images, draw), expected, rtol=1e-10, atol=1e-10)
    assert not torch.equal(expected, images)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", OPS)
def test_each_strategy_is_affine_in_the_images(op: str, shape: tuple[int, int, int]) -> None:
    augment, draw, a = make(op, shape)
    b = make(op, shape, seed=1)[2]
    mixed = augment(0.3 * a + 0.7 * b, draw)
    torch.testing.assert_close(mixed, 0.3 * augment(a, draw) + 0.7 * augment(b, draw))
    constant = augment(torch.zeros_like(a), draw)
    assert bool(constant.any()) == (op == "color"), "only brightness adds a constant"


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 5)])
def test_derivatives_of_both_orders(op: str, shape: tuple[int, int, int]) -> None:
    augment, draw, images = make(op, shape, n=2)
    images = images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, draw), (images,))
    assert torch.autograd.gradgradcheck(lambda x: augment(x, draw).pow(3), (images,))


@pytest.mark.parametrize("op", OPS)
def test_works_under_functional_transforms(op: str) -> None:
    augment, draw, images = make(op, (3, 32, 32))
    tangent = torch.randn_like(images)
    forward = torch.func.jvp(lambda x: augment(x, draw), (images,), (tangent,))[1]
    torch.testing.assert_close(forward, augment(tangent, draw) - augment(torch.zeros_like(images), draw))


def test_replaying_a_draw_gives_the_same_bits() -> None:
    for op in OPS:
        augment, draw, images = make(op, (3, 32, 32))
        first = augment(images.float(), draw)
        assert first.dtype == torch.float32
        assert torch.equal(first, augment(images.float(), augment.draw(5, generator())))


def test_one_strategy_for_a_batch_and_parameters_for_each_image() -> None:
    augment = Augment(Augmentation(), (3, 32, 32))
    seen = set()
    for seed in range(60):
        draw = augment.draw(64, generator(seed))
        seen.add(draw.op)
        assert draw.values.shape == (64, 3)
        assert len({tuple(row) for row in draw.values.tolist()}) > 1
    assert seen == set(OPS)


def test_a_shared_draw_is_the_same_for_all_images() -> None:
    augment = Augment(Augmentation(), (3, 32, 32))
    for seed in range(30):
        draw = augment.draw_shared(7, generator(seed))
        assert len(draw) == 7
        assert len({tuple(row) for row in draw.values.tolist()}) == 1
        images = torch.randn(1, 3, 32, 32, generator=generator(seed)).expand(7, -1, -1, -1)
        out = augment(images, draw)
        torch.testing.assert_close(out, out[:1].expand_as(out))


@pytest.mark.parametrize(
    ("op", "columns"),
    [
        ("color", [(-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)]),
        ("crop", [(-4, 4), (-4, 4)]),
        ("cutout", [(0, 32), (0, 32)]),
        ("flip", [(0, 1)]),
        ("scale", [(1 / 1.2, 1.2), (1 / 1.2, 1.2)]),
        ("rotate", [(-math.pi / 12, math.pi / 12)]),
    ],
)
def test_ranges_of_the_parameters(op: str, columns: list[tuple[float, float]]) -> None:
    values = Augment(Augmentation(strategy=op), (3, 32, 32)).draw(4000, generator()).values
    for column, (low, high) in enumerate(columns):
        found = values[:, column]
        assert float(found.min()) >= low - 1e-6
        assert float(found.max()) <= high + 1e-6
        width = high - low
        assert float(found.min()) < low + 0.01 * width
        assert float(found.max()) > high - 0.01 * width
        assert abs(float(found.mean()) - (low + high) / 2) < 0.03 * width
    assert not values[:, len(columns) :].any()
    if op in ("scale", "color", "crop", "cutout"):
        assert abs(float(torch.corrcoef(values[:, :2].T)[0, 1])) < 0.06, "drawn apart"


def test_settings_reach_the_transformation() -> None:
    shape = (1, 8, 8)
    images = torch.randn(6, *shape, generator=generator())
    still = Augmentation(flip=0, scale=1, rotate=0, crop=0, cutout=0, brightness=0, saturation=0, contrast=0)
    for op in ("crop", "cutout", "flip", "scale", "rotate"):
        augment = Augment(still.model_copy(update={"strategy": op}), shape)
        torch.testing.assert_close(augment(images, augment.draw(6, generator())), images, rtol=1e-5, atol=1e-5)
    always = Augment(Augmentation(strategy="flip", flip=1), shape)
    assert torch.equal(always(images, always.draw(6, generator())), images.flip(3))


def test_cutout_removes_the_whole_square_inside() -> None:
    augment = Augment(Augmentation(strategy="cutout"), (1, 8, 8))
    draw = Draw("cutout", torch.tensor([[4.0, 4.0, 0.0], [0.0, 8.0, 0.0]]))
    out = augment(torch.ones(2, 1, 8, 8), draw)
    assert (out == 0).sum((1, 2, 3)).tolist() == [16, 4]
    assert not out[0, 0, 2:6, 2:6].any()
    assert not out[1, 0, :2, 6:].any()


def test_no_strategy() -> None:
    augment = Augment(Augmentation(strategy="none"), (1, 8, 8))
    images = torch.randn(3, 1, 8, 8)
    assert not augment.enabled
    assert torch.equal(augment(images, augment.draw(3, generator())), images)
    assert torch.equal(augment(images, augment.draw_shared(3, generator())), images)
    assert Augment(Augmentation(strategy="flip"), (1, 8, 8)).enabled


def test_a_draw_for_another_batch_is_refused() -> None:
    augment, draw, images = make("color", (1, 8, 8))
    with pytest.raises(ValueError, match="a draw for 5 images was given 4"):
        augment(images[:4], draw)
    with pytest.raises(ValueError, match="unknown augmentation 'blur'"):
        augment(images, Draw("blur", draw.values))


def test_draw_moves_between_devices() -> None:
    draw = make("scale", (1, 8, 8))[1].to("meta")
    assert draw.values.device.type == "meta"
    assert draw.op == "scale"


@pytest.mark.long
@pytest.mark.parametrize("op", OPS)
def test_compiles_whole(op: str) -> None:
    augment, draw, images = make(op, (3, 32, 32))
    images = images.float()

    def gradient(x: Tensor) -> Tensor:
        found: Tensor = torch.func.grad(lambda y: augment(y, draw).square().sum())(x)
        return found

    torch.testing.assert_close(torch.compile(gradient, fullgraph=True)(images), gradient(images), rtol=1e-4, atol=1e-4)


def test_strategies_can_be_left_out() -> None:
    """Those that are left are drawn as before, with their settings; none are left of one."""
    whole = Augment(Augmentation(strategy="color_cutout_flip", flip=1.0), (1, 8, 8))
    left = whole.without(("cutout", "scale"))
    assert left.strategies == ("color", "flip")
    assert whole.strategies == ("color", "cutout", "flip")
    drawn = [left.draw(3, generator(seed)) for seed in range(40)]
    assert {draw.op for draw in drawn} == {"color", "flip"}
    assert all(bool(draw.values[:, 0].all()) for draw in drawn if draw.op == "flip")
    assert not whole.without(("color", "cutout", "flip")).enabled
