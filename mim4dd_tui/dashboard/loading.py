"""Loading the engine while keys are answered."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = (("libtorch_global_deps.so", os.RTLD_NOW | os.RTLD_GLOBAL), ("libtorch.so", os.RTLD_NOW))
"""Of torch, none of which knows Python, in the order and the manner in which it opens them itself."""


def open_libraries() -> None:
    """Open torch's libraries before torch is imported.

    An import opens them while every other thread waits, and they are the size of a disk's second or several; a call
    to C lets the others work. Where it cannot be done so, the import does it as ever: it alone says what is wrong.
    """
    if sys.platform != "linux" or "torch" in sys.modules or "LD_LIBRARY_PATH" in os.environ:
        return  # that path could put libraries of the system's in the place of those that torch chooses by itself
    with suppress(AttributeError, ImportError, OSError):  # no such call here, or no torch
        opening = ctypes.CDLL(None).dlopen
        opening.restype, opening.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
        spec = find_spec("torch")
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for name, how in LIBRARIES:
                opening(os.fsencode(Path(place) / "lib" / name), how)
