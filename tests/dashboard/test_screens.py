"""Every screen as it was last looked at and found right: characters, line by line."""

from __future__ import annotations

import difflib

import pytest

from tests.dashboard.pictured import FOLDER, SCENES, SIZES, Scene, capture, path_of

_USUAL = [
    pytest.param(scene, (80, 24), id=f"{scene.name}-80x24", marks=pytest.mark.long if scene.long else ())
    for scene in SCENES
]
_OTHERS = [
    pytest.param(scene, size, id=f"{scene.name}-{size[0]}x{size[1]}", marks=pytest.mark.long)
    for scene in SCENES
    for size in SIZES.get(scene.name, [])
]


@pytest.mark.parametrize(("scene", "size"), [*_USUAL, *_OTHERS])
async def test_a_screen_looks_as_it_did(scene: Scene, size: tuple[int, int]) -> None:
    kept, shown = path_of(scene, size).read_text(), await capture(scene, size)
    lines = difflib.unified_diff(kept.splitlines(), shown.splitlines(), "kept", "shown", lineterm="")
    assert shown == kept, "\n".join([*lines, "`python -m tests.dashboard.pictured` writes the files anew"])


def test_no_file_is_left_of_a_screen_that_is_gone() -> None:
    known = {path_of(scene, size).name for scene in SCENES for size in [(80, 24), *SIZES.get(scene.name, [])]}
    assert {path.name for path in FOLDER.glob("*.txt")} == known
