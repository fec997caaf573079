"""Measurements: what the documentation's numbers are made by."""
