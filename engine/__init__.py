"""mim4dd's engine: dataset distillation with mutual-information maximisation, without any user interface.

The public surface; heavy modules load on first use, so that importing this package imports no torch::

    from engine import resolve, run_config
    result = run_config(resolve("digits-ipc1"), runs_dir=Path("runs"))

    from engine import load_artifact
    distilled = load_artifact("runs/<name>/distilled/best.safetensors")
    images, labels = distilled.images(), distilled.labels        # or distilled.dataset()

    from engine import meta_gradient     # exact gradient of trajectory matching, a pure function
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenMP's threads spin while they wait, by default. With another busy process on the machine (a shared server,
# the interface's own thread) a step on two threads then takes ten times as long or more; waiting passively
# costs next to nothing on an idle one. Read when torch is loaded, so it has to be said before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from engine.artifact import DistilledSet, load_artifact
    from engine.config.load import resolve
    from engine.config.schema import Config
    from engine.gradient import MetaGradient, meta_gradient
    from engine.run import resume
    from engine.run import start as run_config

_WHERE = {
    "Config": ("engine.config.schema", "Config"),
    "DistilledSet": ("engine.artifact", "DistilledSet"),
    "MetaGradient": ("engine.gradient", "MetaGradient"),
    "load_artifact": ("engine.artifact", "load_artifact"),
    "meta_gradient": ("engine.gradient", "meta_gradient"),
    "resolve": ("engine.config.load", "resolve"),
    "resume": ("engine.run", "resume"),
    "run_config": ("engine.run", "start"),
}

__all__ = [
    "Config",
    "DistilledSet",
    "MetaGradient",
    "__version__",
    "load_artifact",
    "meta_gradient",
    "resolve",
    "resume",
    "run_config",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)
