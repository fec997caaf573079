"""Settings with a method that this program lacks are read, and run by nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.config.elsewhere import readable
from engine.config.load import resolve
from engine.errors import ConfigError, DataError
from engine.reuse import config_of
from engine.runs.folder import RunFolder
from tests.artifact.helpers import distilled


def foreign(preset: str = "digits-ipc1") -> dict[str, Any]:
    """A preset's settings under an unknown method with a setting of its own."""
    tree = resolve(preset).config.model_dump(mode="json")
    tree["objective"] |= {"name": "means", "pull": 0.5}
    return tree


@pytest.mark.parametrize("preset", ["digits-ipc1", "digits-ipc1-bptt-soft", "digits-ipc1-dream"])
def test_all_but_the_method_is_read(preset: str) -> None:
    known, found = resolve(preset).config, readable(foreign(preset))
    for section in ("data", "augmentation", "network", "synthetic", "evaluation", "execution"):
        assert getattr(found, section) == getattr(known, section)


def test_what_is_wrong_otherwise_stays_wrong() -> None:
    tree = foreign()
    tree["network"]["width"] = -3
    with pytest.raises(ValidationError, match="width"):
        readable(tree)


def test_a_run_of_an_unknown_method_is_read_but_not_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, None, resolve("digits-ipc1").config, preset="digits-ipc1")
    text = folder.config_path.read_text().replace('name = "trajectory"', 'name = "means"')
    assert '"means"' in text
    folder.config_path.write_text(text)
    assert folder.settings().evaluation == resolve("digits-ipc1").config.evaluation
    with pytest.raises(ConfigError, match="'means' is not allowed"):
        folder.config()
    folder.config_path.write_text(text.replace("width = ", "width = -"))
    with pytest.raises(ConfigError, match="width"):
        folder.settings()


def test_a_set_of_an_unknown_method_says_what_it_is_measured_with() -> None:
    item = distilled()
    item.provenance["config"] = foreign()
    assert config_of(item).evaluation == resolve("digits-ipc1").config.evaluation
    item.provenance["config"]["data"]["name"] = "birds"
    with pytest.raises(DataError, match=r"data\.name: ") as caught:
        config_of(item)
    assert "http" not in str(caught.value)
    del item.provenance["config"]
    with pytest.raises(DataError, match="does not say with which configuration"):
        config_of(item)
