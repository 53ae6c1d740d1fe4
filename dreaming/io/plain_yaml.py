"""YAML of a clip folder, which may come from anybody: read as plain scalars, lists and mappings only."""

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
"""Levels of nested lists and mappings."""


class _PlainLoader(yaml.SafeLoader):
    """A loader that refuses tags, anchors and deep nesting; aliases of aliases would take memory without limit."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise yaml.YAMLError("an anchor or alias")
        if event.tag is not None:
            raise yaml.YAMLError(f"the tag {event.tag}")
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_DEPTH} levels")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_plain_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, no YAML in UTF-8, or has tags, anchors, aliases or more than
            ``MAX_BYTES`` bytes.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no regular file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    loader = _PlainLoader(path.read_text(encoding="utf-8"))
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    finally:
        loader.dispose()
