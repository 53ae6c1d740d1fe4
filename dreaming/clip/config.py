"""The user's ``clip.yaml``: layers, and how the video is turned into frames; checked key by key."""

import math
import re
import reprlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from dreaming.errors import ClipError
from dreaming.io.file_pattern import NAME_HINT, is_portable_name, name_key
from dreaming.io.plain_data import parse_plain_yaml, read_plain_yaml


@dataclass(frozen=True)
class Layer:
    """One layer of the picture.

    Attributes:
        name: Its name; the name of its folder in ``styled/``.
        part: The part whose mask cuts it out; None for the whole frame.
        invert: Whether the layer is everything except the part.
        keyframes: Its folder in ``keyframes/``; by default its name.
    """

    name: str
    part: str | None = None
    invert: bool = False
    keyframes: str | None = None

    @property
    def folder(self) -> str:
        """Name of its folder in ``keyframes/``."""
        return self.keyframes or self.name


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_count, value))


def _frames(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, int | str) and not isinstance(v, bool) for v in value)


def _steps(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(part, str) and isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
        for part, steps in value.items()
    )


@dataclass(frozen=True)
class ClipSettings:
    """The keys of ``clip.yaml``; None where a key is absent.

    Attributes:
        layers: Bottom to top.
        gamma: Exponent of the gamma correction.
        start: Number of the first frame in the video, from 1.
        end: Number of the last frame in the video.
        every: Step between frames.
        size: [height, width] of the frames in pixels.
        shots: Names or numbers of the first frames of shots; they replace the detected cuts.
        cleanup: Steps of the clean-up of each part's masks, such as ``{"grow": 1.5}``.
        settings: Overrides of the config, by dotted key: plain scalars and lists of them.
    """

    layers: tuple[Layer, ...] | None = None
    gamma: float | None = None
    start: int | None = None
    end: int | None = None
    every: int | None = None
    size: list[int] | None = None
    shots: list[int | str] | None = None
    cleanup: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def extract(self) -> dict[str, Any]:
        """The keys of the ``extract`` stage that the file sets."""
        others = ("layers", "shots", "cleanup", "settings")
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in others}
        return {key: value for key, value in named.items() if value is not None}

    def with_names(self, parts: Sequence[str], painted: Sequence[str]) -> Self:
        """Return the settings with these names of folders, where the file encodes their accents in another way."""
        part = {unicodedata.normalize("NFC", name): name for name in parts}
        folder = {unicodedata.normalize("NFC", name): name for name in painted}

        def named(names: Mapping[str, str], name: str) -> str:
            return name if name in names.values() else names.get(unicodedata.normalize("NFC", name), name)

        layers = self.layers and tuple(
            replace(
                each,
                part=each.part and named(part, each.part),
                keyframes=each.keyframes if each.folder in painted else named(folder, each.folder),
            )
            for each in self.layers
        )
        return replace(self, layers=layers, cleanup={named(part, name): steps for name, steps in self.cleanup.items()})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check the file; return the defaults if it does not exist.

        Raises:
            ClipError: If it is no YAML, or a key or value is not known.
        """
        return cls._from(path, read_plain_yaml) if path.exists() or path.is_symlink() else cls()

    @classmethod
    def parse(cls, path: Path, text: str) -> Self:
        """Check a text that is to be written to the file.

        Raises:
            ClipError: If it is no YAML, or a key or value is not known.
        """
        return cls._from(path, lambda _: parse_plain_yaml(text))

    @classmethod
    def _from(cls, path: Path, load: Callable[[Path], Any]) -> Self:
        try:
            data = load(path)
        except (FileNotFoundError, ValueError) as error:  # a link to nothing
            raise ClipError(
                path,
                topic="an-invalid-clipyaml",
                found=f"no valid YAML ({error})",
                expected="plain values, without tags and anchors",
            ) from None
        data = {} if data is None else data
        _check_keys(path, data, {f.name for f in fields(cls)})
        rules: dict[str, tuple[Callable[[object], bool], str]] = {
            "gamma": (_positive, "a number above 0"),
            "start": (_count, "a whole number from 1"),
            "end": (_count, "a whole number from 1"),
            "every": (_count, "a whole number from 1"),
            "size": (_size, "[height, width] in pixels"),
            "shots": (_frames, "a list of the first frames of shots, such as [1, 46]"),
            "cleanup": (_steps, "parts and a list of steps for each, such as dancer: [{grow: 1.5}]"),
        }
        for key, (fits, expected) in rules.items():
            if data.get(key) is not None and not fits(data[key]):
                raise ClipError(path, topic="an-invalid-clipyaml", found=f"{key}: {data[key]!r}", expected=expected)
        for key in ("cleanup", "settings"):
            data[key] = {} if data.get(key) is None else data[key]
        _check_settings(path, data["settings"])
        layers = data.pop("layers", None)
        return cls(layers=None if layers is None else _layers(path, layers), **data)


def _check_keys(path: Path, data: object, known: set[str]) -> None:
    if not isinstance(data, Mapping) or not set(data) <= known:
        found = f"key {sorted(set(map(str, data)) - known)[0]!r}" if isinstance(data, Mapping) else repr(data)
        raise ClipError(
            path, topic="an-invalid-clipyaml", found=found, expected="keys among " + ", ".join(sorted(known))
        )


def _check_settings(path: Path, data: object) -> None:
    """Refuse everything but plain values, because a clip may come from anybody."""
    if not isinstance(data, Mapping):
        raise ClipError(path, found=f"settings: {data!r}", expected="keys and values, such as generator.lr: 0.001")
    for key, value in data.items():
        items = value if isinstance(value, list) else [value]
        plain = all(item is None or isinstance(item, bool | int | float | str) for item in items)
        special = any(isinstance(item, str) and ("${" in item or item == "???") for item in items)
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z]\w*(\.\w+)*", key) or not plain or special:
            raise ClipError(
                path,
                found=f"settings: {key}: {reprlib.repr(value)}",
                expected="a dotted key, and a number, text, true, false, null or a list of them",
                hint="write generator.lr: 0.001 instead of nested keys",
            )


def _layers(path: Path, data: object) -> tuple[Layer, ...]:
    if not isinstance(data, list) or not data:
        raise ClipError(
            path, found=f"layers: {data!r}", expected="a list of layers, bottom to top", hint="write one per line"
        )
    layers = []
    for entry in data:
        _check_keys(path, entry, {f.name for f in fields(Layer)})
        kinds = {"name": str, "part": str | None, "invert": bool, "keyframes": str | None}
        wrong = [key for key, kind in kinds.items() if key in entry and not isinstance(entry[key], kind)]
        if wrong or not is_portable_name(entry.get("name", "")):
            key = wrong[0] if wrong else "name"
            raise ClipError(
                path,
                found=f"layer with {key}: {entry.get(key)!r}",
                expected="name (a folder's name), part, invert (true or false), keyframes",
                hint=NAME_HINT if key == "name" else "",
            )
        layer = Layer(**entry)
        if layer.invert and layer.part is None:
            raise ClipError(
                path,
                found=f"layer {layer.name} with invert: true and no part",
                expected="a part to invert",
                hint="name the part, or leave out invert for the whole frame",
            )
        layers.append(layer)
    names = [layer.name for layer in layers]
    if len(set(map(name_key, names))) < len(names):
        raise ClipError(path, found=f"layers {', '.join(names)}", expected="different names", hint="rename one")
    return tuple(layers)
