"""The classes that a config may name as ``_target_``, so that a config from elsewhere cannot run arbitrary code."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Collection, Iterable
from typing import Any

from hydra.core.override_parser.types import Override

from dreaming.errors import ConfigError

TRUSTED = (
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.*",
    "pytorch_lightning.loggers.*",
    "pytorch_lightning.profilers.*",
    "pytorch_lightning.strategies.*",
    "torch.optim.*",
    "optuna.pruners.*",
    "rich.logging.RichHandler",
)
"""Trusted names, and modules whose public classes and functions are all trusted, in addition to ``dreaming``."""


_packages: set[str] = {"dreaming"}


def trust(packages: Collection[str]) -> None:
    """Trust these packages of the user's, and no others, like ``dreaming`` itself.

    Raises:
        ConfigError: If one is not the name of an existing top-level package.
    """
    for name in packages:
        if not name.isidentifier() or importlib.util.find_spec(name) is None:
            raise ConfigError(
                "trusted_packages",
                found=f"no package {name}",
                expected="packages that are installed or in a folder of PYTHONPATH",
            )
    _packages.clear()
    _packages.update({"dreaming", *packages})


def trusted_packages(overrides: Iterable[Override]) -> list[str]:
    """The packages that the command line trusts; a config file cannot add to them."""
    values = [override.value() for override in overrides if override.key_or_group == "trusted_packages"]
    return [str(name) for value in values for name in (value if isinstance(value, list) else [value])]


def is_trusted(target: str) -> bool:
    """Whether a name may be imported, because this only runs code of trusted packages."""
    module, _, name = target.rpartition(".")
    if not name or any(part.startswith("_") for part in target.split(".")):
        return False
    return target in TRUSTED or f"{module}.*" in TRUSTED or target.split(".")[0] in _packages


def find_target(target: str) -> Any:
    """Import the class or function of a trusted name.

    Raises:
        LookupError: If there is none, or it is defined in another package, such as a module that one of ours imports.
        ImportError: If its module imports something that is missing.
    """
    module = target.rpartition(".")[0]
    if not module:
        raise LookupError(target)
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{target}.".startswith(f"{error.name}."):
            raise
    try:
        thing = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        raise LookupError(target) from None
    if not callable(thing) or str(getattr(thing, "__module__", "")).split(".")[0] != target.split(".")[0]:
        raise LookupError(target)
    return thing
