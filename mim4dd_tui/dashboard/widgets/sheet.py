"""A snapshot as the pane of pictures shows it, and how much of it is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mim4dd_tui.by_class import Placed, at_a_glance, by_class, in_order
from mim4dd_tui.dashboard.widgets.label_lines import Labels
from mim4dd_tui.fitting import shortened
from mim4dd_tui.pictures import RGB, Pixels

Extent = Literal["all", "class", "one"]
EXTENTS: tuple[Extent, ...] = ("all", "class", "one")


@dataclass(frozen=True, eq=False)
class Sheet:
    """One snapshot: uint8 [images, h, w, c], ordered by class; how it is called, and how contrast was treated.

    ``start`` is the set before the first iteration, in the same order and shape, and ``origin`` what that was;
    ``labels`` are there where they are soft.
    """

    images: Pixels
    caption: str
    classes: int
    images_per_class: int
    contrast: str = ""
    names: tuple[str, ...] = ()
    start: Pixels | None = None
    origin: str = ""
    labels: Labels | None = None
    unread: str = ""  # why soft labels that it has are not there

    @property
    def ordered(self) -> bool:
        """Whether the images are as many as classes and images per class say."""
        return len(self.images) == self.classes * self.images_per_class

    @property
    def has_classes(self) -> bool:
        """Whether there is more than one image of each."""
        return self.ordered and self.images_per_class > 1

    def name(self, index: int) -> str:
        """What an image stands for."""
        if not self.ordered:
            return f"image {index + 1}"
        label, number = divmod(index, self.images_per_class)
        name = f"class {self.names[label]}" if label < len(self.names) else f"class {label}"
        return f"{name}, {number + 1} of {self.images_per_class}" if self.images_per_class > 1 else name

    def below(self, extent: Extent, index: int, width: int, *, beside: bool) -> list[str]:
        """What soft labels of the images seen are, in lines of ``width`` cells: of an image's class, or of itself."""
        if extent == "all":
            return []
        if self.labels is None:
            return [shortened(f"label: {self.unread}", width, middle=False)] if self.unread else []
        if extent == "class":
            each = self.images_per_class
            return self.labels.of_class(index // each, each, width) if self.has_classes else []
        names = self.names if len(self.names) == self.classes else [str(label) for label in range(self.classes)]
        return self.labels.of_image(index, names, width, beside=beside)


def arranged(
    sheet: Sheet, extent: Extent, selected: int, shape: tuple[int, int], space: tuple[int, int], *, glance: bool
) -> Placed:
    """Where its images lie, of ``shape`` (height, width), in cells of ``space`` (columns, rows).

    Args:
        extent: which are to be seen: all, or of the selected one its class or itself.
        glance: of all, the first of every class where not all fit.
    """
    each = sheet.images_per_class
    if extent == "all" and sheet.has_classes:
        return (at_a_glance if glance else by_class)(sheet.classes, each, shape, *space)
    numbers = range(len(sheet.images))
    if extent == "one":
        numbers = range(selected, selected + 1)
    elif extent == "class" and sheet.has_classes:
        numbers = range(selected // each * each, selected // each * each + each)
    return in_order(numbers, shape, *space)


def pairs(start: Pixels, images: Pixels, background: RGB) -> Pixels:
    """Each image to the right of what it started from, w // 8 columns between them: uint8 [n, h, 2 w + w // 8, 3]."""
    if start.shape != images.shape:
        return images
    count, height, width, _ = images.shape
    between = np.full((count, height, max(1, width // 8), 3), background, dtype=np.uint8)
    parts = [np.broadcast_to(each, (count, height, width, 3)) for each in (start, images)]
    return np.concatenate([parts[0], between, parts[1]], axis=2)
