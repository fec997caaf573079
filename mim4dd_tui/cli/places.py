"""``paths``: where everything lies."""

from __future__ import annotations

from pathlib import Path

from mim4dd_tui.cli.options import DataDir, Json, RunsDir, data_dir_of, runs_dir_of
from mim4dd_tui.cli.output import pairs, write_json


def paths(runs_dir: RunsDir = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print where presets, runs, data sets and caches are."""
    from platformdirs import user_state_path

    from engine.config.presets import user_dir
    from engine.files import default_cache_dir

    places = {
        "runs": runs_dir_of(runs_dir).absolute(),
        "data": data_dir_of(data_dir, looks=True).absolute(),
        "cache": default_cache_dir().absolute(),
        "presets": user_dir().absolute(),
        "themes": user_dir().absolute().parent / "themes",
        "state": user_state_path("mim4dd", appauthor=False),
    }
    if as_json:
        write_json(places)
        return
    pairs([(name, str(path) + _missing(path)) for name, path in places.items()])


def _missing(path: Path) -> str:
    """What is to be known of a place beside where it is."""
    try:
        return "" if path.exists() else "  (not there yet)"
    except OSError as error:
        return f"  ({error.strerror})"
