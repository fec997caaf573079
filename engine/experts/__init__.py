"""Experts: networks trained on the real set, and the cache their trajectories live in."""

from engine.experts.missing import ensure
from engine.experts.store import Trajectories

__all__ = ["Trajectories", "ensure"]
