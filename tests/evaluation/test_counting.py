"""Networks are counted by the work that is done on them."""

from __future__ import annotations

from engine.evaluation.counting import TRAINING, Count


def told(networks: int, trained_on: int, measured_on: int) -> list[tuple[int, int]]:
    """What is heard while all are trained together and then measured one after another."""
    heard: list[tuple[int, int]] = []
    count = Count(
        lambda done, total: heard.append((done, total)), networks, trained_on=trained_on, measured_on=measured_on
    )
    for done in range(1, networks + 1):
        count.trained(done, networks)
    for _ in range(networks):
        count.measured()
    return heard


def test_half_of_the_work_is_measuring() -> None:
    assert [done for done, _ in told(4, 100, 100 * TRAINING)] == [0, 1, 1, 2, 2, 3, 3, 4]


def test_the_last_network_is_done_when_all_are_measured() -> None:
    for measured_on in (1, 7, 10_000, 10**9):
        heard = told(5, 3000, measured_on)
        assert heard[-1] == (5, 5)
        assert all(done < 5 for done, _ in heard[:-1])
        assert heard == sorted(heard)


def test_nobody_has_to_listen() -> None:
    count = Count(None, 2, trained_on=1, measured_on=1)
    count.trained(1, 2)
    count.measured()
