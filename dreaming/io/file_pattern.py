"""Names of files and folders, and patterns of them, such as ``{clip}_{layer}.{frame:04}``."""

import os
import re
import unicodedata
from collections.abc import Mapping

from dreaming.errors import FrameError, ParameterError

FIELDS = ("clip", "layer", "frame")

_FIELD = re.compile(r"\{(\w+)(?::0?([1-9]))?\}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any suffix."""
_JOINERS = "\u200c\u200d"
"""Invisible characters that Persian and emoji need."""

NAME_HINT = 'leave out / \\ : * ? " < > |, control characters, and dots and spaces at either end'


def is_portable_name(name: str) -> bool:
    """Whether every system allows a visible file or folder of this name, and shows all of its characters."""
    hidden = {c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - set(_JOINERS)
    wrong = hidden or set(name) & set('/\\:*?"<>|') or name != name.strip() or name[:1] == "." or name[-1:] == "."
    return bool(name) and not wrong and not _RESERVED.fullmatch(name)


def is_unicode(text: str) -> bool:
    """Whether a name or path is UTF-8 on the disk; names from old archives may be in another encoding."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def printable(text: str) -> str:
    """A text as one line for a terminal: names of files may hold line breaks, commands to the terminal, or no UTF-8."""
    return re.sub(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", lambda match: ascii(match[0])[1:-1], text)


def name_key(name: str) -> str:
    """A key that names share if some system takes them for the same file: by case, or by the encoding of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def existing_path(path: str) -> str | None:
    """The path of an existing file or folder, where each name may encode its accents in another way; None without."""
    if os.path.lexists(path) or "\0" in path:
        return path if os.path.lexists(path) else None
    if path.isascii():
        return None
    parent, name = os.path.split(path.rstrip("/"))
    folder = existing_path(parent) if parent else "."
    is_folder = folder is not None and os.path.isdir(folder)  # noqa: PTH112 -- Path.is_dir may raise PermissionError
    if folder is None or not name or not is_folder or not os.access(folder, os.R_OK):
        return None
    wanted = unicodedata.normalize("NFC", name)
    found = [each for each in os.listdir(folder) if unicodedata.normalize("NFC", each) == wanted]  # noqa: PTH208 -- texts
    return os.path.join(folder if parent else "", found[0]) if len(found) == 1 else None  # noqa: PTH118 -- a text


class FilePattern:
    """A pattern of file names without suffix, with fields in braces.

    ``{frame}`` is the frame's name; ``{frame:06}`` is the last number in it, padded with zeros to at least 6 digits.

    Args:
        parameter: The parameter's name, for errors.
        text: The pattern.
        fields: The fields that it may have.
        required: The field that it must have, if any.

    Raises:
        ParameterError: If the pattern has an unknown field, or makes no file name.
    """

    def __init__(self, parameter: str, text: str, fields: tuple[str, ...] = FIELDS, required: str = "") -> None:
        self.text = text
        names = [match[1] for match in _FIELD.finditer(text)]
        plain = _FIELD.sub("x", text)
        wrong = not is_portable_name(plain) or re.search(r"[{}]", plain) or len(plain) > 100
        padded = any(match[2] and match[1] != "frame" for match in _FIELD.finditer(text))
        if wrong or padded or not set(names) <= set(fields) or (required and required not in names):
            expected = "a file name without suffix and folder, with fields among " + ", ".join(
                f"{{{field}}}" for field in fields
            )
            expected += f"; {{{required}}} is required" if required else ""
            raise ParameterError(parameter, found=repr(text), expected=expected)

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the file's name for these values of the fields.

        Raises:
            FrameError: If a padded number is wanted of a frame whose name has none.
        """
        return _FIELD.sub(lambda match: _value(values[match[1]], match[2]), self.text)


def frame_number(stem: str) -> int | None:
    """The last number in a frame's name; None if it has none."""
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else None


def _value(text: str, digits: str | None) -> str:
    if digits is None:
        return text
    number = frame_number(text)
    if number is None:
        raise FrameError(
            text, found="a frame's name without a number", expected="a number to pad", hint="use {frame} in the pattern"
        )
    return f"{number:0{digits}d}"
