"""Checks of the config before Hydra runs; they write nothing to disk."""

import difflib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from dreaming.cli.clip_check import check_clip
from dreaming.cli.config import (
    check_flags,
    composition_overrides,
    config_folders,
    config_root,
    parse,
    parse_shard,
    run_folder,
)
from dreaming.cli.explain import choices, known_keys, unknown_key
from dreaming.cli.overlay import with_best_trials, with_clip_settings
from dreaming.cli.search import check_component, check_devices, check_search, check_sweeper, variants
from dreaming.errors import ConfigError
from dreaming.instantiation.build import build, build_all, validate
from dreaming.instantiation.trust import trust, trusted_packages
from dreaming.instantiation.validation import show
from dreaming.stages.order import ORDER
from dreaming.training.loggers import check_loggers
from dreaming.training.quiet import quiet_lightning
from dreaming.training.trainer import FIXED_TRAINER_ARGUMENTS

SET_BY_LIMITS = ("max_steps", "min_steps", "min_epochs", "max_time")
"""Arguments of a Trainer that conflict with a model's ``limits``."""


def check(program: str, arguments: Sequence[str]) -> None:
    """Compose the config as Hydra will, and check it without writing to disk.

    Raises:
        ConfigError: If a key, a choice or a value does not exist or is invalid.
    """
    parsed = parse(arguments)
    check_flags(arguments)
    config_folders(arguments)
    trusted = trusted_packages(parsed)
    trust(trusted)
    taken = composition_overrides(parsed)
    overrides = [override for override in parsed if override.input_line in taken]
    multirun = bool({"-m", "--multirun"} & set(arguments))
    for override in parsed:
        _check_override(override)
        if override.is_sweep_override() and not multirun and override in overrides:
            raise _several_values(override)
    for singles in variants(overrides):
        with initialize_config_dir(str(config_root() / "conf")):
            config = compose(program, overrides=singles)
        _check_additions(program, overrides, config)
        if "sweep" in config:
            check_component(config, overrides)
        if list(config.trusted_packages) != trusted:
            raise ConfigError(
                "trusted_packages", found="a config file that sets it", expected="this key on the command line only"
            )
        if multirun and config.get("ckpt_path") is not None:
            raise ConfigError(
                "ckpt_path",
                found=f"{config.ckpt_path} with -m",
                expected="a single run to resume",
                hint="leave out -m and repeat the overrides of the interrupted job; a sweep resumes without ckpt_path",
            )
        check_config(program, config, arguments)
        if not multirun:  # a launcher may start its jobs on another machine
            _check_trainer(config)
    if "sweep" in config:
        if not multirun:
            raise ConfigError(
                f"sweep={config.sweep.name}",
                topic="a-sweep-in-a-single-run",
                found="a sweep in a single run",
                expected="-m",
                hint="add -m to sweep",
            )
        others = [str(override.input_line) for override in parsed if override not in overrides]
        _check_sweep(program, [*singles, *others])


def _check_override(override: Override) -> None:
    """Refuse an override that Hydra accepts, but with which a run cannot work."""
    key, value = str(override.key_or_group), override.value()
    if _is_group(override):
        _check_choice(override)
    if key == "hydra.job.chdir" and value:
        raise working_folder_error()
    if key.endswith("._partial_"):
        raise ConfigError(
            str(override.input_line), found="another way to build a class", expected="parameters of the class"
        )
    if key in ("hydra.run.dir", "hydra.sweep.dir") and value in ("", "."):
        raise ConfigError(
            key, found="the working folder", expected="a folder for the records of runs",
            hint="leave it out for a new folder in the clip",
        )  # fmt: skip


def _is_group(override: Override) -> bool:
    """Whether an override chooses files of a group of ``conf/``."""
    return (config_root() / "conf" / str(override.key_or_group)).is_dir()


def _several_values(override: Override) -> ConfigError:
    """The error for ``key=A,B`` without ``-m``."""
    together = f", or write {override.key_or_group}=[...] to use all in one run" if _is_group(override) else ""
    return ConfigError(
        str(override.input_line),
        topic="several-values-in-a-single-run",
        found="several values",
        expected="one value, or -m to run each",
        hint=f"add -m{together}",
    )


def _check_sweep(program: str, overrides: list[str]) -> None:
    """Check a sweep with Hydra's own keys, which hold its search space."""
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose(program, overrides=overrides, return_hydra_config=True)
    if program == "train":
        check_devices(config)
    check_sweeper(config)
    check_search(config, program)


def _check_choice(override: Override) -> None:
    """Refuse a group's value that is no name, such as null or a number, at which Hydra fails."""
    value: Any = override.value()
    values = value if isinstance(value, list) else [value]
    if override.is_delete() or override.is_sweep_override() or all(isinstance(value, str) for value in values):
        return
    group = str(override.key_or_group)
    names = ", ".join(choices(group))
    expected = f"one of {names}, or several in brackets" if names else "its keys by their full names"
    raise ConfigError(group, found=show(value), expected=expected)


