"""Plain data that describes what has an effect on a result, and digests of such data and of files."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = __name__.partition(".")[0]

NO_EFFECT: Mapping[str, bool] = {"effect": False}
"""Metadata of a dataclass field that does not change the result: threads, device, batch size, shard, logger."""


def describe(thing: object) -> Any:
    """Return plain JSON data that is equal for two objects only if they have the same effect.

    A dataclass is described by its ``kind`` and its fields except those marked ``NO_EFFECT``; a partial by its function
    and arguments.

    Raises:
        TypeError: For an object that is neither plain data, a dataclass nor callable, or for a class of this package
            that declares no ``kind``.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, Enum):
        return describe(thing.value)
    if isinstance(thing, Path | Fraction):
        return str(thing)
    if isinstance(thing, np.ndarray):
        return fingerprint(thing)
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if isinstance(thing, functools.partial):
        arguments = [describe(value) for value in thing.args]
        return {
            "kind": kind_of(thing.func),
            **({"arguments": arguments} if arguments else {}),
            **describe(thing.keywords),
        }
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        effective = [f.name for f in dataclasses.fields(thing) if f.metadata.get("effect", f.init)]
        return {"kind": kind_of(type(thing)), **{name: describe(getattr(thing, name)) for name in effective}}
    if callable(thing) and hasattr(thing, "__qualname__"):
        return kind_of(thing)
    raise TypeError(f"cannot describe {type(thing).__qualname__}")


def kind_of(thing: Any) -> str:
    """Return the identifier of a class or function in records; moving or renaming a class does not change it.

    A class declares it as ``kind: ClassVar[str]``; a subclass declares its own. A function, and a class of another
    package that declares none, are identified by their bare name.

    Raises:
        TypeError: For a class of this package that declares none.
    """
    kind = getattr(thing, "__dict__", {}).get("kind")
    if isinstance(kind, str):
        return kind
    if isinstance(thing, type) and thing.__module__.partition(".")[0] == PACKAGE:
        raise TypeError(f"{thing.__qualname__} declares no kind: ClassVar[str]")
    return str(thing.__name__)


def fingerprint(*things: object) -> str:
    """Return 32 hexadecimal digits that depend on all of ``things``: arrays, or anything that ``describe`` takes."""
    digest = hashlib.blake2b(digest_size=16)
    for thing in things:
        if isinstance(thing, np.ndarray):
            digest.update(f"{thing.dtype}{thing.shape}".encode())
            digest.update(np.ascontiguousarray(thing).tobytes())
        else:
            digest.update(json.dumps(describe(thing), sort_keys=True).encode())
    return digest.hexdigest()


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Return the fingerprint of the names and contents of files."""
    return fingerprint([(path.name, digest(path)) for path in paths])


def digest(path: Path) -> str:
    """Return the digest of a file's bytes."""
    return _content(path, stamp(path))


def stamp(path: Path) -> tuple[int, int, int, int]:
    """Return size, times in nanoseconds of the last change of a file's contents and status, and inode number."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@functools.lru_cache(maxsize=65536)
def _content(path: Path, unchanged: tuple[int, ...]) -> str:
    """Return the digest of a file's bytes, cached in this process while its stamp stays the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
