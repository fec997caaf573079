"""Which experts the cache has, by the settings of the run that asked for them last. Imports no torch.

A key of the cache is made of the data themselves, which have to be loaded for it; this is for those who only look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from engine.config.schema import Config
from engine.files import read_json_object, write_json

FILE = "settings.json"
"""In a key's folder, beside what decides the experts there."""


def note(folder: Path, config: Config) -> None:
    """Write down with which settings a run asks for the experts of a key's folder.

    Raises:
        RunFailed: the disk refuses.
    """
    settings = config.model_dump(mode="json")
    if read_json_object(folder / FILE) != settings:
        write_json(folder / FILE, settings)


def there(cache_dir: Path) -> Iterator[tuple[Config, int]]:
    """The settings of every key, and how many finished experts it has; keys of an older version tell of none."""
    for path in sorted(cache_dir.glob(f"experts/*/{FILE}")):
        try:
            config = Config.model_validate_json(json.dumps(read_json_object(path)))
        except ValidationError:  # damaged, or of a version with other settings
            continue
        yield config, sum(_finished(seal) for seal in path.parent.glob("expert-*.json"))


def _finished(seal: Path) -> bool:
    """Whether an expert's file is as long as it was; its checksum is looked at when it is used."""
    known = read_json_object(seal)
    try:
        return known is not None and seal.with_suffix(".safetensors").stat().st_size == known.get("bytes")
    except OSError:
        return False
