"""The configuration of a run: its schema, and how presets and files become one."""

from engine.config.fields import FieldInfo, fields
from engine.config.load import Resolved, change, dump, list_presets, load_config, resolve, save_user_preset
from engine.config.presets import PresetInfo
from engine.config.schema import Config

__all__ = [
    "Config",
    "FieldInfo",
    "PresetInfo",
    "Resolved",
    "change",
    "dump",
    "fields",
    "list_presets",
    "load_config",
    "resolve",
    "save_user_preset",
]
