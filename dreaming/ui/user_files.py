"""The user's files in the clip: replaced only as the page read them, and kept in ``trash/``."""

import hashlib
from pathlib import Path

from dreaming.artifacts.folder import set_aside_name
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, FrameError
from dreaming.io.atomic import refuse_links, write_atomically

ABSENT = "absent"
"""Version of a file that does not exist."""


class FileChangedError(Exception):
    """A file that changed on disk since the page read it.

    Attributes:
        version: Version of the file that is on disk now.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(version)


def version_of(path: Path | None) -> str:
    """A digest of a file's content; ``ABSENT`` without a file.

    Raises:
        FrameError: If the file cannot be read.
    """
    try:
        return ABSENT if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except FileNotFoundError:
        return ABSENT
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise FrameError(path, found=found, expected="a readable file", hint="check its permissions") from None


def check_version(path: Path | None, expected: str) -> None:
    """Raise FileChangedError if a file has another version than the page read."""
    version = version_of(path)
    if version != expected:
        raise FileChangedError(version)


def refuse_outside(clip: Clip, path: Path) -> None:
    """Refuse a file that is a link, or lies in a folder outside the clip.

    Raises:
        ClipError: If it does.
    """
    refuse_links(path)
    if not path.parent.resolve().is_relative_to(clip.path.resolve()):
        raise ClipError(path.parent, found="a link to a folder outside the clip", expected="a folder in the clip")


def replace_file(clip: Clip, old: Path | None, new: Path, data: bytes, expected: str, *, keep: bool = True) -> None:
    """Write ``new`` in the stead of ``old``, which may have another suffix.

    Args:
        clip: The clip.
        old: The file to replace; None if there is none.
        new: The file to write.
        data: Its content.
        expected: Version of ``old`` that the page read.
        keep: Whether to keep ``old`` in ``trash/``.

    Raises:
        FileChangedError: If ``old`` has another version.
        ClipError: If a file lies outside the clip.
    """
    refuse_outside(clip, new)
    check_version(old, expected)
    if old is not None and keep and (old != new or old.read_bytes() != data):
        write_atomically(_trash_path(clip, old), old.read_bytes())

    def replace(temporary: Path, path: Path) -> None:
        check_version(old, expected)  # again, because other programs know no lock
        temporary.replace(path)

    write_atomically(new, data, replace=replace)
    if old is not None and not old.samefile(new):
        old.unlink()  # a file of another format; its content is in trash/


def move_to_trash(clip: Clip, path: Path) -> Path:
    """Move a file to ``trash/`` and return its new path.

    Raises:
        ClipError: If it lies outside the clip.
    """
    refuse_outside(clip, path)
    target = _trash_path(clip, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    return target


def _trash_path(clip: Clip, path: Path) -> Path:
    target = clip.path / "trash" / path.relative_to(clip.path)
    refuse_outside(clip, target)
    return set_aside_name(target) if target.exists() else target
