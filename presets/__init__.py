"""Presets: one TOML file each, nothing clever. A name that begins with an underscore is a base for others."""
