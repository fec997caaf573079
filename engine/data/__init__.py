"""Real data: sources, preparation and augmentation.

Names load on first use, so that importing this imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.data.augment import Augment, Draw
    from engine.data.prepare import RealSet, Split, prepare
    from engine.data.sources import default_data_dir, find, load
    from engine.data.transform import Transform
    from engine.data.types import Images, RawSet

__all__ = [
    "Augment",
    "Draw",
    "Images",
    "RawSet",
    "RealSet",
    "Split",
    "Transform",
    "default_data_dir",
    "find",
    "load",
    "prepare",
]

_HOMES = {
    "Augment": "augment",
    "Draw": "augment",
    "Images": "types",
    "RawSet": "types",
    "RealSet": "prepare",
    "Split": "prepare",
    "Transform": "transform",
    "default_data_dir": "sources",
    "find": "sources",
    "load": "sources",
    "prepare": "prepare",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
