"""Widgets of the dashboard: each shows what it is given and posts messages; none knows the engine."""
