"""The state of CMA-ES in a study's database, read without executing what a database from elsewhere contains."""

import functools
import io
import pickle
from collections.abc import Sequence
from typing import Any

from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from dreaming.errors import ConfigError

STATE = {
    ("cmaes._cma", "CMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("cmaes._sepcma", "SepCMA"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}
"""All classes and functions in the state of an optimiser."""


class _StateUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STATE:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def secure(sampler: CmaEsSampler) -> None:
    """Make a sampler restore its optimiser from plain arrays only; Optuna would unpickle anything."""
    sampler._restore_optimizer = functools.partial(_restore, sampler)  # type: ignore[method-assign]  # no hook


def _restore(sampler: CmaEsSampler, completed: Sequence[FrozenTrial]) -> Any:
    for trial in reversed(completed):
        attributes = {name: v for name, v in trial.system_attrs.items() if name.startswith(sampler._attr_key_optimizer)}
        if not attributes:
            continue
        try:
            return _StateUnpickler(io.BytesIO(bytes.fromhex(sampler._concat_optimizer_attrs(attributes)))).load()
        except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                "sweep.storage",
                found=f"no state of CMA-ES in trial {trial.number} ({error})",
                expected="a database that this program wrote",
                hint="set sweep.name=ANOTHER to start a new sweep",
            ) from None
    return None
