"""Checks of a sweep before its first trial: search space, devices and the sweeper's settings."""

import copy
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from dreaming.cli.config import parse
from dreaming.cli.explain import known_keys, unknown_key
from dreaming.errors import ConfigError
from dreaming.instantiation.build import build, validate
from dreaming.sweep.config import SweepConfig


def searched_values(override: Override) -> Iterator[str]:
    """Yield values of a sweep to check: all of a choice or range, both ends of an interval."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield from (str(value.start), str(value.end))
    else:
        yield from override.sweep_string_iterator()


def variants(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """Yield overrides without sweeps, so that each value of each sweep occurs; one sweep varies at a time."""
    values = [
        [f"{override.key_or_group}={value}" for value in searched_values(override)]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in overrides
    ]
    firsts = [several[0] for several in values]
    yield firsts
    for index, several in enumerate(values):
        for value in several[1:]:
            yield [*firsts[:index], value, *firsts[index + 1 :]]


def check_devices(config: DictConfig) -> None:
    """Refuse trials on several devices, because a trial's progress would stay in the processes of the devices.

    Raises:
        ConfigError: If the trainer uses several.
    """
    devices = config.trainer.get("devices", 1)
    alone = devices in (1, "1") or (isinstance(devices, ListConfig) and len(devices) == 1)
    if not alone:
        raise ConfigError(
            "trainer.devices",
            found=f"{devices} in a sweep",
            expected="1, because a trial reports its progress from the process that trains it",
            hint="use trainer=gpu, and hydra/launcher=joblib for several trials at the same time",
        )


def check_sweeper(config: DictConfig) -> None:
    """Refuse settings of Hydra's own sweeper for which a sweep has another key.

    Raises:
        ConfigError: If such a key has a value without effect, or the number of parallel jobs is 0.
    """
    plan: SweepConfig = build(config, "sweep")
    given = config.hydra.sweeper
    direction = list(given.direction) if isinstance(given.direction, ListConfig) else [given.direction]
    for key, found, used, hint in (
        ("storage", given.storage, plan.storage, "sweep.storage=URL"),
        ("study_name", given.study_name, plan.name, "sweep.name=NAME"),
        ("max_failure_rate", given.max_failure_rate, 0.0, "sweep.max_failures=NUMBER, of failed trials in a row"),
        ("direction", direction, plan.directions if given.direction is not None else [None], "sweep.objectives=[...]"),
    ):
        if found != used:
            raise ConfigError(
                f"hydra.sweeper.{key}", found=f"{found}, which has no effect", expected="the key of the sweep",
                hint=f"use {hint}",
            )  # fmt: skip
    if given.n_jobs == 0:
        raise ConfigError(
            "hydra.sweeper.n_jobs",
            found="0",
            expected="1 or more parallel trials, or -1 for one per core",
            hint="set it, or the launcher's number of jobs, which it follows by default",
        )


def check_component(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Refuse a sweep of a model or masker that is not selected, and of several clips.

    Raises:
        ConfigError: If there is no such model or masker in the config, or ``clip`` has several values.
    """
    name, component = config.sweep.name, str(config.sweep.component)
    group = "masker" if "masker" in config else "model"
    if component not in (config.get(group) or {}):
        raise ConfigError(
            f"sweep={name}",
            found=f"{group}={','.join(map(str, config.get(group) or ())) or 'null'}",
            expected=f"{group}={component}, which this sweep searches",
            hint=f"leave out {group}=, or choose another sweep",
        )
    for override in overrides:
        if override.key_or_group == "clip" and override.is_sweep_override():
            raise ConfigError(
                str(override.input_line),
                found="several clips in a sweep",
                expected="one clip",
                hint="sweep each by itself",
            )


def check_search(config: DictConfig, program: str) -> None:
    """Compare each key and value of the search space with the config's classes.

    Args:
        config: The composed config, including Hydra's part.
        program: ``dream`` or ``train``, whose keys are suggested.

    Raises:
        ConfigError: If a key does not exist, or a value is invalid.
    """
    plain = copy.deepcopy(config)
    OmegaConf.set_struct(plain, False)
    space = plain.hydra.sweeper.params or {}
    del plain["hydra"]
    for override in parse([f"{key}={value}" for key, value in space.items()]):
        key = str(override.key_or_group)
        if OmegaConf.select(plain, key, default=plain) is plain:
            raise unknown_key(key, known_keys(program))
        for value in searched_values(override) if override.is_sweep_override() else ():
            (single,) = parse([f"{key}={value}"])
            before = OmegaConf.select(plain, key)
            OmegaConf.update(plain, key, single.value())
            validate(plain)
            OmegaConf.update(plain, key, before)
