"""Whether a screen or a widget has all its parts: what was put off may come before they are made, or while they go."""

from __future__ import annotations

from textual.widget import Widget


def whole(node: Widget) -> bool:
    """Whether the parts of a node are there and stay.

    Textual takes the parts of a screen away one after another, and meanwhile what was to follow a painting is done by
    the screen that has come to the front.
    """
    return bool(node.children) and not node._pruning
