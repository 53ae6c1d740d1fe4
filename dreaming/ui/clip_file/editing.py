"""What is common to edits of ``clip.yaml``: they are written only if the stages read them as wanted."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings
from dreaming.errors import ClipError
from dreaming.ui.user_files import check_version, replace_file, version_of


def edit_settings(clip: Clip, expected: str, edit: Callable[[str], str], *, of: str, one: str, **wanted: Any) -> str:
    """Write a clip's ``clip.yaml`` with other settings, keep the replaced file in ``trash/``, and return the version.

    Args:
        clip: The clip.
        expected: Version of the file that the page read.
        edit: Returns the file's text with the settings, given its text; "" for no file.
        of: What is edited, for messages.
        one: What can be edited if each stands on a line of its own, for messages.
        wanted: Attributes of ``ClipSettings`` that change.

    Raises:
        FileChangedError: If the file on disk has another version.
        ClipError: If the file is damaged, or written in a way that cannot be edited here.
    """
    path = clip.path / "clip.yaml"
    check_version(path, expected)
    settings = replace(ClipSettings.read(path), **wanted)
    try:
        edited = edit(path.read_bytes().decode() if path.exists() else "")
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError):
        edited = ""
    if not _is_read_as(edited, settings, clip):
        raise ClipError(
            path, found=f"{of} that cannot be edited here", expected=f"one {one} on each line",
            hint="edit the file in a text editor",
        )  # fmt: skip
    replace_file(clip, path if path.exists() else None, path, edited.encode(), expected)
    return version_of(path)


def _is_read_as(text: str, settings: ClipSettings, clip: Clip) -> bool:
    """Whether the stages read a text, as the clip's ``clip.yaml``, as these settings."""
    try:
        return ClipSettings.parse(clip.path / "clip.yaml", text) == settings
    except ClipError:
        return False


def edit_key(text: str, key: str, change: Callable[[Any], Any]) -> str:
    """Return a ``clip.yaml`` with another value of a key; only lines of that key are written anew.

    Args:
        text: The file's text.
        key: A key of its top level, which may be absent.
        change: Returns the value, given the former one as ruamel.yaml reads it, None if there is none; it may edit it
            in place, so that comments stay.
    """
    data = YAML().load(text)
    if not data or key not in data:
        return text + ("\n" if text and not text.endswith("\n") else "") + _dumped(CommentedMap({key: change(None)}))
    lines = text.splitlines(keepends=True)
    first = data.lc.data[key][0]
    following = min((line for line, *_ in data.lc.data.values() if line > first), default=len(lines))
    # Comments after the last line of the value stay where they are.
    last = max(number for number in range(first, following) if re.match(r"\s*[^#\s]", lines[number])) + 1
    reader = YAML()
    reader.preserve_quotes = True
    document = reader.load("".join(lines[first:last]))
    document[key] = change(document[key])
    return "".join([*lines[:first], _dumped(document), *lines[last:]])


def _dumped(data: Any) -> str:
    writer = YAML()
    writer.brace_single_entry_mapping_in_flow_sequence = True
    writer.width = 2**16
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    writer.dump(data, out)
    return out.getvalue()


def scalar(text: str) -> str:
    """Return a text that YAML 1.1 reads as text, too: quoted unless it is a plain word."""
    plain = re.fullmatch(r"[A-Za-z_]([\w -]*\w)?", text) and yaml.safe_load(text) == text
    return text if plain else DoubleQuotedScalarString(text)
