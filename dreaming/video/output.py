"""Files of encoded videos, written as a whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from dreaming.artifacts.output_file import replace_output
from dreaming.io.atomic import DENIED, FULL, access_error, refuse_links, space_error, temporary_path


@contextmanager
def open_output(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces the result at ``path`` unless an error occurs.

    Raises:
        ClipError: If the result is a symbolic link.
        SpaceError: If the disk is full.
        AccessError: If the file or its folder may not be written.
    """
    refuse_links(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())  # as in write_atomically: the data must reach the disk before the name
        replace_output(temporary, path)
    except (OSError, av.FFmpegError) as error:
        if error.errno in DENIED and not error.filename:  # an error of the encoder names no file
            raise access_error(path, error.errno) from None
        if error.errno not in FULL:
            raise
        raise space_error(path, "room for twice the video's size") from None
    finally:
        temporary.unlink(missing_ok=True)
