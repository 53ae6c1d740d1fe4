"""The layers in the user's ``clip.yaml``, edited so that comments and everything else in the file stay."""

import io
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings, Layer
from dreaming.ui.clip_file.editing import edit_settings, scalar
from dreaming.ui.user_files import version_of

_DEFAULTS = {f.name: f.default for f in fields(Layer) if f.name != "name"}


class LayerFile:
    """Reads and writes the layers of one clip's ``clip.yaml``; the file that is replaced lies in ``trash/``.

    Attributes:
        lock: Held while the file is written.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def read(self, clip: Clip) -> tuple[Sequence[Layer] | None, str]:
        """Return the layers that the file lists, bottom to top, and its version; None if it lists none.

        Raises:
            ClipError: If the file is damaged.
        """
        path = clip.path / "clip.yaml"
        return ClipSettings.read(path).layers, version_of(path)

    def write(self, clip: Clip, layers: Sequence[Mapping[str, Any]], expected: str) -> str:
        """Write the layers, bottom to top, and return the file's version.

        Args:
            clip: The clip.
            layers: Keys of ``Layer`` and their values.
            expected: Version of the file that the page read.

        Raises:
            FileChangedError: If the file on disk has another version.
            ClipError: If a layer is not valid, or the file is damaged or written in a way that cannot be edited here.
        """
        with self.lock:
            # Checked by the reader itself, which names what is wrong; JSON is YAML.
            wanted = ClipSettings.parse(clip.path / "clip.yaml", yaml.safe_dump({"layers": list(layers)})).layers
            assert wanted is not None
            edit = partial(set_layers, layers=wanted)
            return edit_settings(clip, expected, edit, of="layers", one="layer", layers=wanted)


def set_layers(text: str, layers: Sequence[Layer]) -> str:
    """Return a ``clip.yaml`` with these layers, bottom to top.

    A layer's comments are those above it and on its lines; they move with it. Lines of unchanged layers stay as they
    are. Where the layers are one flow list, or absent, they are written as ruamel.yaml does.
    """
    data = YAML().load(text)
    listed = data.get("layers") if data else None
    if not listed:
        if data and "layers" in data:
            data["layers"] = [_entry(layer) for layer in layers]
            return _dumped(data, 2)
        return text + ("\n" if text and not text.endswith("\n") else "") + _block(layers, 2)
    if listed.fa.flow_style():
        entries = {entry["name"]: entry for entry in listed}
        listed[:] = [_updated(entries.get(layer.name, CommentedMap()), layer) for layer in layers]
        for entry in listed:
            entry.fa.set_flow_style()
        return _dumped(data, 2)
    lines = text.splitlines(keepends=True)
    last = min((line for line, *_ in data.lc.data.values() if line > data.lc.data["layers"][0]), default=len(lines))
    start, chunks = data.lc.data["layers"][0] + 1, {}
    dash = listed.lc.col
    for index, entry in enumerate(listed):
        following = listed.lc.item(index + 1)[0] if index + 1 < len(listed) else last
        end = max(n for n in range(start, following) if re.match(r"\s*[^#\s]", lines[n]) and not _is_dash(lines[n])) + 1
        chunks[entry["name"]] = "".join(lines[start:end])
        start = end
    new = [_chunk(chunks.get(layer.name), layer, dash) for layer in layers]
    return "".join([*lines[: data.lc.data["layers"][0] + 1], *new, *lines[start:]])


def _is_dash(line: str) -> bool:
    return line.strip() == "-"


def _chunk(text: str | None, layer: Layer, dash: int) -> str:
    """The lines of one layer, edited where it changed; ``dash`` is the column of its dash."""
    if text is None:
        return _block([layer], dash).split("\n", 1)[1]
    document = YAML().load(f"layers:\n{text}")
    entry = document["layers"][0]
    if Layer(**entry) == layer:
        return text if text.endswith("\n") else f"{text}\n"
    _updated(entry, layer)
    return _dumped(document, dash).split("\n", 1)[1]


def _updated(entry: Any, layer: Layer) -> Any:
    """Set the keys of a layer; those that are there stay, with their comments."""
    for key, value in _entry(layer, entry).items():
        if key not in entry or entry[key] != value:
            entry[key] = value
    return entry


def _entry(layer: Layer, present: Collection[str] = ()) -> dict[str, Any]:
    values = {key: value for key, value in asdict(layer).items() if key in present or value != _DEFAULTS.get(key)}
    return {key: scalar(value) if isinstance(value, str) else value for key, value in values.items()}


def _block(layers: Sequence[Layer], dash: int) -> str:
    return _dumped({"layers": [_entry(layer) for layer in layers]}, dash)


def _dumped(data: Any, dash: int) -> str:
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 2**16
    writer.indent(mapping=2, sequence=dash + 2, offset=dash)
    out = io.StringIO()
    writer.dump(data, out)
    return out.getvalue()
