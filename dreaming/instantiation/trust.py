"""The classes that a config may name as ``_target_``, so that a config from elsewhere cannot run arbitrary code."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Collection, Iterable
from typing import Any

from hydra.core.override_parser.types import Override

from dreaming.artifacts.fingerprint import PACKAGE
from dreaming.errors import ConfigError

TRUSTED = (
    "dreaming.guides.storage.select_guides",
    "dreaming.sweep.config.SweepConfig",
    "dreaming.training.devices.suited_trainer",
    "dreaming.training.loggers.csv_logger",
    "dreaming.training.loggers.tensorboard_logger",
    "dreaming.training.loggers.wandb_logger",
    "optuna.pruners.HyperbandPruner",
    "optuna.pruners.MedianPruner",
    "optuna.pruners.NopPruner",
    "optuna.pruners.PercentilePruner",
    "optuna.pruners.SuccessiveHalvingPruner",
    "optuna.pruners.ThresholdPruner",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.DeviceStatsMonitor",
    "pytorch_lightning.callbacks.EMAWeightAveraging",
    "pytorch_lightning.callbacks.GradientAccumulationScheduler",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.callbacks.Timer",
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.NAdam",
    "torch.optim.RAdam",
    "torch.optim.RMSprop",
    "torch.optim.SGD",
)
"""Trusted classes and functions, in addition to the classes of ``dreaming`` that declare a ``kind``.

None of them reads or writes a file that a parameter names, imports a name or executes text.
"""

HYDRA_TARGETS = ("dreaming.progress.ConsoleHandler", "dreaming.sweep.sweeper.StudySweeper", *TRUSTED)
"""Names that Hydra itself may import for its sweeper and its logging."""

_packages: set[str] = set()


def trust(packages: Collection[str]) -> None:
    """Trust all classes and functions of these packages of the user's, and of no others.

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
    _packages.update(packages)


def trusted_packages(overrides: Iterable[Override]) -> list[str]:
    """The packages that the command line trusts; a config file cannot add to them."""
    values = [override.value() for override in overrides if override.key_or_group == "trusted_packages"]
    return [str(name) for value in values for name in (value if isinstance(value, list) else [value])]


def whitelist() -> tuple[str, ...]:
    """The trusted names as patterns for Hydra's own ``instantiate``, which builds a sweep's pruner and loggers."""
    return (*HYDRA_TARGETS, *(f"{name}.*" for name in sorted(_packages)))


def find_target(target: str) -> Any:
    """Import the class or function of a trusted name.

    Raises:
        LookupError: If the name is not trusted, there is none, or it is defined in another package, such as a module
            that one of ours imports.
        ImportError: If its module imports something that is missing.
    """
    module, _, _ = target.rpartition(".")
    package = target.partition(".")[0]
    ours = package == PACKAGE and package not in _packages
    private = any(part.startswith("_") for part in target.split("."))
    if not module or private or not (ours or target in TRUSTED or package in _packages):
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
    if not callable(thing) or str(getattr(thing, "__module__", "")).split(".")[0] != package:
        raise LookupError(target)
    if ours and target not in TRUSTED and not isinstance(vars(thing).get("kind"), str):
        raise LookupError(target)
    return thing
