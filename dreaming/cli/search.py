"""Whether a search space names keys and values that the config takes; told before the first trial."""

import copy
from collections.abc import Iterator
from typing import Any, cast

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf

from dreaming.cli.config import is_trusted, parse
from dreaming.cli.explain import known_keys, unknown_key
from dreaming.cli.values import check_values


def searched_values(override: Override) -> Iterator[str]:
    """Values that come up in a sweep: all of a choice or range, both ends of an interval."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield from (str(value.start), str(value.end))
    else:
        yield from override.sweep_string_iterator()


def check_search(config: DictConfig) -> None:
    """Compare each key and value of the search space with what the config takes.

    Args:
        config: The composed config, Hydra's part among it.

    Raises:
        ConfigError: If a key does not exist, or a value is of another type than its class takes.
    """
    plain = copy.deepcopy(config)
    OmegaConf.set_struct(plain, False)
    space = plain.hydra.sweeper.params or {}
    del plain["hydra"]
    for override in parse([f"{key}={value}" for key, value in space.items()]):
        key = str(override.key_or_group)
        if OmegaConf.select(plain, key, default=plain) is plain:
            raise unknown_key(key, known_keys())
        for value in searched_values(override) if override.is_sweep_override() else ():
            (single,) = parse([f"{key}={value}"])
            before = OmegaConf.select(plain, key)
            OmegaConf.update(plain, key, single.value())
            check_values(cast(dict[str, Any], OmegaConf.to_container(plain, resolve=True)), is_trusted)
            OmegaConf.update(plain, key, before)
