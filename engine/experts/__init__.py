"""Experts: networks trained on the real set, and the cache their trajectories live in."""

from engine.experts.store import Trajectories, ensure

__all__ = ["Trajectories", "ensure"]
