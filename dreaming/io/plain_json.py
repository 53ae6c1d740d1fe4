"""JSON of a clip folder, which may be damaged or come from anybody: read within limits."""

import json
import os
import stat
from pathlib import Path
from typing import Any

MAX_BYTES = 100_000_000
"""A record of a video of ten hours has 20 MB."""

MAX_DEPTH = 50
"""Levels of nested lists and objects; more would exceed Python's recursion limit where they are compared."""


def read_plain_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, cannot be read, is no JSON in UTF-8, has more than ``MAX_BYTES`` bytes or
            more than ``MAX_DEPTH`` levels.
    """
    try:
        # Without waiting, because a named pipe would block until somebody writes to it.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("no regular file")
            if status.st_size > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES:,} bytes")
            data = json.loads(file.read().decode())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"a file that cannot be read: {error.strerror}") from None
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels") from None
    _check_depth(data)
    return data


def _check_depth(data: object) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, list | dict)
            for item in (value if isinstance(value, list) else value.values())
        ]
        if not level:
            return
    raise ValueError(f"more than {MAX_DEPTH} levels")
