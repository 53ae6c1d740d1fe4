"""What a result depends on, as plain data: equal manifests mean that the result is up to date."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, cast

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.record import SCHEMA, read_record, write_record

MANIFEST = "manifest.json"
"""Name of the manifest in the folder that it explains."""

MAX_NUMBER = 1e12
"""Upper bound of the seconds, frames and versions of a manifest."""

FILES = "files"
"""Entry of a fit report: digests of the user's files by path, which the log names when one has changed."""


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
