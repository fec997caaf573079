"""Feature maps pooled before the critic: torch's own adaptive means, of maps of any size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engine.config.schema import Information
from engine.information.critic import pool


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(3, 3), (7, 7), (8, 8), (14, 14), (32, 32), (9, 6)])
def test_a_grid_of_means_is_torchs_adaptive_pooling(size: tuple[int, int], side: int) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    whole = side >= size[0]
    expected = maps if whole else F.adaptive_avg_pool2d(maps, side)
    torch.testing.assert_close(pool(maps, Information(pooling="grid", grid=side)), expected.flatten(1))


def test_one_mean_a_channel_everything_and_logits() -> None:
    maps, logits = torch.randn(2, 3, 7, 7), torch.randn(2, 10)
    torch.testing.assert_close(pool(maps, Information(pooling="average")), maps.mean((2, 3)))
    assert torch.equal(pool(maps, Information(pooling="flatten")), maps.flatten(1))
    assert torch.equal(pool(logits, Information()), logits)
