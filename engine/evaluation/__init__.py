"""Judging synthetic sets: named protocols, networks trained from scratch, baselines.

Importing this package, or its ``protocols``, imports no torch.
"""
