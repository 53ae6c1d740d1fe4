"""Whether the config's keys and values are such as the classes that they build take; told before anything is built."""

import inspect
import pkgutil
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dreaming.errors import ConfigError

TOP = {
    "clip": str | int,
    "video": str | None,
    "stages": list[str],
    "guides": list[str],
    "seed": int,
    "threads": int | None,
    "shard": str,
    "ckpt": str | None,
    "tuned": bool,
}
"""What the keys take that no class does. A folder may be called 2024."""

GROUPS = ("data", "model", "masker", "guide", "stage")
"""What holds a node under each name."""


def check_values(
    config: Mapping[str, Any], trusted: Callable[[str], bool], borrowed: Collection[str] = frozenset()
) -> None:
    """Compare every key and value with the signature of what its node builds.

    Args:
        config: The composed config as plain data.
        trusted: Whether what a ``_target_`` names may be looked at; the others are refused when they are built.
        borrowed: Keys whose value is another key's: they come last, so that a wrong value is told where it was set.

    Raises:
        ConfigError: If a key is not taken, or a value is of another type than its annotation.
    """
    for key, hint in TOP.items():
        if key in config:
            _check(key, config[key], hint)
    for group in GROUPS:
        for name, node in config.get(group, {}).items():
            _check(f"{group}.{name}", node, Mapping)
    _check_nodes(config, "", trusted, borrowed)
    _check_nodes(config, "", trusted, frozenset())


def _check_nodes(value: Any, where: str, trusted: Callable[[str], bool], passed_over: Collection[str]) -> None:
    if isinstance(value, list):
        for place, item in enumerate(value):
            _check_nodes(item, f"{where}[{place}]", trusted, passed_over)
    if not isinstance(value, Mapping):
        return
    target = value.get("_target_")
    taken = _taken(target, where) if isinstance(target, str) and trusted(target) else None
    for name, item in value.items():
        key = f"{where}.{name}" if where else str(name)
        if key in passed_over:
            continue
        if taken is not None and not str(name).startswith("_"):
            if name not in taken and None not in taken:
                raise ConfigError(
                    key,
                    found="a key that nothing takes",
                    expected="keys among " + ", ".join(map(str, taken)),
                    hint="correct or remove it",
                )
            _check(key, item, taken.get(name, Any))
        _check_nodes(item, key, trusted, passed_over)


def _taken(target: str, where: str) -> dict[str | None, Any]:
    """Annotation of each named argument of a class or function; the key None stands for any other name."""
    try:
        thing = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        raise ConfigError(
            f"{where}._target_", found=f"{target}, which does not exist", expected="a class", hint="correct its name"
        ) from None
    parameters = list(inspect.signature(thing).parameters.values())
    try:
        hints = get_type_hints(inspect.getattr_static(thing, "__init__") if isinstance(thing, type) else thing)
    except NameError:  # a library's annotation that is only there for type checkers
        hints = {}
    taken: dict[str | None, Any] = {
        p.name: hints.get(p.name, Any) for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        taken[None] = Any
    return taken


def _check(key: str, value: Any, hint: Any) -> None:
    if not fits(value, hint):
        raise ConfigError(
            key,
            found="null" if value is None else "a group of keys" if isinstance(value, Mapping) else repr(value),
            expected=describe(hint),
            hint="correct the value",
        )


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value of a config is of an annotated type, as far as a plain value can be."""
    if isinstance(value, Mapping) and "_target_" in value:
        return not _is_plain(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, kind) for kind in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple and arguments[-1] is not Ellipsis:
        pairs = zip(value, arguments, strict=False) if isinstance(value, list) else ()
        return isinstance(value, list) and len(value) == len(arguments) and all(fits(v, kind) for v, kind in pairs)
    kind = origin or hint
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str):
        return isinstance(value, kind)
    if kind is None or kind is types.NoneType:
        return value is None
    if not isinstance(kind, type) or kind in (Any, object):
        return True  # Any, a type variable: nothing is known of it
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and all(fits(v, arguments[1]) for v in value.values() if len(arguments) == 2)
    if issubclass(kind, Collection):
        return isinstance(value, list) and all(fits(v, arguments[0]) for v in value if arguments)
    # A path, whose class is ours to make from text; any other object has to come from a node.
    return isinstance(value, str) if hasattr(kind, "__fspath__") else False


def _is_plain(hint: Any) -> bool:
    return hint in (int, float, bool, str)


def describe(hint: Any) -> str:
    """An annotated type in the user's words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", types.NoneType: "null"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(kind) for kind in arguments))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    kind = origin or hint
    if kind in words:
        return words[kind]
    if isinstance(kind, type) and hasattr(kind, "__fspath__"):
        return "a path"
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return "a group of keys"
    if isinstance(kind, type) and issubclass(kind, Collection):
        inner = [describe(argument) for argument in arguments if argument is not Ellipsis]
        return "a list" + (f" [{', '.join(inner)}]" if inner else "")
    return "a group of keys with _target_"
