"""Records: JSON objects that the program writes, and reads leniently."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreaming.io.atomic import write_atomically
from dreaming.io.plain_data import read_plain_json

log = logging.getLogger(__name__)

SCHEMA = 1
"""Version of the records' layout; increased when a field changes its meaning."""


def write_record(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, with the version of its layout as ``schema``."""
    write_atomically(path, (json.dumps({"schema": SCHEMA, **data}, indent=2) + "\n").encode())


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; return None if the file does not exist or holds anything else."""
    try:
        data = read_plain_json(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.debug("%s cannot be used: %s", path, error)
        return None
    return data if isinstance(data, dict) else None


def read_known_record(path: Path, kinds: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read a record of this schema with exactly these fields; return None, with a warning, for any other.

    A record that is not fully understood is ignored, and never removed.

    Args:
        path: The file.
        kinds: The annotation of each field's value, such as ``tuple[str, ...]``, to which it is converted.
    """
    from pydantic import TypeAdapter, ValidationError  # here, because --help must not wait for it

    data = read_record(path)
    if data is not None and data.pop("schema", None) == SCHEMA and data.keys() == set(kinds):
        try:
            return {name: TypeAdapter(kind).validate_python(data[name]) for name, kind in kinds.items()}
        except ValidationError as error:
            log.debug("%s: %s", path, error)
    if path.exists():
        log.warning("%s: not used, because it is damaged or of another version", path)
    return None
