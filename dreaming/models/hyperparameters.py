"""Factories of networks and optimisers as plain data, so that checkpoints are safe to load and rebuild their module."""

import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

TARGET = "_target_"
IMPORTABLE = ("dreaming", "torch")
"""Packages whose modules a checkpoint may import; classes of other packages have to be imported already."""


def to_plain(value: Any) -> Any:
    """Convert partials and classes to mappings with a ``_target_``, as in Hydra configs, and containers to plain ones.

    Raises:
        TypeError: If a partial has positional arguments, or nothing is known about a type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, functools.partial) and not value.args:
        return to_plain(value.func) | to_plain(value.keywords)
    if callable(value) and hasattr(value, "__qualname__"):
        return {TARGET: f"{value.__module__}.{value.__qualname__}"}
    raise TypeError(f"no plain form of {value!r}")


def to_factory(value: Any) -> Any:
    """Convert a mapping that ``to_plain`` made of a factory back to a partial; return any other value as it is.

    Raises:
        TypeError: If the target is not a network or optimiser of an importable or imported module.
    """
    if not isinstance(value, Mapping) or TARGET not in value:
        return value
    keywords = {key: to_factory(item) for key, item in value.items() if key != TARGET}
    return functools.partial(_find_class(value[TARGET]), **keywords)


def _find_class(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    if module.split(".")[0] in IMPORTABLE:
        importlib.import_module(module)
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, type) and issubclass(found, nn.Module | Optimizer):
        return found
    raise TypeError(f"{path} is not a network or optimiser of an imported module")
