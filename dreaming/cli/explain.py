"""Conversion of errors of Hydra, OmegaConf and Lightning to one sentence for the user."""

import difflib
import functools
import re
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming.cli.config import config_root
from dreaming.errors import ConfigError, DreamingError


def explain(error: Exception) -> DreamingError | None:
    """Convert an error that the user can correct; None for a bug of ours."""
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
        )
    if match := re.search(r"Could not (?:override|append to config|append|delete from config\.) '([^']+)'", text):
        key = match[1].split("@")[0]
        return unknown_key(key, known_keys())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return _unknown_choice(group, name, error.options or [])
    if isinstance(error, HydraException | OmegaConfBaseException):
        first = text.splitlines()[0] if text else type(error).__name__
        return ConfigError("config", found=first, expected="a config that can be composed", hint="see --help")
    return None


def unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    """Create the error for a key that does not exist, with the most similar one of ``known``."""
    near = difflib.get_close_matches(key, [other for other in known if other != key], n=1)
    return ConfigError(
        key,
        found="no such config key",
        expected=f"a key such as {near[0]}" if near else "a key that `--cfg job` shows",
    )


@functools.cache
def known_keys() -> tuple[str, ...]:
    """All keys of both programs' default configs, and of a sweep."""
    found: list[str] = []
    for program in ("dream", "train"):
        with initialize_config_dir(str(config_root() / "conf")):
            found += _flat(OmegaConf.to_container(compose(program, overrides=["sweep=base"]), resolve=False))
    return tuple(sorted(set(found)))


def _flat(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in (f"{prefix}{key}", *_flat(value, f"{prefix}{key}."))]


def _unknown_choice(group: str, name: str, choices: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(name, choices, n=1)
    return ConfigError(
        f"{group}={name}",
        found="no such choice",
        expected="one of " + ", ".join(choices) if choices else "a group that `--help` lists",
        hint=f"use {group}={near[0]}" if near else "",
    )
