"""Objects built from config nodes; each node is first compared with the signature of its class."""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from dreaming.constraints import Range, Seed
from dreaming.errors import ConfigError, ParameterError
from dreaming.instantiation.trust import TRUSTED, find_target
from dreaming.instantiation.validation import describe, find_problem, is_node, parameters_of

SETTINGS = {
    "clip": str | int,  # a folder may be called 2024
    "video": str | None,
    "import": str | None,
    "prune": Literal["list", "delete"] | None,
    "stages": list[str],
    "guides": list[str],
    "seed": Seed,
    "threads": Annotated[int, Range(ge=1, le=1024)] | None,
    "shard": str,
    "ckpt_path": str | None,
    "trusted_packages": list[str],
    "tuned": bool,
}
"""Accepted values of the keys that are not parameters of a class."""

GROUPS = ("data", "model", "masker", "guide", "stage", "logger", "callbacks")
"""Config groups: mappings from names to nodes."""


class KeyedPartial(functools.partial[Any]):
    """A partial of a class that reports an invalid parameter under its config key.

    Attributes:
        keys: The config key of each parameter that the config sets, and of the node itself under the empty name.
    """

    keys: Mapping[str, str]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the class, with a ``ParameterError`` turned into a ``ConfigError``."""
        try:
            return super().__call__(*args, **kwargs)
        except ValueError as error:
            if (refusal := _as_config_error(error, self.func, self.keys)) is None:
                raise
            raise refusal from error


def build(config: DictConfig, key: str, **given: Any) -> Any:
    """Build the object that a node of the config describes; lists and mappings become plain ones.

    Args:
        config: The whole config.
        key: The node's dotted key.
        given: Additional arguments of the node's class.

    Raises:
        ConfigError: If a key is unknown or missing, or a value is invalid; it names the full key where the value is
            set.
    """
    return _Tree(config).build(config, key, given)


def build_all(config: DictConfig, group: str, **given: Any) -> dict[str, Any]:
    """Build the object of each node of a config group, by name; see ``build``."""
    tree = _Tree(config)
    return {str(name): tree.build(config, f"{group}.{name}", given) for name in config.get(group) or {}}


def validate(config: DictConfig) -> None:
    """Compare all keys and values of a config with the signatures of its classes, without building anything.

    Raises:
        ConfigError: If a key is unknown, or a value is invalid.
    """
    tree, values = _Tree(config), resolved(config)
    for key, hint in SETTINGS.items():
        if key in values:
            tree.check(key, values[key], hint)
    for group in GROUPS:
        for name, node in values.get(group, {}).items():
            tree.check(f"{group}.{name}", node, Mapping)
    tree.validate(values, "")


class _Tree:
    """Operations on nodes of one config; ``raw`` is the config with unresolved references."""

    def __init__(self, config: DictConfig) -> None:
        self.raw = OmegaConf.to_container(config, resolve=False)

    def build(self, config: DictConfig, key: str, given: Mapping[str, Any]) -> Any:
        node = resolved(OmegaConf.select(config, key))
        self.validate(node, key)
        return self.make(node, key, given)

    def validate(self, value: Any, key: str) -> None:
        for below, item in _items(value, key):
            self.validate(item, below)
        if not is_node(value):
            return
        taken = parameters_of(self.target(value, key))
        for name, item in value.items():
            if name in ("_target_", "_partial_"):
                continue
            if name not in taken.hints and not taken.is_open:
                raise self._unknown(f"{key}.{name}", name, taken.hints)
            self.check(f"{key}.{name}", item, taken.hints.get(name, Any))

    def check(self, key: str, value: Any, hint: Any) -> None:
        if problem := find_problem(value, hint):
            raise ConfigError(
                self.origin(key + problem.below), topic="invalid-value", found=problem.found, expected=problem.expected
            )

    def make(self, value: Any, key: str, given: Mapping[str, Any]) -> Any:
        made = {below: self.make(item, below, {}) for below, item in _items(value, key)}
        if isinstance(value, list):
            return list(made.values())
        if not isinstance(value, Mapping):
            return value
        arguments = {name: made[f"{key}.{name}"] for name in value if not str(name).startswith("_")}
        if not is_node(value):
            return arguments
        thing = self.target(value, key)
        keys = {name: self.origin(f"{key}.{name}") for name in arguments} | {"": self.origin(key)}
        if value.get("_partial_"):
            partial = KeyedPartial(thing, **arguments, **given)
            partial.keys = keys
            return partial
        taken = parameters_of(thing)
        if missing := sorted(taken.required - arguments.keys() - given.keys()):
            expected = describe(taken.hints[missing[0]])
            raise ConfigError(f"{keys['']}.{missing[0]}", found="nothing", expected=expected)
        try:
            return thing(**arguments, **given)
        except ValueError as error:
            if (refusal := _as_config_error(error, thing, keys)) is None:
                raise
            raise refusal from error

    def target(self, node: Mapping[str, Any], key: str) -> Any:
        target = str(node["_target_"])
        try:
            return find_target(target)
        except LookupError:
            raise ConfigError(
                self.origin(f"{key}._target_"),
                found=target,
                topic="a-class-that-is-not-trusted",
                expected="a class of dreaming that a config may name, a class of trusted_packages, or one of "
                + ", ".join(name for name in TRUSTED if not name.startswith("dreaming.")),
            ) from None
        except ImportError as error:
            raise ConfigError(
                self.origin(f"{key}._target_"),
                found=f"{target}, whose import fails: {error}",
                expected="a module that can be imported",
            ) from error

    def origin(self, key: str) -> str:
        """The key where a value is set: that of the target for a reference such as ``${data.flow}``."""
        node: Any = self.raw
        for match in re.finditer(r"[^.\[\]]+", key):
            try:
                node = node[int(match[0]) if isinstance(node, list) else match[0]]
            except (KeyError, IndexError, TypeError):
                return key
            if isinstance(node, str) and (source := self._reference(node)):
                return self.origin(source + key[match.end() :].removeprefix("]"))
        return key

    def _reference(self, text: str) -> str | None:
        """The key that ``${key}`` or ``${oc.select:key,default}`` refers to; None if there is no such key."""
        match = re.fullmatch(r"\$\{(?:oc\.select:)?([\w.]+)(?:,.*)?\}", text)
        names = match[1].split(".") if match else []
        found = functools.reduce(lambda node, name: node.get(name) if isinstance(node, dict) else None, names, self.raw)
        return match[1] if match and found is not None else None

    def _unknown(self, key: str, name: str, known: Mapping[str, Any]) -> ConfigError:
        near = difflib.get_close_matches(name, known, n=1)
        return ConfigError(
            self.origin(key),
            found="an unknown key",
            topic="unknown-key",
            expected="one of " + ", ".join(known),
            hint=f"use {near[0]}" if near else "",
        )


def _items(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The items of a list or mapping, with their keys."""
    if isinstance(value, list):
        yield from ((f"{key}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, Mapping):
        yield from ((f"{key}.{name}" if key else str(name), item) for name, item in value.items())


def _as_config_error(error: ValueError, thing: Any, keys: Mapping[str, str]) -> ConfigError | None:
    """Convert a constructor's error to one that names the config key; None for a bug of ours."""
    if isinstance(error, ParameterError):
        first, dot, rest = error.name.partition(".")
        where = keys.get(first, f"{keys['']}.{first}") + dot + rest
        return ConfigError(where, found=error.found, expected=error.expected, hint=error.hint, topic="invalid-value")
    if str(thing.__module__).startswith("dreaming."):
        return None
    found = " ".join(str(error).split()).rstrip(".")
    return ConfigError(keys[""], found=found, expected=f"arguments that {thing.__name__} accepts")


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config as plain data, with all references resolved.

    Raises:
        ConfigError: If references form a circle.
    """
    try:
        return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    except (RecursionError, InterpolationResolutionError) as error:
        if not isinstance(error, RecursionError) and not re.search("Recursive|parent node", str(error)):
            raise
        raise ConfigError(
            "config",
            found="a circular reference, such as masker A needs masker B, which needs A",
            expected="no masker that needs itself",
        ) from None
