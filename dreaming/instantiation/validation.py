"""Validation of config values against the annotations of parameters, by pydantic."""

import inspect
import types
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, ConfigDict, Strict, TypeAdapter, ValidationError, WrapValidator

from dreaming.constraints import LearningRate, NonNegativeFloat, Range

SETTINGS = ConfigDict(strict=True, allow_inf_nan=False)
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", types.NoneType: "null"}


class Problem(NamedTuple):
    """An invalid value: its key below the parameter's (such as ``.pixel``), the value, and the accepted values."""

    below: str
    found: str
    expected: str


class Parameters(NamedTuple):
    """Parameters of a class or function: annotations by name, the required names, and whether it has ``**kwargs``."""

    hints: Mapping[str, Any]
    required: frozenset[str]
    is_open: bool


@lru_cache(maxsize=1024)
def parameters_of(thing: Any) -> Parameters:
    """Read the signature of a class or function; of a wrapper, that of the wrapped function."""
    thing = inspect.unwrap(thing)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = list(inspect.signature(thing).parameters.values())
    try:
        initialiser = inspect.getattr_static(thing, "__init__") if isinstance(thing, type) else thing
        hints = get_type_hints(initialiser, include_extras=True)
    except NameError:  # another library's annotation that exists for type checkers only
        hints = {}
    if thing.__module__.startswith("torch.optim."):
        declared = {"lr": LearningRate, "weight_decay": NonNegativeFloat}
        hints |= {name: hint for name, hint in declared.items() if name in hints}
    return Parameters(
        {p.name: hints.get(p.name, Any) for p in parameters if p.kind in named},
        frozenset(p.name for p in parameters if p.kind in named and p.default is p.empty),
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def find_problem(value: Any, hint: Any) -> Problem | None:
    """Validate a plain value from YAML against an annotation.

    A mapping with a ``_target_`` is accepted wherever an object, a list or a mapping is expected.
    """
    try:
        _adapter(hint).validate_python(value)
    except ValidationError as error:
        below = ""
        for step in error.errors(include_url=False, include_context=False)[0]["loc"]:
            hint = _without_none(hint)
            # Within a union, the location continues with the first member, and a tuple may lack an item.
            if get_origin(_bare(hint)) in (Union, types.UnionType) or (isinstance(step, int) and step >= len(value)):
                break
            value, hint = value[step], _item(hint, step)
            below += f"[{step}]" if isinstance(step, int) else f".{step}"
        return Problem(below, show(value), describe(hint))
    return None


def show(value: Any) -> str:
    """Format a plain value as the user would write it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a group of keys" if isinstance(value, Mapping) else repr(value)


def describe(hint: Any) -> str:
    """Describe the accepted values of an annotation in words."""
    if get_origin(hint) is Annotated:
        return ", ".join([describe(get_args(hint)[0]), *map(_bounds, get_args(hint)[1:])]).rstrip(", ")
    origin, arguments = get_origin(hint), get_args(hint)
    kind = origin or hint
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(describe, arguments)))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if kind in WORDS:
        return WORDS[kind]
    if _is_path(kind):
        return "a path"
    if _is(kind, Mapping):
        return "a group of keys"
    if _is(kind, Collection):
        inner = [describe(argument) for argument in arguments if argument is not Ellipsis]
        return "a list" + (f" of [{', '.join(inner)}]" if inner else "")
    return "a group of keys with _target_"


def _bounds(metadata: Any) -> str:
    if not isinstance(metadata, Range):
        return ""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    bounds = [(word, getattr(metadata, name)) for name, word in words.items()]
    return " and ".join(f"{word} {_short(bound)}" for word, bound in bounds if bound is not None)


def _short(bound: float) -> str:
    return text if float(text := f"{bound:g}") == bound else str(bound)


@lru_cache(maxsize=4096)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_plain(hint), config=SETTINGS)


def is_node(value: Any) -> bool:
    """Whether a plain value is a config node from which an object is built."""
    return isinstance(value, Mapping) and "_target_" in value


def _check_node(value: Any) -> Any:
    if not is_node(value):
        raise ValueError("no node")
    return value


Node = Annotated[Any, AfterValidator(_check_node)]
OrNode = WrapValidator(lambda value, handler: value if is_node(value) else handler(value))


def _plain(hint: Any) -> Any:
    """The annotation of the plain data from which a value of the annotated type is built."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_plain(arguments[0]), *arguments[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_plain, arguments))]  # noqa: UP007 -- members known at run time only
    kind = origin or hint
    if origin is Literal or kind in WORDS or hint is None:
        return hint
    if not isinstance(kind, type) or kind in (Any, object):
        return Any  # a type variable, or any value
    if _is_path(kind):
        return str
    if issubclass(kind, Mapping):
        return Annotated[dict[Any, _plain(arguments[1]) if arguments else Any], OrNode]  # type: ignore[misc]  # computed
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        return Annotated[tuple[tuple(map(_plain, arguments))], Strict(False), OrNode]  # type: ignore[misc]  # computed
    if issubclass(kind, Collection) and kind is not bytes:
        return Annotated[list[_plain(arguments[0]) if arguments else Any], OrNode]  # type: ignore[misc]  # computed
    return Node


def _item(hint: Any, step: str | int) -> Any:
    """The annotation of one item of a list or mapping."""
    arguments = get_args(_bare(hint))
    if not arguments:
        return Any
    if isinstance(step, str) or len(arguments) == 1 or arguments[-1] is Ellipsis:
        return arguments[1] if _is(get_origin(_bare(hint)), Mapping) else arguments[0]
    return arguments[step]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _without_none(hint: Any) -> Any:
    """The annotation ``X`` of ``X | None``, in which pydantic's locations name no member of the union; else itself."""
    members = [member for member in get_args(hint) if member is not types.NoneType]
    return members[0] if get_origin(hint) in (Union, types.UnionType) and len(members) == 1 else hint


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _is_path(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__fspath__")
