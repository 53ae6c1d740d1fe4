"""Factories of networks and optimisers as plain data, so that checkpoints are safe to load and rebuild their module."""

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dreaming import networks
from dreaming.artifacts.fingerprint import kind_of

CLASS = "class"
"""Key of a class's identifier among its arguments; as a Python keyword, it is no argument's name."""


def to_plain(value: Any) -> Any:
    """Convert partials and classes to mappings with a class's identifier, and containers to plain ones.

    Raises:
        TypeError: If a partial has positional arguments, or a type has no plain form.
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
        return {CLASS: kind_of(value)}
    raise TypeError(f"no plain form of {value!r}")


def to_factory(value: Any) -> Any:
    """Convert a mapping that ``to_plain`` made of a factory back to a partial; return any other value as it is.

    Raises:
        TypeError: If not exactly one network or optimiser that is imported has the identifier.
    """
    if not isinstance(value, Mapping) or CLASS not in value:
        return value
    keywords = {key: to_factory(item) for key, item in value.items() if key != CLASS}
    return functools.partial(_find_class(value[CLASS]), **keywords)


def _find_class(kind: str) -> Callable[..., Any]:
    """Find a network or optimiser by ``kind_of``, without importing any package but this one."""
    for module in pkgutil.iter_modules(networks.__path__, f"{networks.__name__}."):
        importlib.import_module(module.name)
    found = [cls for cls in _subclasses(nn.Module, Optimizer) if _is_candidate(cls, kind)]
    if len(found) > 1:
        # A class that is defined again, such as in a notebook, replaces the first one in its module.
        found = [cls for cls in found if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"{cls.__module__}.{cls.__qualname__}" for cls in found)
        raise TypeError(f"{kind}: both {names}; declare `kind: ClassVar[str]` in yours before training")
    raise TypeError(f"{kind}: no network or optimiser that is imported; import its module first")


def _is_candidate(cls: type, kind: str) -> bool:
    package = cls.__module__.partition(".")[0]
    if package == torch.__name__:
        # Many internal classes of torch share the name of a public one.
        return cls.__name__ == kind and cls in (getattr(torch.optim, kind, None), getattr(nn, kind, None))
    try:
        return kind_of(cls) == kind
    except TypeError:
        return False


def _subclasses(*bases: type) -> Iterator[type]:
    """Yield these classes and all classes derived from them, each once."""
    seen: set[type] = set()
    pending = list(bases)
    while pending:
        cls = pending.pop()
        if cls not in seen:
            seen.add(cls)
            yield cls
            pending += cls.__subclasses__()
