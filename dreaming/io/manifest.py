"""What a result depends on, as plain data: two equal manifests mean that the result need not be made again."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dreaming.io.atomic import write_atomically

NO_EFFECT: Mapping[str, bool] = {"effect": False}
"""Metadata of a dataclass field that does not change the result: threads, device, batch size, shard, logger."""


def describe(thing: object) -> Any:
    """Plain JSON data that tells ``thing`` apart from any other of a different effect.

    Dataclasses are described by their class and fields, except those marked ``NO_EFFECT``; partials by their function
    and keywords.

    Raises:
        TypeError: For an object of which nothing is known; give its class dataclass fields.
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
            "kind": _name(thing.func),
            **({"arguments": arguments} if arguments else {}),
            **describe(thing.keywords),
        }
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        effective = [f.name for f in dataclasses.fields(thing) if f.init and f.metadata.get("effect", True)]
        return {"kind": _name(type(thing)), **{name: describe(getattr(thing, name)) for name in effective}}
    if callable(thing) and hasattr(thing, "__qualname__"):
        return _name(thing)
    raise TypeError(f"cannot describe {type(thing).__qualname__}")


def _name(thing: Any) -> str:
    """The identifier of a class or function in records: its ``kind``, so that moving or renaming it changes nothing.

    A function, and a class of another library, are known by their bare name.
    """
    kind = getattr(thing, "kind", None)
    return kind if isinstance(kind, str) else str(thing.__name__)


def fingerprint(*things: object) -> str:
    """32 hexadecimal digits that change when any of ``things`` (arrays, or what ``describe`` takes) does."""
    digest = hashlib.blake2b(digest_size=16)
    for thing in things:
        if isinstance(thing, np.ndarray):
            digest.update(f"{thing.dtype}{thing.shape}".encode())
            digest.update(np.ascontiguousarray(thing).tobytes())
        else:
            digest.update(json.dumps(describe(thing), sort_keys=True).encode())
    return digest.hexdigest()


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Fingerprint of the names and contents of files."""
    return fingerprint([(path.name, _content(path, *_stamp(path))) for path in paths])


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=65536)
def _content(path: Path, size: int, modified: int) -> str:
    """Digest of a file's bytes, remembered in this process while its size and time stay the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """What lies beside a made folder: by which maker, version and config, and from which inputs.

    Attributes:
        maker: Name of the stage.
        version: The stage's own version number, raised on purpose when its result changes.
        config: Everything of the config that changes the result, as ``describe`` gives it.
        inputs: Fingerprint of each input by name.
        seconds: Wall time spent making it, over all runs; not compared.
        frames: How many frames were made in that time; not compared.
        fit_report: What was found on the way to it that a person may want to know, as plain JSON data; not compared.
    """

    maker: str
    version: int
    config: Any
    inputs: Mapping[str, str]
    seconds: float = field(default=0.0, compare=False)
    frames: int = field(default=0, compare=False)
    fit_report: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of what is compared; an input's fingerprint to whoever builds on the folder."""
        return fingerprint(self.maker, self.version, self.config, self.inputs)

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_atomically(path, (json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """The manifest at ``path``, or None if there is none that this version of the program can read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def difference(self, other: "Manifest") -> str:
        """Which config keys or inputs differ, in a few words, for the log."""
        compared = [f.name for f in dataclasses.fields(self) if f.compare]
        mine, others = (_flatten({name: getattr(one, name) for name in compared}) for one in (self, other))
        keys = sorted(k for k in mine.keys() | others.keys() if mine.get(k) != others.get(k))
        names = [k.removeprefix("config.").removeprefix("inputs.") for k in keys]
        return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _flatten(data: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(data, Mapping):
        return {prefix.rstrip("."): data}
    return {k: v for key, value in data.items() for k, v in _flatten(value, f"{prefix}{key}.").items()}