def working_folder_error() -> ConfigError:
    """The error for ``hydra.job.chdir=true``, with which relative paths would be looked up in the run's folder."""
    return ConfigError("hydra.job.chdir", found="true", expected="false, because paths are relative to this folder")


def check_config(program: str, config: DictConfig, arguments: Sequence[str] = ()) -> None:
    """Check a composed config; ``arguments`` are those of the command line.

    Raises:
        ConfigError: If a choice or a value is invalid.
    """
    check_clip(config)
    _check_values(config)
    _check_choices(program, config)
    config = with_best_trials(config, arguments, silent=True)
    _check_buildable(config)


def _check_additions(program: str, overrides: Sequence[Override], config: DictConfig) -> None:
    """Refuse ``+key=value`` with an unknown key; keys below a node are compared with its class elsewhere."""
    added = [override for override in overrides if override.is_add() or override.is_force_add()]
    for override in added:
        key = str(override.key_or_group)
        if "@" in override.get_key_element() or "/" in key or (config_root() / "conf" / key).is_dir():
            continue  # a choice of a group
        parents = [key.rsplit(".", count)[0] for count in range(key.count(".") + 1)]
        nodes = [node for name in parents if isinstance(node := OmegaConf.select(config, name), DictConfig)]
        if any("_target_" in node for node in nodes) or (override.is_force_add() and key in known_keys(program)):
            continue
        raise unknown_key(f"{'+' if override.is_add() else '++'}{key}", known_keys(program))


def _check_choices(program: str, config: DictConfig) -> None:
    """Check that one model, or at least one masker, is selected, and that the selection exists."""
    if program == "train":
        if len(config.model) != 1:
            raise ConfigError(
                "model",
                found=", ".join(map(str, config.model)) or "none",
                expected="one model",
                hint="name one, or use -m model=unet,cnn to train several",
            )
        if config.ckpt_path is not None:
            run_folder(str(config.clip), str(next(iter(config.model))), str(config.ckpt_path))
        return
    check_stages(config)
    if not config.get("masker"):
        raise ConfigError("masker", found="none", expected="at least one masker", hint="name one, such as masker=unet")


def _check_values(config: DictConfig) -> None:
    parse_shard(config)
    check_loggers(config.get("logger") or {})
    validate(config)
    for key in set(config.get("trainer") or ()) & {*FIXED_TRAINER_ARGUMENTS, *SET_BY_LIMITS}:
        raise ConfigError(
            f"trainer.{key}",
            found=str(config.trainer[key]),
            expected="no value, because every fit sets it",
            hint="limits, logger and callbacks have keys of their own",
        )


def _check_buildable(config: DictConfig) -> None:
    """Read clip.yaml and build the objects that the run needs, because these may raise errors, too."""
    for key in ("stage.composite.masker", "stage.evaluate.masker"):
        named = OmegaConf.select(config, key)
        if named is not None and named not in config.masker:
            raise ConfigError(
                key,
                found=repr(named),
                expected="a masker that is selected, one of " + ", ".join(map(str, config.masker)),
                hint=f"correct the name, or select it too with masker=[...,{named}]",
            )
    for key in ("stage.evaluate.truth", "stage.evaluate.matte_truth", "stage.evaluate.styled_truth"):
        truth = OmegaConf.select(config, key)
        if truth is not None and not Path(str(truth)).is_dir() and "draw" not in config.stages:
            raise ConfigError(
                key, found=f"no folder {truth}", expected="a folder of true pictures", hint="correct the path"
            )
    with_clip_settings(config, ())
    for group in ("stage", "model"):
        build_all(config, group)


def _check_trainer(config: DictConfig) -> None:
    """Refuse a device that this machine lacks, or a profiler that does not exist, by Lightning's own checks."""
    trainer = build(config, "trainer")
    try:
        with quiet_lightning():
            inspect.unwrap(trainer.func)(**trainer.keywords, logger=False)
    except TypeError as error:
        raise ConfigError("trainer", found=str(error), expected="arguments that Lightning accepts") from None


def _stage_hint(stage: str, near: Sequence[str], known: Sequence[str]) -> str:
    if stage in ORDER:  # its settings are not loaded
        return f"use stages=[{','.join(known)}] instead of stage={','.join(known)}"
    return f"use stages=[{near[0]}]" if near else ""


def check_stages(config: DictConfig) -> None:
    """Check that there are ``stages``, and that all exist; one that is named twice runs once.

    Raises:
        ConfigError: If there is none, or one does not exist.
    """
    known = [stage for stage in ORDER if stage in config.stage]
    if not config.stages and config["import"] is None:
        raise ConfigError(
            "stages", topic="no-such-stage", found="no stage", expected="stages among " + ", ".join(known),
            hint="leave out stages= for the usual ones",
        )  # fmt: skip
    for stage in config.stages:
        if stage not in known:
            near = difflib.get_close_matches(str(stage), known, n=1)
            raise ConfigError(
                "stages",
                topic="no-such-stage",
                found=f"no stage {stage!r}",
                expected="stages among " + ", ".join(known),
                hint=_stage_hint(str(stage), near, known),
            )
