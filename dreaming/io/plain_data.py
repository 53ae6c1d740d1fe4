"""YAML and JSON of a clip folder, which may be damaged or come from anybody: plain values, within limits."""

import json
import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

MAX_JSON_BYTES = 100_000_000
"""A record of a video of ten hours has 20 MB."""

MAX_YAML_BYTES = 1_000_000

MAX_JSON_DEPTH = 50
"""Levels of nested lists and objects; more would exceed Python's recursion limit where they are compared."""

MAX_YAML_DEPTH = 20

MAX_DIGITS = 100
"""Digits of a whole number; with more, it cannot be converted to a float, nor printed."""


def read_plain_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, cannot be read, is no JSON in UTF-8, has more than ``MAX_JSON_BYTES``
            bytes, more than ``MAX_JSON_DEPTH`` levels, or a number of more than ``MAX_DIGITS`` digits.
    """
    try:
        data = json.loads(_read_text(path, MAX_JSON_BYTES), parse_int=_parse_int)
    except RecursionError:
        raise ValueError(f"more than {MAX_JSON_DEPTH} levels") from None
    _check_depth(data)
    return data


def read_plain_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, cannot be read, is no YAML in UTF-8, has tags, anchors, aliases, a key
            twice, more than ``MAX_YAML_BYTES`` bytes, more than ``MAX_YAML_DEPTH`` levels, or a number of more than
            ``MAX_DIGITS`` digits.
    """
    return parse_plain_yaml(_read_text(path, MAX_YAML_BYTES))


def parse_plain_yaml(text: str) -> Any:
    """Parse a text as ``read_plain_yaml`` does a file.

    Raises:
        ValueError: If it is no YAML, or has tags, anchors, aliases, a key twice or more than ``MAX_YAML_DEPTH`` levels.
    """
    try:
        loader = _PlainLoader(text)  # which refuses control characters
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _read_text(path: Path, max_bytes: int) -> str:
    try:
        # Without waiting, because a named pipe would block until somebody writes to it.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("no regular file")
            if status.st_size > max_bytes:
                raise ValueError(f"more than {max_bytes:,} bytes")
            return file.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"a file that cannot be read: {error.strerror}") from None


def _parse_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _check_depth(data: object) -> None:
    level = [data]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, list | dict)
            for item in (value if isinstance(value, list) else value.values())
        ]
        if not level:
            return
    raise ValueError(f"more than {MAX_JSON_DEPTH} levels")


class _PlainLoader(yaml.SafeLoader):
    """A loader that refuses tags, anchors, repeated keys and deep nesting.

    Aliases of aliases would take memory without limit. As in YAML 1.2, 0046 is 46, 1e-4 a number, and 1:30 a text.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # its stub has no types
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise yaml.YAMLError("an anchor or alias")
        if event.tag is not None:
            raise yaml.YAMLError(f"the tag {event.tag}")
        if self.depth > MAX_YAML_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_YAML_DEPTH} levels")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        counts = Counter(str(key.value) for key, _ in node.value)
        if twice := [key for key, count in counts.items() if count > 1]:
            raise yaml.YAMLError(f"the key {twice[0]} twice")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> Any:
        text = str(self.construct_scalar(node))
        if ":" in text:
            return text
        if len(text) > MAX_DIGITS:
            raise yaml.YAMLError(f"a number of more than {MAX_DIGITS} digits")
        return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> Any:
        text = str(self.construct_scalar(node))
        return text if ":" in text else super().construct_yaml_float(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _PlainLoader.construct_yaml_float)
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
