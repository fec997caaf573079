"""Judging synthetic sets: named protocols, networks trained from scratch, baselines."""

from engine.evaluation.evaluate import Score, evaluate, evaluate_on, train_network, train_networks
from engine.evaluation.protocols import PROTOCOLS, Protocol

__all__ = ["PROTOCOLS", "Protocol", "Score", "evaluate", "evaluate_on", "train_network", "train_networks"]
