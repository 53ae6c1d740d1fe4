"""Conversion of errors of Hydra, OmegaConf and Lightning to one sentence for the user."""

import difflib
import functools
import re
import traceback
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming.cli.config import arguments, command_name, config_folders, config_root, parse
from dreaming.errors import ConfigError, DreamingError

SYNONYMS = dict.fromkeys(("epochs", "max_epochs", "num_epochs", "steps", "iterations"), "max_steps")
"""Names from other programs, and the last part of our key with this meaning."""

LAUNCHER = re.compile(r"hydra_plugins\..*launcher")
"""Names of the modules of Hydra's launchers that are packages of their own."""


def explain(error: Exception, program: str) -> DreamingError | None:
    """Convert an error that the user can correct; None for a bug of ours.

    Args:
        error: The error.
        program: ``dream`` or ``train``, whose keys are suggested.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DreamingError):
        # OmegaConf removes the explicit cause of its own errors; the context remains.
        cause = cause.__cause__ or (cause.__context__ if isinstance(cause, OmegaConfBaseException) else None)
    if cause is not None:
        return cause
    from lightning_fabric.utilities.exceptions import MisconfigurationException  # imports torch, which --help must not

    text = str(error)
    if isinstance(error, MisconfigurationException):
        return ConfigError(
            "trainer",
            found=" ".join(text.split()).rstrip("."),
            expected="a trainer that Lightning supports on this machine",
            hint="correct the value, or use trainer=auto",
            topic="no-such-device",
        )
    if match := re.search(r"Could not (?:override|append to config|append|delete from config\.) '([^']+)'", text):
        key = match[1].split("@")[0]
        return _key_of_another_program(key, program) or unknown_key(key, known_keys(program))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return _unknown_choice(group, name, error.options or choices(group))
    if match := re.search(r"(?:Key not found: |Interpolation key )'([\w.]+)'", text):
        return ConfigError(match[1], found="no value, although other keys refer to it", expected="a value or a choice")
    if match := re.search(r"Error merging override ([\w./@]+)=(.*)", text):
        return ConfigError(match[1], found=match[2], expected="a value of the kind that `--cfg job` shows")
    if (refused := _refused_by_launcher(error)) is not None:
        return refused
    if isinstance(error, HydraException | OmegaConfBaseException):
        first = text.splitlines()[0] if text else type(error).__name__
        return ConfigError("config", found=first, expected="a config that can be composed", hint="see --help")
    return None


def _refused_by_launcher(error: Exception) -> ConfigError | None:
    """The error for jobs that a launcher such as Ray's could not start; None for an error from elsewhere."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    launchers = [index for index, name in enumerate(modules) if LAUNCHER.match(name)]
    # Beyond the launcher, only libraries: an error of a job is not one of its launcher.
    if not launchers or any(name.partition(".")[0] == "dreaming" for name in modules[launchers[-1] :]):
        return None
    return ConfigError(
        "hydra.launcher",
        found=" ".join(str(error).split()).rstrip(".") or type(error).__name__,
        expected="a launcher that can start jobs",
        hint="correct its settings, or start its cluster",
    )


def _key_of_another_program(key: str, program: str) -> ConfigError | None:
    """The error for a key that only the other program has; None if neither has it."""
    other = "train" if program == "dream" else "dream"
    if key not in _keys_of(other):
        return None
    found, expected = f"a key of {command_name(other)}", f"a key of {command_name(program)}"
    return ConfigError(key, found=found, expected=expected, topic="unknown-key")


def unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    """Create the error for a key that does not exist, with those of ``known`` that are most likely meant."""
    near = _similar(key, known)
    return ConfigError(
        key,
        found="no such config key",
        topic="unknown-key",
        expected="a key such as " + " or ".join(near) if near else "a key that `--cfg job` shows",
    )


def _similar(key: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Known keys with the same last part, those of models first; the most similar one of them for a dotted key.

    Without any, the most similar key.
    """
    leaf = key.lstrip("+~").rpartition(".")[2]
    same = [other for other in known if other.rpartition(".")[2] in (leaf, SYNONYMS.get(leaf)) and other != key]
    if same and "." not in key:
        ranks = {other: (not other.startswith("model."), other.count("."), known.index(other)) for other in same}
        return sorted(same, key=ranks.__getitem__)[:count]
    others = [other for other in known if other != key]
    return difflib.get_close_matches(key, same, n=1) or difflib.get_close_matches(key, others, n=1) or same[:count]


def known_keys(program: str) -> list[str]:
    """All keys of a program's config and of a sweep, with the choices of the command line if they can be composed."""
    try:
        groups = [override for override in parse(arguments()) if not override.is_sweep_override()]
    except ConfigError:
        groups = []
    texts = [str(each.input_line) for each in groups if (config_root() / "conf" / str(each.key_or_group)).is_dir()]
    return _keys_of(program, *texts)


@functools.cache
def _keys_of(program: str, *texts: str) -> list[str]:
    with initialize_config_dir(str(config_root() / "conf")):
        try:
            config = compose(program, overrides=["sweep=base", *texts])
        except (HydraException, OmegaConfBaseException, ValueError):
            config = compose(program, overrides=["sweep=base"])
    return _flat(OmegaConf.to_container(config, resolve=False))


def choices(group: str) -> list[str]:
    """Names of the choices of a group, from the files of ``conf/`` and of ``--config-dir``."""
    roots = (config_root() / "conf", *config_folders(arguments()))
    return sorted({path.stem for root in roots for path in (root / group).glob("*.yaml")})


def _flat(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in (f"{prefix}{key}", *_flat(value, f"{prefix}{key}."))]


def _unknown_choice(group: str, name: str, names: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(name, names, n=1)
    return ConfigError(
        f"{group}={name}",
        found="no such choice",
        topic="unknown-choice",
        expected="one of " + ", ".join(names) if names else "a group that `--help` lists",
        hint=f"use {group}={near[0]}" if near else "",
    )
