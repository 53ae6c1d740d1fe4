"""Search for files by name, in which a folder that cannot be read is an error, as it is not in ``Path.glob``."""

import os
from pathlib import Path


def files_below(folder: Path, name: str, depth: int | None = None) -> list[Path]:
    """Paths of the files of this name below a folder, in alphabetical order; none if the folder does not exist.

    Args:
        folder: The folder.
        name: The file's name.
        depth: Number of folders between the two; None: any.

    Raises:
        PermissionError: If a folder may not be listed or entered.
    """
    if not os.path.lexists(folder):
        return []
    found: list[Path] = []
    for path, folders, _ in os.walk(folder, onerror=_fail):
        level = len(Path(path).relative_to(folder).parts)
        if depth is None or level == depth:
            file = Path(path) / name
            found += [file] if file.is_file() else []
        if level == depth:
            folders.clear()
    return sorted(found)


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # another process may remove a folder meanwhile
        raise error
