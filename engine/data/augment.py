"""Differentiable Siamese augmentation (DSA; Zhao & Bilen 2021), as MTT's code applies it.

One strategy is drawn for a batch, its parameters for every image. Each strategy is affine in the pixels
(a linear map plus, for brightness, a constant), so its derivative is the same map wherever it is taken.
Everything but the drawing is plain differentiable tensor code on the images' device: it differentiates
twice, and compiles whole with one graph for a strategy.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.schema import Augmentation

PARAMETERS = 3


@dataclass(frozen=True)
class Draw:
    """What was drawn for one batch; replaying it gives the same transformation.

    Attributes:
        op: the strategy, or "none".
        values: float32 [n, 3], one row an image, unused columns 0:
            color: brightness offset, saturation factor, contrast factor;
            crop: shift in rows and columns (whole pixels); cutout: row and column of the square's centre;
            flip: 1 where the image is mirrored; scale: factor in columns (x) and rows (y); rotate: radians.
    """

    op: str
    values: Tensor

    def to(self, device: torch.device | str) -> Draw:
        """The same draw on another device."""
        return Draw(self.op, self.values.to(device, non_blocking=True))

    def __len__(self) -> int:
        return int(self.values.shape[0])


class Augment:
    """The augmentation of one image shape.

    Args:
        settings: strategies and ranges.
        shape: channels, height and width of an image.
    """

    def __init__(self, settings: Augmentation, shape: tuple[int, int, int]) -> None:
        self.settings = settings
        self.shape = shape
        self.strategies = () if settings.strategy == "none" else tuple(settings.strategy.split("_"))

    @property
    def enabled(self) -> bool:
        """Whether there is a strategy to draw."""
        return bool(self.strategies)

    def without(self, strategies: Collection[str]) -> Augment:
        """The same but for some strategies, which are never drawn."""
        left = [name for name in self.strategies if name not in strategies]
        return Augment(self.settings.model_copy(update={"strategy": "_".join(left) or "none"}), self.shape)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """One strategy for a batch of ``n`` images, with parameters for each (DSA with Siamese False)."""
        if not self.enabled:
            return Draw("none", torch.zeros(n, PARAMETERS))
        op = self.strategies[int(torch.randint(len(self.strategies), (1,), generator=generator))]
        return Draw(op, self._values(op, n, generator))

    def draw_shared(self, n: int, generator: torch.Generator) -> Draw:
        """One strategy and one set of parameters for all ``n`` images (DSA with Siamese True)."""
        draw = self.draw(1, generator)
        return Draw(draw.op, draw.values.expand(n, -1).contiguous())

    def _values(self, op: str, n: int, generator: torch.Generator) -> Tensor:
        settings = self.settings
        _, height, width = self.shape
        values = torch.zeros(n, PARAMETERS)
        uniform = torch.rand(n, PARAMETERS, generator=generator)
        if op == "color":
            values[:, 0] = (uniform[:, 0] - 0.5) * settings.brightness
            values[:, 1] = uniform[:, 1] * settings.saturation
            values[:, 2] = uniform[:, 2] + settings.contrast
        elif op == "crop":
            for column, side in enumerate((height, width)):
                reach = int(side * settings.crop + 0.5)
                values[:, column] = torch.randint(-reach, reach + 1, (n,), generator=generator).float()
        elif op == "cutout":
            for column, (side, square) in enumerate(zip((height, width), self._square(), strict=True)):
                values[:, column] = torch.randint(0, side + 1 - square % 2, (n,), generator=generator).float()
        elif op == "flip":
            values[:, 0] = (uniform[:, 0] < settings.flip).float()
        elif op == "scale":
            values[:, :2] = uniform[:, :2] * (settings.scale - 1 / settings.scale) + 1 / settings.scale
        else:
            values[:, 0] = (uniform[:, 0] - 0.5) * 2 * math.radians(settings.rotate)
        return values

    def _square(self) -> tuple[int, int]:
        """Height and width of the square that is cut out."""
        _, height, width = self.shape
        return int(height * self.settings.cutout + 0.5), int(width * self.settings.cutout + 0.5)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        """The images transformed: the same shape and type, affine in ``images``.

        Args:
            images: [n, channels, height, width] in network space.
            draw: what :meth:`draw` returned for n images, on the images' device.

        Raises:
            ValueError: the draw was made for another number of images.
        """
        if draw.values.shape[0] != images.shape[0]:
            raise ValueError(f"a draw for {len(draw)} images was given {images.shape[0]}")
        values = draw.values.to(images.dtype)
        match draw.op:
            case "none":
                return images
            case "color":
                return color(images, values)
            case "crop":
                return crop(images, values)
            case "cutout":
                return cutout(images, values, self._square())
            case "flip":
                return torch.where(values[:, 0].view(-1, 1, 1, 1) > 0, images.flip(3), images)
            case "scale":
                return scale(images, values)
            case "rotate":
                return rotate(images, values)
        raise ValueError(f"unknown augmentation {draw.op!r}")


def color(images: Tensor, values: Tensor) -> Tensor:
    """Brightness, then saturation around the channel mean, then contrast around the image mean."""
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in values.unbind(1))
    images = images + brightness
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * saturation + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean


def crop(images: Tensor, values: Tensor) -> Tensor:
    """Shift by whole pixels; what comes in from outside is 0."""
    height, width = images.shape[2:]
    rows = _steps(height, images)[:, None] + values[:, 0].view(-1, 1, 1)
    columns = _steps(width, images) + values[:, 1].view(-1, 1, 1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    taken = _gather(images, index.long().flatten(1))
    return (taken * inside.flatten(1).unsqueeze(1)).view(images.shape)


def cutout(images: Tensor, values: Tensor, square: tuple[int, int]) -> Tensor:
    """Set a square to 0; where it reaches over the border, the rest of it."""
    height, width = images.shape[2:]
    rows = _steps(height, images) - (values[:, :1] - square[0] // 2)
    columns = _steps(width, images) - (values[:, 1:2] - square[1] // 2)
    in_rows = (rows >= 0) & (rows < square[0])
    in_columns = (columns >= 0) & (columns < square[1])
    kept = ~(in_rows[:, :, None] & in_columns[:, None, :])
    return images * kept.unsqueeze(1)


def scale(images: Tensor, values: Tensor) -> Tensor:
    """Sample at the factors times the coordinates, the centre fixed; a factor below 1 enlarges.

    Rows and columns are sampled apart, by two small matrices an image.
    """
    height, width = images.shape[2:]
    columns = _interpolation(width, values[:, 0], images)
    rows = _interpolation(height, values[:, 1], images)
    return (rows.unsqueeze(1) @ images @ columns.unsqueeze(1).mT).to(images.dtype)


def rotate(images: Tensor, values: Tensor) -> Tensor:
    """Sample at the rotated coordinates, the centre fixed."""
    x, y = _grid(images)
    cosine, sine = values[:, :1].cos(), values[:, :1].sin()
    return _bilinear(images, cosine * x - sine * y, sine * x + cosine * y)


def _steps(side: int, images: Tensor) -> Tensor:
    return torch.arange(side, device=images.device, dtype=images.dtype)


def _interpolation(side: int, factor: Tensor, images: Tensor) -> Tensor:
    """Weights [n, side, side] of linear samples (row) from pixels (column), 0 outside."""
    centred = (2 * _steps(side, images) + 1) / side - 1
    position = ((factor[:, None] * centred + 1) * side - 1) / 2
    return (1 - (position[:, :, None] - _steps(side, images)).abs()).clamp_min(0)


def _grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of all pixels, each [1, height * width], in -1..1 (affine_grid with align_corners False)."""
    height, width = images.shape[2:]
    y = (2 * _steps(height, images) + 1) / height - 1
    x = (2 * _steps(width, images) + 1) / width - 1
    return x.repeat(height).unsqueeze(0), y.repeat_interleave(width).unsqueeze(0)


def _bilinear(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear samples at coordinates [n, height * width], 0 outside: grid_sample with its defaults.

    Written as one gather of four corners, because grid_sample cannot be differentiated twice.
    """
    height, width = images.shape[2:]
    column = ((x + 1) * width - 1) / 2
    row = ((y + 1) * height - 1) / 2
    left, top = column.floor(), row.floor()
    corners, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            r, c = top + down, left + right
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            weights.append((1 - (row - r).abs()) * (1 - (column - c).abs()) * inside)
            corners.append(r.clamp(0, height - 1) * width + c.clamp(0, width - 1))
    index = torch.cat(corners, 1).long()
    weight = torch.stack(weights, 1).unsqueeze(1)
    taken = _gather(images, index).view(*images.shape[:2], 4, height * width)
    return (taken * weight).sum(2).view(images.shape)


def _gather(images: Tensor, index: Tensor) -> Tensor:
    """Pixels [n, channels, k] at flat positions ``index`` [n, k], the same for every channel."""
    n, channels = images.shape[:2]
    return images.flatten(2).gather(2, index.unsqueeze(1).expand(n, channels, index.shape[1]))
