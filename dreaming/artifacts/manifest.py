"""What a result depends on, as plain data: equal manifests mean that the result is up to date."""

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Any, cast

import numpy as np

from dreaming.io.atomic import write_atomically
from dreaming.io.plain_data import read_plain_json

log = logging.getLogger(__name__)

PACKAGE = __name__.partition(".")[0]

MANIFEST = "manifest.json"
"""Name of the manifest in the folder that it explains."""

SCHEMA = 1
"""Version of the records' layout; increased when a field changes its meaning."""

MAX_NUMBER = 1e12
"""Upper bound of the seconds, frames and versions of a manifest."""

FILES = "files"
"""Entry of a fit report: digests of the user's files by path, which the log names when one has changed."""

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


@dataclass(frozen=True)
class Manifest:
    """What the files of a folder depend on, written as ``manifest.json`` beside them.

    Attributes:
        maker: Name of the stage or cache.
        version: The maker's version number, increased by hand when its result changes.
        config: Everything of the config that changes the result, as ``describe`` returns it.
        inputs: Fingerprint of each input by name.
        seconds: Wall time spent on the files, over all runs; not compared.
        frames: Number of files made in that time; not compared.
        fit_report: Findings of a fit for the user, as plain JSON data; not compared.
        stems: Names of all files that the maker writes here; no other file is ever removed. Not compared.
        keys: Config key of each part of ``config``, for messages; ``""`` for all others. Not written.
        unread: Parts of the record that this version of the program does not understand; compared, so that a record
            of another version is different rather than absent.
    """

    maker: str
    version: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    seconds: float = field(default=0.0, compare=False)
    frames: int = field(default=0, compare=False)
    fit_report: Mapping[str, Any] = field(default_factory=dict, compare=False)
    stems: Sequence[str] = field(default=(), compare=False)
    keys: Mapping[str, str] = field(default_factory=dict, compare=False)
    unread: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all compared fields; results made from this folder store it as that of their input."""
        return fingerprint(self.maker, self.version, self.config, self.inputs)

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        record = {name: getattr(self, name) for name in sorted(_TYPES)}
        write_record(path, json.loads(json.dumps({**record, "stems": list(self.stems)}, sort_keys=True)))

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """Read the manifest at ``path``; return None if there is none, or the file is no manifest of this program.

        A missing or unknown field, or another schema, is noted in ``unread``.
        """
        data = read_record(path)
        if data is None or not isinstance(data.get("maker"), str):
            return None
        known = {name: data.pop(name) for name in _TYPES if _is_valid(name, data.get(name))}
        unread = {"schema": "missing", **data, **{name: "missing" for name in _TYPES if name not in known}}
        if unread["schema"] == SCHEMA:
            del unread["schema"]
        defaults = {"version": 0, "config": {}, "inputs": {}}
        return cls(**{**defaults, **known}, unread=unread)

    def difference(self, other: "Manifest") -> str:
        """Name the files and config keys that differ, for the log, and only without any what depends on them."""
        inputs, settings = (
            sorted(key for key in mine.keys() | others.keys() if mine.get(key) != others.get(key))
            for mine, others in ((self.inputs, other.inputs), (_flatten(self.config), _flatten(other.config)))
        )
        reports = [one.fit_report.get(FILES) for one in (self, other)]
        files, before = (found if isinstance(found, dict) else {} for found in reports)
        causes = [name for name in sorted({**files, **before}) if before and files.get(name) != before.get(name)]
        causes += [_WORDS.get(name.partition(" ")[0], name) for name in inputs if name not in _CONSEQUENCES]
        causes += [self._key(name) for name in settings]
        if (self.version, self.unread) != (other.version, other.unread):
            causes.append("the program")
        names = list(dict.fromkeys(causes)) or [_CONSEQUENCES[name] for name in inputs]
        return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

    def _key(self, name: str) -> str:
        """The config key of a flattened part of ``config``; a choice of a class is that of its group."""
        first, _, rest = name.partition(".")
        root, inside = (self.keys[first], rest) if first in self.keys else (self.keys.get("", ""), name)
        return ".".join(part for part in (root, inside) if part).removesuffix(".kind")


_CONSEQUENCES = {"fitted": "what the masker is fitted to", "keyframes": "the keyframes", "weights": "the trained style"}
"""Inputs that change only together with others, which the log names if they are known."""

_WORDS = {
    "video": "the video",
    "layer": "the layers",
    "masks": "the masks",
    "cleanup": "the clean-up in clip.yaml",
    "keys": "the keyframes",
    "pictures": "the guide's pictures",
    "size": "the size of the frames",
    "version": "the program",
}
"""Plain words for inputs, by the first word of their name."""

_TYPES: Mapping[str, type | UnionType] = {
    "maker": str,
    "version": int,
    "config": dict,
    "inputs": dict,
    "seconds": int | float,
    "frames": int,
    "fit_report": dict,
    "stems": list,
}
"""Types of a manifest's fields in JSON."""


def _is_valid(name: str, value: object) -> bool:
    if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return 0 <= value < MAX_NUMBER
    return name != "stems" or all(isinstance(stem, str) for stem in cast(list[object], value))


def _flatten(data: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(data, Mapping):
        return {prefix.rstrip("."): data}
    return {k: v for key, value in data.items() for k, v in _flatten(value, f"{prefix}{key}.").items()}
