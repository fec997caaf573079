"""Random draws by purpose: every use of randomness has a generator of its own, derived from the run's seed.

Counter-based seeding (seed, purpose, index) instead of one long stream means that a draw depends on
nothing drawn before it: a resumed run needs no generator state, an evaluation more or less changes no
later draw, and two runs that differ in one setting are paired draw by draw. No global seed is touched.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed from a run's seed and a purpose, e.g. ``derive(0, "iteration", 12)``."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose. Draws are made on the CPU so that they do not depend on the device."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
