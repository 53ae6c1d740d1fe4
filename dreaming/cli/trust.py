"""What a config may name as ``_target_``: a config from elsewhere must not choose code to run."""

import pkgutil
from typing import Any

TRUSTED = (
    "dreaming.*",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.*",
    "pytorch_lightning.loggers.*",
    "pytorch_lightning.profilers.*",
    "pytorch_lightning.strategies.*",
    "torch.optim.*",
    "optuna.pruners.*",
    "rich.logging.RichHandler",
)
"""Names, and modules all of whose public classes and functions are trusted; of ``dreaming`` also those below."""


def is_trusted(target: str) -> bool:
    """Whether a name may be looked up: importing its module runs no other code than that of trusted packages."""
    module, _, name = target.rpartition(".")
    if any(part.startswith("_") for part in target.split(".")):
        return False
    return any(
        target == entry
        or (
            entry.endswith(".*")
            and name != ""
            and (module == entry[:-2] or (_is_root(entry) and target.startswith(entry[:-1])))
        )
        for entry in TRUSTED
    )


def _is_root(entry: str) -> bool:
    return entry.count(".") == 1 and entry.startswith("dreaming.")


def find_target(target: str) -> Any:
    """Import the class or function that a trusted name stands for.

    Raises:
        LookupError: If there is none, or it comes from another package, such as a module that one of ours imports.
    """
    try:
        thing = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        raise LookupError(target) from None
    if not callable(thing) or str(getattr(thing, "__module__", "")).split(".")[0] != target.split(".")[0]:
        raise LookupError(target)
    return thing
